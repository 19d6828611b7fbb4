"""The command line's verbs, usage errors and exit codes."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import PYTHON, Command
from wsdash import __version__, cli
from wsdash.paths import Paths


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = cli.main(arguments)
    except SystemExit as leave:  # argparse's own way
        code = leave.code if isinstance(leave.code, int) else 1
    output = capsys.readouterr()
    return code, output.out, output.err


def test_without_a_terminal_the_dashboard_refuses_with_a_sentence(wsdash: Command) -> None:
    done = wsdash()
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "wsdash list" in done.stderr
    assert done.stdout == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "--version") == (0, f"wsdash {__version__}\n", "")


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "--help")
    assert code == 0
    assert all(f"    {verb}" in out for verb in cli.VERBS)


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_has_help_and_a_function_that_answers(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answer(capsys, verb, "--help")
    assert code == 0
    assert cli.VERBS[verb].purpose in " ".join(out.split())
    assert callable(cli.function_of(verb))


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["list", "extra"],
        ["start"],
        ["--nonsense"],
        ["logs", "web", "--attempt", "first"],
        ["start", "web", "--timeout", "-1"],
        ["start", "web", "--timeout", "nan"],
        ["devfile"],
        ["devfile", "check"],
        ["context", "rename"],
        ["completion", "tcsh"],
        ["daemon", "--stop", "--status"],
        ["create", "--no-source", "somewhere"],
    ],
)
def test_usage_errors_exit_with_2_and_say_so_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answer(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err


def test_an_unknown_verb_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = answer(capsys, "lst")
    assert (code, "Did you mean `wsdash list`?" in err) == (2, True)
    code, _, err = answer(capsys, "xyzzy")
    assert (code, "`wsdash --help`" in err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "web"],
        ["events", "web"],
        ["why", "web"],
        ["logs", "web"],
        ["ssh", "web"],
        ["start", "web"],
        ["stop", "web"],
        ["restart", "web"],
        ["delete", "web", "--yes"],
        ["context", "use", "web"],
        ["context", "remove", "web"],
        ["create", ".", "--context", "web"],
        ["export", "web", "web.tar.gz"],
        ["import", "web.tar.gz", "--context", "web"],
    ],
)
def test_no_such_workspace_or_context_exits_with_3(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answer(capsys, *arguments)
    assert code == 3
    assert out == ""
    assert "there is no" in err


@pytest.mark.parametrize("verb", ["show", "events", "why"])
def test_json_that_cannot_be_given_leaves_standard_output_empty(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, verb, "web", "--json")[:2] == (3, "")


def test_words_after_two_dashes_belong_to_the_workspace() -> None:
    assert cli.split_command(["ssh", "web", "--", "ls", "-la", "--", "x"]) == (
        ["ssh", "web"],
        ["ls", "-la", "--", "x"],
    )
    assert cli.split_command(["ssh", "web"]) == (["ssh", "web"], [])


def test_what_nobody_expected_becomes_a_report_without_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, environment: Path
) -> None:
    def broken(*_: object) -> int:
        token = "glpat-" + "x" * 20
        raise RuntimeError(f"surprise after {len(token)} characters")

    monkeypatch.setattr("wsdash.commands.show.plan", broken)
    code, out, err = answer(capsys, "plan")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    (report,) = Paths.from_environment().crash_reports.iterdir()
    assert str(report) in err
    assert "in broken" in report.read_text()
    assert "glpat" not in report.read_text() + err
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_state_folder_that_cannot_be_used_is_told_in_a_sentence(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WSDASH_HOME", str(tmp_path / "file" / "below"))
    done = wsdash("list")
    assert done.returncode == 1
    assert "WSDASH_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_makes_no_noise(environment: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([*PYTHON, "list"], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == cli.PIPE_CLOSED


def test_a_closed_standard_output_is_no_crash(environment: Path) -> None:
    script = f"exec {shlex.join(PYTHON)} list >&-"
    done = subprocess.run(["sh", "-c", script], stderr=subprocess.PIPE, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert not Paths.from_environment().crash_reports.exists()


def test_completion_scripts_are_valid(wsdash: Command) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = wsdash("completion", shell)
        assert done.returncode == 0
        assert "wsdash" in done.stdout
    script = wsdash("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_json_of_nothing_is_an_empty_array(wsdash: Command) -> None:
    for verb in ("list", "plan"):
        done = wsdash(verb, "--json")
        assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")


def test_every_verb_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    assert [verb for verb in cli.VERBS if verb not in text] == []
