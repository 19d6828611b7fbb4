"""The quick verbs: list, show, events, why, plan."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.backend import builders
from wsdash import cli
from wsdash.commands.console import SIGNS, cells, fit, instant
from wsdash.model import Phase, Workspace
from wsdash.paths import Paths
from wsdash.screens.text.glyphs import ASCII, UNICODE

Fill = Callable[[Iterable[Workspace]], None]
LIST_KEYS = {
    "name", "id", "context", "project", "ref", "desired", "phase", "reason", "healthy", "attempt", "job",
    "created_at", "started_at", "last_beat_at", "saved_at", "folder",
}  # fmt: skip
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def named(name: str, number: int = 1) -> Workspace:
    return replace(builders.workspace(), name=name, id=f"id{number}")


def test_the_empty_list_teaches_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert "wsdash create SOURCE" in capsys.readouterr().out


def test_list_json_has_the_keys_that_scripts_rely_on(
    store_with: Fill, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([named("web", 1), named("api", 2)])
    folder = paths.contexts / "local" / "workspaces" / "id2"
    folder.mkdir(parents=True)
    assert cli.main(["list", "--json"]) == 0
    output = capsys.readouterr()
    rows = json.loads(output.out)
    assert output.err == ""
    assert [row["name"] for row in rows] == ["api", "web"]
    for row in rows:
        assert row.keys() >= LIST_KEYS
        assert ISO_8601.fullmatch(row["created_at"])
    assert rows[0]["project"] == "demo"
    assert rows[0]["desired"] == "running"
    assert rows[0]["phase"] == "pending"
    assert rows[0]["folder"] == str(folder)
    assert rows[1]["folder"] is None, "nothing of it is on this machine before its first launch"


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
    assert shown.keys() >= LIST_KEYS | {"attempts", "events", "steps", "workload", "policy"}
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


def test_signs_are_those_of_the_dashboard() -> None:
    assert {phase: sign for phase, (sign, _, _) in SIGNS.items()} == UNICODE.phases
    assert {phase: sign for phase, (_, sign, _) in SIGNS.items()} == ASCII.phases
    assert set(SIGNS) == set(Phase)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.9996, "1970-01-01T00:00:02.000Z"),
        (None, None),
        (float("inf"), None),
    ],
)
def test_instants_are_iso_8601_in_utc(at: float | None, text: str | None) -> None:
    assert instant(at) == text


def test_what_does_not_fit_is_cut_and_says_so() -> None:
    assert fit("short", 10) == "short"
    assert fit("漢字漢字漢字", 7) == "漢字.."
    assert fit("two\nlines", 20) == "two lines"
