"""`wsdash recover`: a plan for each context, the question, and the names of workspaces and orphans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsdash import cli
from wsdash.paths import Paths

CONFIG = '[contexts.laptop]\nprovider = "local"\n'


@pytest.fixture
def orphan(paths: Paths) -> Path:
    """The folder of a workspace that nobody can describe, in one of two contexts."""
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_text(CONFIG)
    folder = paths.contexts / "local" / "workspaces" / "deadbeef00"
    (folder / "projects").mkdir(parents=True)
    return folder


def test_an_orphan_is_shown_with_the_command_that_ends_it_and_left_alone(
    orphan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["recover", "--yes"]) == 0
    text = capsys.readouterr().err
    assert "In the context local:\n  orphan     deadbeef00: " in text
    assert "--end deadbeef00 ends and removes it" in text
    assert "In the context laptop:\n  Nothing is missing: 0 workspaces are known here." in text
    assert orphan.is_dir()


def test_an_orphan_of_one_of_several_contexts_is_ended_by_its_id(
    orphan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `wsdash doctor` prints the command, without a context."""
    assert cli.main(["recover", "--end", "deadbeef00", "--yes", "--json"]) == 0
    local, laptop = sorted(json.loads(capsys.readouterr().out), key=lambda found: found["context"] != "local")
    assert (local["ended"], local["orphans"], laptop["ended"]) == (["deadbeef00"], [], [])
    assert not orphan.exists()


@pytest.mark.parametrize(
    "arguments", [("--end", "deadbeef99"), ("--adopt", "deadbeef00"), ("--context", "nowhere")]
)
def test_an_unknown_name_changes_nothing(
    arguments: tuple[str, ...], orphan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["recover", "--end", "deadbeef00", *arguments, "--yes"]) == 3
    assert (
        f"there is no {'context ' if arguments[1] == 'nowhere' else ''}{arguments[1]}"
        in capsys.readouterr().err
    )
    assert orphan.is_dir()


def test_without_a_terminal_it_ends_nothing_that_it_was_not_told_yes_to(
    orphan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["recover", "--end", "deadbeef00"]) == 2
    assert "Add --yes" in capsys.readouterr().err
    assert orphan.is_dir()
