"""Unsaved work in words, the same on the command line and in the dashboard. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsdash.backend.rules.status import words_for_seconds

if TYPE_CHECKING:
    from wsdash.backend.providers.types import FileTotals, UnsavedWork
    from wsdash.model import UnsavedRecord


def unsaved_parts(work: UnsavedWork) -> list[tuple[str, tuple[str, ...]]]:
    """Return each kind of unsaved work that exists, with its title and its lines."""
    parts = (
        ("not committed", work.uncommitted),
        ("not pushed", work.unpushed),
        ("stashes", work.stashes),
        ("outside of any Git repository", work.files),
        ("not readable, so there may be more", work.unreadable),
    )
    return [(title, lines) for title, lines in parts if lines]


def record_words(record: UnsavedRecord, now: float, *, coarse: bool = False) -> str:
    """`1 file is unsaved, as of 20 s ago`. Coarse words change once a minute at most."""
    seconds = max(0.0, now - record.at)
    age = "less than a minute" if coarse and seconds < 60 else words_for_seconds(seconds)
    return f"{record.totals.sentence or 'nothing'}, as of {age} ago"


def also_removed_words(work: UnsavedWork) -> str:
    """Return a sentence about ignored and other files that are removed with the workspace; "" for none."""
    parts = []
    if work.ignored is not None and work.ignored.files:
        parts.append(f"{_sized(work.ignored)} that Git ignores")
    if work.home is not None and work.home.files:
        parts.append(f"{_sized(work.home)} in its home folder and volumes")
    return f"Also removed: {' and '.join(parts)}." if parts else ""


def _sized(sized: FileTotals) -> str:
    size = float(sized.size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{sized.files} {'file' if sized.files == 1 else 'files'} ({size:.0f} {unit})"
