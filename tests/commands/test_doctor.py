"""`wsdash doctor`: findings about this machine and the state of wsdash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.backend import builders
from tests.conftest import Command
from wsdash import cli
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.providers.types import Finding
from wsdash.commands import doctor
from wsdash.model import Workspace
from wsdash.paths import Paths


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """The exit code of `doctor --json` and its findings by subject."""
    code = cli.main(["doctor", "--json"])
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(capsys.readouterr().out):
        found.setdefault(finding["subject"], []).append(finding)
    return code, found


@pytest.mark.usefixtures("plain_jobs")
def test_doctor_finds_a_sound_machine(wsdash: Command, repository: Path) -> None:
    done = wsdash("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {"wsdash", "state", "database", "config", "git", "isolation", "reconciler", "jobs", "disk"} <= {
        finding["subject"] for finding in findings
    }
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert "every job belongs to a workspace" in wsdash("doctor").stdout


@pytest.mark.usefixtures("plain_jobs")
def test_doctor_names_what_is_broken(wsdash: Command, paths: Paths) -> None:
    paths.config.mkdir()
    paths.config_file.write_text("[polcy]\n")
    done = wsdash("doctor", "--json")
    assert done.returncode == 1
    broken = [finding for finding in json.loads(done.stdout) if finding["verdict"] == "broken"]
    assert [finding["subject"] for finding in broken] == ["config"]
    assert "polcy" in broken[0]["text"]


@pytest.mark.parametrize(
    ("free", "verdict", "code"), [(10 * 2**30, "ok", 0), (2**29, "note", 0), (2**20, "broken", 1)]
)
def test_little_space_is_a_note_and_none_is_broken(
    free: int,
    verdict: str,
    code: int,
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage(paths.state)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found_code, found = run(capsys)
    assert (found["disk"][0]["verdict"], found_code) == (verdict, code)
    assert (found["disk"][0]["remedy"] is None) is (verdict == "ok")


def test_a_workspace_that_no_reconciler_cares_for_is_named_with_the_remedy(
    store_with: Callable[[Iterable[Workspace]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([builders.workspace()])
    code, found = run(capsys)
    (finding,) = found["reconciler"]
    assert (code, finding["verdict"], "demo" in finding["text"]) == (1, "broken", True)
    assert "`wsdash daemon --detach`" in finding["remedy"]


def test_a_machine_without_git_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, found = run(capsys)
    assert (code, found["git"][0]["verdict"]) == (1, "broken")
    assert found["git"][0]["remedy"] == "apt-get install git"


def test_a_context_without_a_token_is_a_finding_beside_the_others(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connect_gitlab, "credentials", lambda *_: [])
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_text(
        '[contexts.work]\nprovider = "gitlab"\nurl = "http://127.0.0.1:1"\nproject = "a/b"\n'
    )
    code, found = run(capsys)
    (finding,) = found["context work"]
    assert (code, finding["verdict"]) == (1, "broken")
    assert finding["remedy"].startswith("`wsdash context add work`")
    assert found["disk"] and found["database"]


def test_a_finding_on_a_terminal_is_coloured_text_without_control_sequences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "coloured", lambda _: True)
    doctor._print(Finding("blocked", "a\x1b[2Jb\nc", "do\x07 it", subject="git"))
    text = capsys.readouterr().out
    assert text.startswith("\x1b[31mbroken \x1b[0m git: a")
    assert "\x1b[2J" not in text and "\x07" not in text
    assert len(text.splitlines()) == 2
