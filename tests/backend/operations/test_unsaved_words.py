"""Unsaved work in words."""

from __future__ import annotations

import pytest

from wsdash.backend.operations.unsaved_words import also_removed_words, record_words, unsaved_parts
from wsdash.backend.providers.types import FileTotals, UnsavedWork
from wsdash.model import UnsavedRecord, UnsavedTotals

NOW = 1_700_000_000.0


def test_each_kind_that_there_is_has_a_title_and_its_lines() -> None:
    work = UnsavedWork(uncommitted=(" M src/app.py",), unreadable=("private",))
    assert unsaved_parts(work) == [
        ("not committed", (" M src/app.py",)),
        ("not readable, so there may be more", ("private",)),
    ]
    assert unsaved_parts(UnsavedWork()) == []


@pytest.mark.parametrize(
    ("totals", "age", "coarse", "words"),
    [
        (UnsavedTotals(files=1), 20.0, False, "1 file is unsaved, as of 20 s ago"),
        (UnsavedTotals(files=1), 20.0, True, "1 file is unsaved, as of less than a minute ago"),
        (UnsavedTotals(), 20.0, False, "nothing, as of 20 s ago"),
        (UnsavedTotals(), -5.0, False, "nothing, as of 0 s ago"),
        (
            UnsavedTotals(is_whole=False),
            20.0,
            False,
            "it is unknown whether it has unsaved work, as of 20 s ago",
        ),
    ],
)
def test_what_is_on_record_is_said_with_its_age(
    totals: UnsavedTotals, age: float, coarse: bool, words: str
) -> None:
    assert record_words(UnsavedRecord(NOW - age, totals), NOW, coarse=coarse) == words


@pytest.mark.parametrize(
    ("ignored", "home", "words"),
    [
        (None, None, ""),
        (FileTotals(0, 0), FileTotals(0, 0), ""),
        (FileTotals(1, 512), None, "Also removed: 1 file (512 B) that Git ignores."),
        (
            FileTotals(2, 3 * 2**20),
            FileTotals(9, 5000 * 2**30),
            "Also removed: 2 files (3 MiB) that Git ignores and 9 files (5000 GiB) in its home folder and volumes.",
        ),
    ],
)
def test_what_else_goes_with_the_workspace_is_said_with_its_size(
    ignored: FileTotals | None, home: FileTotals | None, words: str
) -> None:
    assert also_removed_words(UnsavedWork(ignored=ignored, home=home)) == words
