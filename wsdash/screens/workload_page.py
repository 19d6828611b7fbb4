"""The page with the workload of a workspace's job, as translated from the devfile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wsdash.screens.text.spans import Line, Tone, plain, wrap
from wsdash.screens.text_page import PageScreen
from wsdash.screens.widgets.line_view import LineScroll

if TYPE_CHECKING:
    from wsdash.model import Workspace


class WorkloadScreen(PageScreen):
    """The workload of a workspace as an indented outline."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._workload: str | None = None

    def heading(self) -> Line:
        """Return the title."""
        return ((plain(self._workspace.name), Tone.TITLE), ("  workload of its job", Tone.MUTED))

    def on_mount(self) -> None:
        """Read the workload."""
        super().on_mount()
        self.spawn(self._read(), "workload")

    async def _read(self) -> None:
        detail = await self.dashboard.service.queries.detail(self._workspace.id)
        self._workload = detail.workload
        self.query_one(LineScroll).rebuild()

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the outline."""
        if self._workload is None:
            return [(("reading ...", Tone.MUTED),)]
        return outline(json.loads(self._workload), width)


def outline(value: object, width: int, depth: int = 0) -> list[Line]:
    """Return a JSON value as indented lines, without empty values."""
    pad = "  " * depth
    lines: list[Line] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner in (None, [], {}, ""):
                continue
            name = plain(str(key))
            if isinstance(inner, dict | list):
                lines.append(((f"{pad}{name}", Tone.STRONG),))
                lines += outline(inner, width, depth + 1)
            else:
                lines += _entry(pad, f"{name}: ", inner, width)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            if isinstance(inner, dict | list):
                lines.append(((f"{pad}{number}.", Tone.MUTED),))
                lines += outline(inner, width, depth + 1)
            else:
                lines += _entry(pad, "- ", inner, width)
    return lines or [((f"{pad}nothing", Tone.MUTED),)]


def _entry(pad: str, label: str, value: object, width: int) -> list[Line]:
    room = max(20, width - len(pad) - len(label))
    texts = [text for part in str(value).split("\n") for text in wrap(plain(part), room)]
    first: Line = ((pad + label, Tone.MUTED), (texts[0], Tone.PLAIN))
    return [first, *(((pad + " " * len(label) + text, Tone.PLAIN),) for text in texts[1:])]
