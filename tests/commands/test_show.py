"""The quick verbs: list, show, events, why, plan."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.backend import builders
from tests.conftest import Command
from tests.waiting import until_sync
from wsdash import cli
from wsdash.commands.console import cells
from wsdash.model import Workspace

Fill = Callable[[Iterable[Workspace]], None]
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def named(name: str, number: int = 1) -> Workspace:
    return replace(builders.workspace(), name=name, id=f"id{number}")


def test_the_empty_list_teaches_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert "wsdash create SOURCE" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_table_fits_the_screen(
    columns: int, store_with: Fill, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = replace(
        named("a" * 63), source_url="https://example.com/" + "漢字" * 30, ref="feature/" + "x" * 99
    )
    store_with([long, named("web", 2)])
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(cells, lines)) <= columns
    phase = lines[0].index("PHASE")
    assert lines[2][phase:].startswith("○ pending")


def test_no_colour_without_a_terminal(store_with: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    store_with([named("web")])
    cli.main(["list"])
    cli.main(["show", "web"])
    assert "\x1b" not in capsys.readouterr().out


def test_show_tells_one_workspace_whole(store_with: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    store_with([named("web")])
    assert cli.main(["show", "web"]) == 0
    text = capsys.readouterr().out
    assert "https://example.com/group/demo.git at main" in text
    assert "user created" in text
    assert cli.main(["show", "id1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() >= {"name", "attempts", "events", "steps", "workload", "policy"}
    assert shown["workload"]["image"] == "debian:12"
    assert [event["kind"] for event in shown["events"]] == ["created"]


def test_events_are_told_oldest_first_and_as_json_newest_first(
    store_with: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([named("web")])
    assert cli.main(["events", "web"]) == 0
    assert "user created: created" in capsys.readouterr().out
    assert cli.main(["events", "web", "--json"]) == 0
    (event,) = json.loads(capsys.readouterr().out)
    assert event["actor"] == "user"
    assert ISO_8601.fullmatch(event["at"])


def test_why_is_a_sentence_with_its_evidence(store_with: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    store_with([named("web")])
    assert cli.main(["why", "web"]) == 0
    assert capsys.readouterr().out.startswith("web is pending: ")
    assert cli.main(["why", "web", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sentence"].startswith("web is pending: ")
    assert answer["evidence"]


def test_plan_names_the_next_step_and_when(store_with: Fill, capsys: pytest.CaptureFixture[str]) -> None:
    store_with([named("web")])
    assert cli.main(["plan", "--json"]) == 0
    (step,) = json.loads(capsys.readouterr().out)
    assert step.keys() == {"name", "step", "reason", "at"}
    assert (step["name"], step["step"]) == ("web", "wait")  # nobody has looked at the provider yet
    assert cli.main(["plan"]) == 0
    assert "web" in capsys.readouterr().out


def test_a_name_that_is_nearly_right_gets_the_right_one(
    store_with: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([named("frontend")])
    assert cli.main(["show", "fronted"]) == 3
    assert "Did you mean frontend?" in capsys.readouterr().err


def test_control_sequences_of_a_repository_never_reach_the_screen(
    store_with: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([replace(named("web"), ref="\x1b]0;title\x07main\x1b[2J", devfile_path="\x9b2Jdevfile.yaml")])
    for arguments in (["list"], ["show", "web"], ["why", "web"], ["events", "web"], ["list", "--json"]):
        cli.main(arguments)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out)


def unsaved(wsdash: Command) -> dict[str, Any] | None:
    """The unsaved work in `show --json`."""
    found: dict[str, Any] | None = json.loads(wsdash("show", "web", "--json").stdout)["unsaved"]
    return found


@pytest.mark.usefixtures("plain_jobs")
def test_show_tells_what_is_unsaved_now_and_as_of_when(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    wsdash("ssh", "web", "--", "sh", "-c", "echo new >notes.txt")
    found = until_sync(lambda: unsaved(wsdash), what="an answer")
    assert (found["files"], found["is_whole"]) == (2, True)
    assert "2 files are unsaved, as of " in wsdash("show", "web").stdout
    assert "notes.txt" not in wsdash("show", "web").stdout
    wsdash("ssh", "web", "--", "rm", "notes.txt", "greeting.txt")
    assert wsdash("stop", "web", "--wait").returncode == 0
    until_sync(lambda: (unsaved(wsdash) or {}).get("files") == 0, what="the look at the stop")
    assert "nothing, as of " in wsdash("show", "web").stdout


@pytest.mark.usefixtures("plain_jobs")
def test_show_tells_what_is_known_where_nobody_answers_in_time(
    wsdash: Command, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    slow = tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    shown = wsdash("show", "web")
    assert shown.returncode == 0
    assert "not looked for yet" in shown.stdout
