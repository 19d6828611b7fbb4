"""The form for a context of a GitLab: address, project and token, then the check, then the confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsdash.screens.form import Field, FormScreen, facts
from wsdash.screens.text.spans import Line, Tone, plain, wrap

if TYPE_CHECKING:
    from wsdash.backend.operations.connect_gitlab import ContextPreview
    from wsdash.config.settings import Context

LEVELS = {"ok": Tone.GOOD, "warning": Tone.WARN, "blocked": Tone.BAD}


class ConnectScreen(FormScreen[str, "ContextPreview"]):
    """Adds or changes a context of a GitLab. Returns its name. The first such context becomes the default."""

    FIELDS: Mapping[str, Field] = {
        "name": Field("Name", "a name of your choice, for example: work"),
        "url": Field("Address", "of the GitLab, for example https://gitlab.com"),
        "token": Field("Token", "with the scope api; empty to use one found on this machine", is_secret=True),
        "project": Field("Project", "group/name, whose runners run the workspaces; empty to see yours"),
        "placement": Field("Placement", "source: has the code (default); own: clones the code"),
        "tags": Field("Tags", "of the runners to use, separated by blanks; empty for any"),
        "access_host": Field("Access", "name or address by which runners reach this machine, for shells"),
        "ca_file": Field("CA file", "certificates, if the GitLab has its own authority"),
    }
    INTRO = "Workspaces run as CI jobs of a project. Nothing is saved before you confirm."
    LOOKING = "asking GitLab"
    VERTICAL_BREAKPOINTS = [(0, "-dense"), (30, "-tall")]  # noqa: RUF012

    async def look(self) -> ContextPreview:
        """Ask GitLab what the token may do in the project. Raises `WsdashError`."""
        from wsdash.backend.operations.connect_gitlab import ContextRequest

        request = ContextRequest(
            name=self.typed("name"),
            url=self.typed("url"),
            project=self.typed("project"),
            token=self.typed("token"),
            placement=self.typed("placement"),
            tags=tuple(self.typed("tags").split()),
            ca_file=self.typed("ca_file"),
            access_host=self.typed("access_host"),
        )
        return await self.dashboard.service.contexts.check_context(request)

    async def accept(self, preview: ContextPreview) -> str:
        """Write the context and its token. Raises `WsdashError`."""
        service = self.dashboard.service
        kept = await service.contexts.add_context(preview)
        config = await service.contexts.config()
        others = [c for c in config.contexts.values() if c.gitlab is not None and c.name != preview.name]
        if not others and config.contexts[config.default_context].gitlab is None:
            await service.contexts.use_context(preview.name)
        self.dashboard.notify_user(
            f"the context {preview.name} is added; its token is in {kept or preview.token_source}"
        )
        return preview.name

    def refusal(self, preview: ContextPreview) -> str:
        """Return a reason if no workspace could run there."""
        return "no workspace could run there; esc goes back" if preview.is_blocked else ""

    def heading(self, preview: ContextPreview | None) -> Line:
        """Return the title with the step."""
        title = ("Connect a GitLab", Tone.TITLE)
        if preview is None:
            return (title, ("  step 1 of 2: address and project", Tone.MUTED))
        if preview.is_blocked:
            return (title, ("  step 2 of 2: no workspace could run there; esc goes back", Tone.BAD))
        return (
            title,
            ("  step 2 of 2: enter adds ", Tone.MUTED),
            (plain(preview.name), Tone.STRONG),
            (", esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: ContextPreview, width: int) -> list[Line]:
        """Return the settings and GitLab's answers."""
        settings = preview.settings
        lines = facts(
            [
                ("name", preview.name),
                ("address", settings.url),
                ("project", settings.project),
                ("placement", settings.placement),
                ("tags", ", ".join(settings.tags) or "any runner"),
                ("token", preview.token_source or "the one you typed"),
                *([("access", preview.access_host)] if preview.access_host else []),
            ],
            width,
        )
        lines += [(), (("GITLAB'S ANSWER", Tone.TITLE),)]
        for finding in preview.findings:
            for index, text in enumerate(wrap(plain(finding.message), max(20, width - 10))):
                level = finding.level if index == 0 else ""
                lines.append(((f"{level:<10}", LEVELS[finding.level]), (text, Tone.PLAIN)))
            if finding.hint:
                lines += [
                    ((" " * 10 + text, Tone.STRONG),)
                    for text in wrap(plain(finding.hint), max(20, width - 10))
                ]
        return lines


def draft_of(context: Context) -> dict[str, str]:
    """Return the initial values of the form for a context that is changed."""
    settings = context.gitlab
    if settings is None:
        return {"name": context.name}
    return {
        "name": context.name,
        "url": settings.url,
        "project": settings.project,
        "placement": settings.placement,
        "tags": " ".join(settings.tags),
        "ca_file": settings.ca_file or "",
    }
