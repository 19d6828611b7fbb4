"""The answer about unsaved work, as a job's checkout has printed it. Untrusted."""

from __future__ import annotations

import pytest

from wsdash.backend.providers.unsaved_work import answer
from wsdash.model import UnsavedTotals

BEGIN = "wsdash-unsaved 1\n"


def of(*lines: str, project: str = "") -> str:
    found = answer((BEGIN + "".join(f"{line}\n" for line in lines)).encode(), project)
    assert found is not None
    return str(found)


@pytest.mark.parametrize(
    "output", [b"", b"\xff\xfe", b"wsdash-unsaved 2\ncomplete\n", b"sh: git: not found\n"]
)
def test_another_output_is_no_answer(output: bytes) -> None:
    assert answer(output) is None


def test_everything_that_was_found_is_counted_and_named() -> None:
    lines = "repository app\nchange  M src/x.py\ncommit 1a2b Fix\nstash WIP\nfile notes\ncomplete\n"
    found = answer((BEGIN + lines).encode(), "app")
    assert found is not None
    assert found.uncommitted == (" M src/x.py",)
    assert (found.unpushed, found.stashes) == (("1a2b Fix",), ("WIP",))
    assert found.totals == UnsavedTotals(1, 1, 2, True)


def test_an_answer_that_was_cut_off_is_not_whole() -> None:
    found = answer((BEGIN + "change ?? a\n").encode())
    assert found is not None
    assert not found.totals.is_whole
    assert found.totals.holds
    whole = answer((BEGIN + "problem tools cannot be looked into\ncomplete\n").encode())
    assert whole is not None and not whole.totals.is_whole


def test_a_total_that_is_larger_than_what_was_named_counts() -> None:
    found = answer((BEGIN + "change ?? a\nchanges 2500\ncomplete\n").encode())
    assert found is not None
    assert found.totals.files == 2500
    assert found.uncommitted == ("?? a", "and 2499 more")


@pytest.mark.parametrize("number", ["-1", "x", "9" * 400, "١", ""])
def test_a_number_that_is_none_does_no_harm(number: str) -> None:
    found = answer((BEGIN + f"commits {number}\nignored {number} {number}\ncomplete\n").encode())
    assert found is not None
    assert 0 <= found.totals.commits < 10**15


def test_files_of_another_repository_are_named_as_seen_from_the_project() -> None:
    assert "../lib/x" in of("repository lib", "change ?? x", "complete", project="app")
    assert "(in ../lib)" in of("repository lib", "commit 1a Fix", "complete", project="app")
