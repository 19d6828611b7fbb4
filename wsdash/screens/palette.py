"""The command palette: every action of the screen, and every workspace by name."""

from __future__ import annotations

import heapq
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from wsdash.screens.action import key_names
from wsdash.screens.actions import on
from wsdash.screens.base import ActionMixin
from wsdash.screens.text.spans import plain

Entry = tuple[str, str, Callable[[], Awaitable[None] | None]]
MOST_WORKSPACES = 50
"""The number of workspaces listed at once; more letters find the others."""


class EverythingProvider(Provider):
    """Finds actions and workspaces in memory, so that typing never waits."""

    async def discover(self) -> Hits:
        """Yield all actions and some workspaces, for an empty query."""
        for title, explanation, run in (*self._actions(), *self._workspaces("")):
            yield DiscoveryHit(title, run, help=explanation)

    async def search(self, query: str) -> Hits:
        """Yield the actions and workspaces that match the query."""
        matcher = self.matcher(query)
        for title, explanation, run in (*self._actions(), *self._workspaces(query)):
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, text=title, help=explanation)

    def _actions(self) -> Iterator[Entry]:
        screen = self.screen
        if not isinstance(screen, ActionMixin):
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

    def _workspaces(self, query: str) -> Iterator[Entry]:
        screen = self.screen
        if not isinstance(screen, ActionMixin):
            return
        rows = {f"Open {plain(row.workspace.name)}": row for row in screen.dashboard.rows}
        for title in nearest(query, rows, MOST_WORKSPACES):
            row = rows[title]
            yield (
                title,
                f"{row.status.phase}: {plain(row.status.reason)}",
                partial(screen.dashboard.open_workspace, row.workspace, "detail"),
            )


def nearest(query: str, titles: Iterable[str], most: int) -> list[str]:
    """Return titles with all letters of the query in this order, the shortest match first.

    The palette's own matching rates each title in more detail, which is too slow for ten thousand titles.
    """
    letters = [re.escape(letter) for letter in query.lower() if not letter.isspace()]
    stretch = re.compile(".*?".join(letters))
    found = [(len(match[0]), title) for title in titles if (match := stretch.search(title.lower()))]
    return [title for _, title in heapq.nsmallest(most, found)]
