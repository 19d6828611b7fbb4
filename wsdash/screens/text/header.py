"""The first line of the dashboard: the default context and the reconciler. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsdash.screens.text.spans import Line, Tone, plain

if TYPE_CHECKING:
    from wsdash.backend.service import Reconciling


def context_label(context: str | None, isolation: str | None, *, honours_image: bool | None) -> Line:
    """Return the default context and its isolation; empty while they are not known."""
    if isolation is None or context is None:
        return ()
    words = {"plain": "plain processes"}.get(isolation, plain(isolation))
    name = (plain(context), Tone.STRONG)
    if honours_image:
        return (name, (f": {words}", Tone.MUTED))
    return (name, (f": {words}; ", Tone.MUTED), ("the devfile's image is not used", Tone.WARN))


def reconciler_status(now: Reconciling | None, *, is_stale: bool) -> Line:
    """Return the process that is the reconciler; `now` is None while the store has not been read."""
    if now is None:
        return (("no reconciler is running", Tone.WARN),) if is_stale else (("opening ...", Tone.MUTED),)
    words = {
        "this": "reconciler: this dashboard",
        "daemon": f"reconciler: daemon ({now.pid})",
        "dashboard": f"reconciler: another dashboard ({now.pid})",
    }
    return ((words.get(now.by, "reconciler: starting ..."), Tone.MUTED),)
