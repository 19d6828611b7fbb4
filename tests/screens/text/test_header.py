"""The first line of the dashboard names the default context, its isolation and the reconciler."""

from __future__ import annotations

import pytest

from wsdash.backend.service import Reconciling
from wsdash.screens.text.header import context_label, reconciler_status
from wsdash.screens.text.spans import Line, Tone


def words(line: Line) -> str:
    return "".join(text for text, _ in line)


@pytest.mark.parametrize(
    ("isolation", "honours_image", "shown"),
    [
        ("podman", True, "local: podman"),
        ("plain", False, "local: plain processes; the devfile's image is not used"),
        ("bubblewrap", False, "local: bubblewrap; the devfile's image is not used"),
        (None, None, ""),
    ],
)
def test_the_context_with_its_isolation(
    isolation: str | None, honours_image: bool | None, shown: str
) -> None:
    assert words(context_label("local", isolation, honours_image=honours_image)) == shown


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (Reconciling("this", 5), "reconciler: this dashboard"),
        (Reconciling("daemon", 99), "reconciler: daemon (99)"),
        (Reconciling("dashboard", 99), "reconciler: another dashboard (99)"),
        (Reconciling("nobody", None), "reconciler: starting ..."),
        (None, "opening ..."),
    ],
)
def test_the_process_that_is_the_reconciler(now: Reconciling | None, shown: str) -> None:
    assert words(reconciler_status(now, is_stale=False)) == shown


def test_a_store_that_cannot_be_used_has_no_reconciler() -> None:
    assert reconciler_status(None, is_stale=True) == (("no reconciler is running", Tone.WARN),)
