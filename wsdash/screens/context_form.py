"""Connect to a GitLab: its address and a project, then what the token may do there, then yes."""

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
    """Answers the context's name. The first one that is not local becomes the default one."""

    FIELDS: Mapping[str, Field] = {
        "name": Field("Name", "what you call this context, for example: work"),
        "url": Field("Address", "of the GitLab, for example https://gitlab.com"),
        "token": Field(
            "Token", "with the scope api; empty for one that other programs have here", is_secret=True
        ),
        "project": Field("Project", "group/name, whose runners run the workspaces; empty to see yours"),
        "placement": Field("Placement", "source (it holds the code) or own (it clones it); empty: source"),
        "tags": Field("Tags", "of the runners to use, with blanks between them; empty for any"),
        "ca_file": Field("CA file", "certificates, where the GitLab has an authority of its own"),
    }
    INTRO = "Workspaces run as CI jobs of a project. You see first what GitLab says."
    LOOKING = "asking GitLab"
    VERTICAL_BREAKPOINTS = [(0, "-dense"), (30, "-tall")]  # noqa: RUF012

    async def look(self) -> ContextPreview:
        from wsdash.backend.operations.connect_gitlab import ContextRequest

        request = ContextRequest(
            name=self.typed("name"),
            url=self.typed("url"),
            project=self.typed("project"),
            token=self.typed("token"),
            placement=self.typed("placement"),
            tags=tuple(self.typed("tags").split()),
            ca_file=self.typed("ca_file"),
        )
        return await self.dashboard.service.contexts.check_context(request)

    async def accept(self, preview: ContextPreview) -> str:
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
        return "no workspace would run there; esc goes back" if preview.is_blocked else ""

    def heading(self, preview: ContextPreview | None) -> Line:
        title = ("Connect a GitLab", Tone.TITLE)
        if preview is None:
            return (title, ("  step 1 of 2: where", Tone.MUTED))
        if preview.is_blocked:
            return (title, ("  step 2 of 2: no workspace would run there; esc goes back", Tone.BAD))
        return (
            title,
            ("  step 2 of 2: enter adds ", Tone.MUTED),
            (plain(preview.name), Tone.STRONG),
            (", esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: ContextPreview, width: int) -> list[Line]:
        settings = preview.settings
        lines = facts(
            [
                ("name", preview.name),
                ("address", settings.url),
                ("project", settings.project),
                ("placement", settings.placement),
                ("tags", ", ".join(settings.tags) or "any runner"),
                ("token", preview.token_source or "the one you typed"),
            ],
            width,
        )
        lines += [(), (("WHAT GITLAB SAYS", Tone.TITLE),)]
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
    """What the form begins with when a context is changed."""
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
