"""The form that applies the current devfile: choices, then the changes of the job, then the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsdash.screens.create_form import remark_lines
from wsdash.screens.form import Field, FormScreen
from wsdash.screens.text.spans import Line, Tone, plain, wrap

if TYPE_CHECKING:
    from wsdash.backend.service import Update
    from wsdash.model import Workspace

TONES = {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.MUTED}


class UpdateScreen(FormScreen["Workspace", "Update"]):
    """Applies the current devfile of a workspace. Returns the workspace."""

    FIELDS: Mapping[str, Field] = {
        "component": Field("Component", "of the devfile, to work in; empty for the main component"),
        "image": Field("Image", "a container image in place of the one that the devfile names"),
    }
    INTRO = "Repeat the choices made when it was created. You see the changes first."
    LOOKING = "reading the repository"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__({})
        self._workspace = workspace

    async def look(self) -> Update:
        """Read the devfile again, and return the changes of the job. Raises `WsdashError`."""
        from wsdash.backend.service import CreateRequest

        choices = CreateRequest(None, main=self.typed("component") or None, image=self.typed("image") or None)
        return await self.dashboard.service.updates.preview_update(
            self._workspace.id, choices, self.show_progress
        )

    def refusal(self, preview: Update) -> str:
        """Return a reason if nothing changes."""
        return "" if preview.changes else f"{self._workspace.name} already runs its current devfile"

    async def accept(self, preview: Update) -> Workspace | None:
        """Update the workspace; ask first if its work cannot be saved. Raises `WsdashError`."""
        from wsdash.backend.errors import NotSaved

        try:
            await self.dashboard.service.updates.update(preview)
        except NotSaved as error:
            if not await self._is_wanted_unsaved(error):
                return None
            await self.dashboard.service.updates.update(preview, unsaved=True)
        return self._workspace

    async def _is_wanted_unsaved(self, error: Exception) -> bool | None:
        from wsdash.screens.confirm import ConfirmScreen

        message = str(error)
        question = ConfirmScreen(
            "Update",
            {self._workspace.id: self._workspace.name},
            "Work since the last checkpoint is lost if the job ends now.",
            warnings=[f"{message[0].upper()}{message[1:]}."],
        )
        return await self.app.push_screen_wait(question)

    def heading(self, preview: Update | None) -> Line:
        """Return the title with the step."""
        name = (plain(self._workspace.name), Tone.STRONG)
        if preview is None:
            return (("Update ", Tone.TITLE), name, ("  step 1 of 2: choices", Tone.MUTED))
        if not preview.changes:
            return (("Update ", Tone.TITLE), name, ("  no changes, esc goes back", Tone.MUTED))
        return (
            ("Update ", Tone.TITLE),
            name,
            ("  step 2 of 2: enter applies this, esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: Update, width: int) -> list[Line]:
        """Return remarks about the devfile, and the changes of the job."""
        if not preview.changes:
            return [((f"{plain(self._workspace.name)} already runs its current devfile.", Tone.GOOD),)]
        lines = [*remark_lines(preview.preview, width), (), (("CHANGES OF ITS JOB", Tone.TITLE),)][1:]
        for line in preview.changes:
            tone = TONES.get(line[:1], Tone.PLAIN)
            lines += [((text, tone),) for text in wrap(plain(line), width)]
        return lines
