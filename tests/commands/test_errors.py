"""The lines and exit codes of failed commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

import pytest

from tests.backend import builders
from wsdash.backend.errors import UserError
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.commands.errors import fail, report
from wsdash.model import Workspace
from wsdash.paths import Paths


def test_an_error_is_its_message_its_hint_and_its_details_without_control_sequences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = UserError("no\x1b[2Jsuch\nthing", "Try\x07 again.", 5, details=("1: a\x1bb", "2: c"))
    assert report(error) == 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("wsdash: no") and lines[0].endswith("such thing")
    assert lines[1].startswith("  Try") and lines[3] == "2: c"
    assert not {"\x1b", "\x07"}.intersection("".join(lines))
    assert report(error, on_one_line=True) == 5
    assert capsys.readouterr().err.count("\n") == 1


def test_the_first_error_of_a_group_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    inner = ExceptionGroup("inner", [ProviderError("the GitLab does not answer"), ValueError("other")])
    assert fail(ExceptionGroup("outer", [inner])) == 4
    assert capsys.readouterr().err.startswith("wsdash: the GitLab does not answer\n")


def test_an_unknown_workspace_gets_the_nearest_name(
    store_with: Callable[[Iterable[Workspace]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([builders.workspace()])
    assert fail(NoSuchWorkspace("dmeo")) == 3
    assert "there is no workspace dmeo\n  Did you mean demo?" in capsys.readouterr().err


def test_without_any_workspace_the_error_names_the_verb_that_creates_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail(NoSuchWorkspace("web")) == 3
    assert "No workspace exists yet" in capsys.readouterr().err


def test_a_state_store_that_fails_is_named_and_no_crash(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(sqlite3.OperationalError("database or disk is full")) == 1
    assert str(paths.database) in capsys.readouterr().err
    assert not paths.crash_reports.exists()


def test_a_folder_that_cannot_be_named_is_the_error_that_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a folder no report can be written either."""
    monkeypatch.delenv("WSDASH_HOME")
    monkeypatch.setenv("HOME", "relative")
    assert fail(RuntimeError("anything")) == 1
    assert capsys.readouterr().err.startswith("wsdash: HOME is 'relative'")


def test_an_unexpected_error_is_written_to_a_report_that_is_named(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(ZeroDivisionError("by a surprise")) == 1
    (file,) = paths.crash_reports.iterdir()
    assert str(file) in capsys.readouterr().err
