"""The form for a new workspace: the source, then a preview of the job, then the confirmation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.screens.form import Field, FormScreen, facts
from wsdash.screens.text.spans import Line, Tone, plain, wrap

if TYPE_CHECKING:
    from wsdash.backend.service import Preview
    from wsdash.devfile import Diagnostic

SEVERITIES = {"error": Tone.BAD, "warning": Tone.WARN, "info": Tone.MUTED}


class CreateScreen(FormScreen[str, "Preview"]):
    """Creates a workspace. Returns its id."""

    FIELDS: Mapping[str, Field] = {
        "source": Field("Source", "URL or path of a Git repository; empty for none"),
        "ref": Field("Ref", "branch, tag or commit; empty for the default branch"),
        "devfile": Field("Devfile", "path in the repository, or of a file here; empty to look for one"),
        "component": Field("Component", "of the devfile, to work in; empty for the main component"),
        "image": Field("Image", "a container image in place of the one that the devfile names"),
        "name": Field("Name", "lower-case letters, digits and dashes; empty for one made from the source"),
        "context": Field("Context", "where its job runs; empty for the default one, see c in the list"),
    }
    INTRO = "Nothing runs before you have seen the job. All fields may be left empty."
    LOOKING = "reading the repository"
    VERTICAL_BREAKPOINTS = [(0, "-dense"), (30, "-tall")]  # noqa: RUF012

    async def look(self) -> Preview:
        """Read the source, and return the job that would run. Raises `WsdashError`."""
        from wsdash.backend.service import CreateRequest

        request = CreateRequest(
            source=self.typed("source") or None,
            ref=self.typed("ref") or None,
            devfile=self.typed("devfile") or None,
            name=self.typed("name") or None,
            context=self.typed("context"),
            main=self.typed("component") or None,
            image=self.typed("image") or None,
        )
        return await self.dashboard.service.creation.preview(request, self.show_progress)

    async def accept(self, preview: Preview) -> str | None:
        """Create the workspace, after asking for values of secrets. Raises `WsdashError`."""
        values: dict[str, str] | None = {}
        if preview.asks:
            from wsdash.screens.secrets_form import SecretsScreen

            values = await self.app.push_screen_wait(SecretsScreen(preview))
        if values is None:
            return None
        return (await self.dashboard.service.creation.create(preview, values=values)).id

    def heading(self, preview: Preview | None) -> Line:
        """Return the title with the step."""
        if preview is None:
            return (("New workspace", Tone.TITLE), ("  step 1 of 2: source", Tone.MUTED))
        return (
            ("New workspace", Tone.TITLE),
            ("  step 2 of 2: enter creates ", Tone.MUTED),
            (plain(preview.name), Tone.STRONG),
            (", esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: Preview, width: int) -> list[Line]:
        """Return facts, remarks about the devfile, and the job in full."""
        lines = facts(
            [
                ("name", preview.name),
                ("source", preview.source_url or "no repository"),
                ("ref", preview.ref or "the default branch"),
                ("devfile", preview.devfile_path or "none found: the default one is used"),
                ("context", preview.context),
                ("runs in", preview.isolation),
            ],
            width,
        )
        lines += remark_lines(preview, width)
        lines += [(), (("THE JOB", Tone.TITLE),)]
        for line in preview.job.rstrip("\n").split("\n"):
            lines += [((text, Tone.PLAIN),) for text in wrap(plain(line), width)]
        return lines


def remark_lines(preview: Preview, width: int) -> list[Line]:
    """Return the diagnostics of the devfile and the limitations of the context."""
    lines: list[Line] = []
    if preview.diagnostics:
        kind = "DEV CONTAINER" if (preview.devfile_path or "").endswith(".json") else "DEVFILE"
        lines += [(), ((f"REMARKS ABOUT THE {kind}", Tone.TITLE),)]
        for diagnostic in preview.diagnostics:
            lines += diagnostic_lines(diagnostic, width)
    if preview.limitations:
        lines += [(), (("LIMITATIONS OF THE CONTEXT", Tone.TITLE),)]
        for limitation in preview.limitations:
            lines += [((text, Tone.WARN),) for text in wrap(plain(limitation.text), width)]
            lines += [
                ((f"  {text}", Tone.PLAIN),) for text in wrap(plain(limitation.hint), width - 2) if text
            ]
    return lines


def diagnostic_lines(diagnostic: Diagnostic, width: int) -> list[Line]:
    """Return `line 7: warning: ...`, with the hint below."""
    tone = SEVERITIES.get(diagnostic.severity, Tone.PLAIN)
    place = (
        f"{plain(diagnostic.file)} line {diagnostic.line}" if diagnostic.file else f"line {diagnostic.line}"
    )
    head = f"{place}: {diagnostic.severity}: {plain(diagnostic.message)}"
    lines: list[Line] = [((text, tone),) for text in wrap(head, width)]
    if diagnostic.hint:
        lines += [((f"  {text}", Tone.PLAIN),) for text in wrap(plain(diagnostic.hint), width - 2)]
    return lines


def repository_here(folder: Path | None = None) -> str | None:
    """Return the repository that contains the folder (the current directory), as the default source."""
    here = folder or Path.cwd()
    for place in (here, *here.parents):
        if os.path.exists(place / ".git"):  # noqa: PTH110 - Path's raises where a folder cannot be entered
            return str(place)
    return None
