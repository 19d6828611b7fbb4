"""The command line itself: verbs, usage errors, exit codes, closed streams, and a config.toml with an error."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Command
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


@pytest.mark.slow
def test_a_reader_that_leaves_early_makes_no_noise(environment: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([*PYTHON, "list"], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == cli.PIPE_CLOSED


@pytest.mark.slow
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
    text = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text()
    assert [verb for verb in cli.VERBS if verb not in text] == []


def shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line.replace("wsdash", shlex.join([sys.executable, "-m", "wsdash"]))],
        env={**os.environ, "PYTHONUNBUFFERED": "", **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("where", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
@pytest.mark.parametrize("verb", ["list", "list --json", "doctor --json", "context list", "--help"])
@pytest.mark.slow
def test_an_output_that_takes_nothing_is_told(paths: Paths, verb: str, where: str, reason: str) -> None:
    done = shell(f"wsdash {verb} {where}")
    assert done.returncode == 1
    assert f"wsdash: standard output cannot be written to: {reason}" in done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    assert not paths.crash_reports.exists()


@pytest.mark.slow
def test_it_is_told_without_a_buffer_too(paths: Paths) -> None:
    done = shell("wsdash list >/dev/full", PYTHONUNBUFFERED="1")
    assert (done.returncode, "cannot be written to: No space" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_verb_that_acts_does_so_without_any_stream(paths: Paths) -> None:
    assert shell("wsdash list <&- >&- 2>&-").returncode == 1
    assert shell("wsdash list 2>/dev/full").returncode == 0
    assert shell("wsdash show nosuch 2>/dev/full").returncode == 3
    assert not paths.crash_reports.exists()


@pytest.mark.slow
def test_a_letter_that_the_terminal_lacks_is_shown_by_its_number(paths: Paths, tmp_path: Path) -> None:
    home = tmp_path / "h\u00e5me"
    done = shell("wsdash doctor; wsdash list", PYTHONIOENCODING="ascii", WSDASH_HOME=str(home))
    assert "h\\xe5me" in done.stdout
    assert "UnicodeEncodeError" not in done.stderr and not list(home.rglob("crashes/*"))


def test_what_was_closed_is_not_taken_by_a_file_of_ours(paths: Paths) -> None:
    """A state store that is opened as descriptor 1 would be printed into."""
    assert shell("wsdash list").returncode == 0
    for _ in range(2):
        shell("wsdash list --json >&-; wsdash doctor <&- >&-")
    done = shell("wsdash list --json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


@pytest.mark.slow
def test_a_relative_home_is_a_sentence(tmp_path: Path) -> None:
    done = shell("unset WSDASH_HOME; wsdash list", HOME="relative")
    assert done.returncode == 1
    assert done.stderr.startswith("wsdash: HOME is 'relative'")


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "an unknown key": (
        "[policy]\ngrace = 3\n",
        "line 2: policy.grace is not a setting of wsdash. It takes grace_s.",
    ),
    "no TOML": ("[policy\n", "config.toml: Expected ']' at the end of a table declaration (at line 1"),
    "no UTF-8": (b"\xff\xfe", "is not UTF-8"),
}


@pytest.fixture(params=BROKEN)
def said(request: pytest.FixtureRequest, paths: Paths) -> str:
    text, said = BROKEN[request.param]
    paths.config.mkdir(parents=True)
    paths.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return said


@pytest.mark.parametrize(
    "verb", [("list",), ("plan",), ("list", "--json"), ("daemon", "--status"), ("recover",)]
)
def test_it_is_told_once(wsdash: Command, said: str, verb: tuple[str, ...]) -> None:
    done = wsdash(*verb)
    assert done.stderr.count(said) == 1, done.stderr


def test_reading_verbs_answer_all_the_same(wsdash: Command, said: str) -> None:
    done = wsdash("list", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == []


def test_doctor_says_it_as_a_finding(wsdash: Command, said: str) -> None:
    done = wsdash("doctor")
    assert said in done.stdout
    assert said not in done.stderr
    assert done.returncode == 1
