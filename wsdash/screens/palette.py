"""The command palette: every action of the screen, and every workspace by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from wsdash.actions import key_names, on
from wsdash.screens.base import Acts
from wsdash.screens.widgets.text import plain

Entry = tuple[str, str, Callable[[], Awaitable[None] | None]]


class EverythingProvider(Provider):
    """Answers from what is at hand, so that typing never waits."""

    async def discover(self) -> Hits:
        for title, explanation, run in self._entries():
            yield DiscoveryHit(title, run, help=explanation)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, explanation, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, text=title, help=explanation)

    def _entries(self) -> Iterator[Entry]:
        screen = self.screen
        if not isinstance(screen, Acts):
            return
        for action in on(screen.WHERE):
            if action.id == "app.palette" or action.id.startswith("move."):
                continue
            reason = screen.why_not(action)
            keys = f"{key_names(action)}: " if action.keys else ""
            yield (
                action.title,
                f"{keys}{action.help if not reason else 'not now, ' + reason}",
                partial(screen.perform, action),
            )
        for row in screen.dashboard.rows:
            name = plain(row.workspace.name)
            yield (
                f"Open {name}",
                f"{row.status.phase}: {plain(row.status.reason)}",
                partial(screen.dashboard.open_workspace, row.workspace.name, "detail"),
            )
