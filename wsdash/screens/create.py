"""Create a workspace: what to make it from, then the job that it will run, then yes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from wsdash.actions import Where
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.widgets.keybar import KeyBar
from wsdash.screens.widgets.lines import Builder, LineScroll, LineView
from wsdash.screens.widgets.text import Line, Tone, fit, plain, wrap

if TYPE_CHECKING:
    from wsdash.backend.service import Preview
    from wsdash.devfile import Diagnostic

FIELDS: dict[str, tuple[str, str]] = {
    "source": ("Source", "URL or path of a Git repository; empty for none"),
    "ref": ("Ref", "branch, tag or commit; empty for the default branch"),
    "devfile": ("Devfile", "path in the repository, or of a file here; empty to look for one"),
    "name": ("Name", "lower-case letters, digits and dashes; empty for one made from the source"),
}
SEVERITIES = {"error": Tone.BAD, "warning": Tone.WARN, "info": Tone.MUTED}
Draft = dict[str, str]


class CreateScreen(WsdashScreen[str | None]):
    """Answers the new workspace's id. What is typed is kept in `draft`, whatever happens."""

    WHERE: ClassVar[Where] = Where.FORM
    BINDINGS = bindings_of(Where.FORM)

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._preview: Preview | None = None
        self._progress = ""
        self._errors: dict[str, tuple[str, str]] = {}

    def compose(self) -> ComposeResult:
        yield LineView(self._heading, id="head")
        with Vertical(id="form"):
            yield LineView(self._intro, id="intro", margin=0)
            for name, (label, hint) in FIELDS.items():
                with Horizontal(classes="field"):
                    yield LineView(_label(label), classes="label", margin=0)
                    field = Input(self._draft.get(name, ""), placeholder=hint, id=name, compact=True)
                    field.cursor_blink = False
                    yield field
                yield LineView(
                    self._error_builder(name),
                    id=f"{name}-error",
                    classes="error",
                )
            yield LineView(self._progress_line, id="progress", margin=0)
        with Vertical(id="preview"):
            yield LineScroll(self._preview_lines, id="job")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        self.query_one("#source", Input).focus()

    def movable(self) -> LineScroll:
        return self.query_one(LineScroll)

    # Doing

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._draft[event.input.id or ""] = event.value
        if self._errors.pop(event.input.id or "", None):
            self._redraw()

    @on(Input.Submitted)
    async def _submitted(self) -> None:
        await self.action_act("form.accept")

    def do_form_accept(self) -> None:
        if self._preview is None:
            self.spawn(self._look(), "preview", exclusive=True)
        else:
            self.spawn(self._create(self._preview), "create", exclusive=True)

    def do_view_back(self) -> None:
        if self._progress:
            self.workers.cancel_group(self, "preview")
            self._show_progress("")
        elif self._preview is not None:
            self._show_preview(None)
        else:
            self.dismiss(None)

    async def do_view_close(self) -> None:
        self.dismiss(None)

    async def _look(self) -> None:
        """Have the source looked at; what is wrong is shown beside its field."""
        from wsdash.backend.service import CreateRequest, UserError

        def typed(field: str) -> str | None:
            return self._draft.get(field, "").strip() or None

        self._errors = {}
        self._show_progress("looking at the repository")
        request = CreateRequest(typed("source"), typed("ref"), typed("devfile"), typed("name"), "")
        try:
            preview = await self.dashboard.service.preview(request, self._show_progress)
        except UserError as error:
            self._refuse(error)
        else:
            self._show_preview(preview)
        finally:
            self._show_progress("")

    async def _create(self, preview: Preview) -> None:
        from wsdash.backend.service import UserError

        try:
            made = await self.dashboard.service.create(preview)
        except UserError as error:
            self._show_preview(None)
            self._refuse(error)
            return
        self._draft.clear()
        self.dismiss(made.id)

    def _refuse(self, error: Exception) -> None:
        field = getattr(error, "field", "") or "source"
        self._errors[field] = (str(error), getattr(error, "hint", ""))
        self._redraw()
        self.query_one(f"#{field}", Input).focus()

    def _show_progress(self, text: str) -> None:
        self._progress = text
        if self.is_mounted:
            self.query_one("#progress", LineView).rebuild()

    def _show_preview(self, preview: Preview | None) -> None:
        self._preview = preview
        self.set_class(preview is not None, "-previewed")
        if preview is not None:
            self.query_one(LineScroll).move_to_end(last=False)
            self.query_one(LineScroll).focus()
        else:
            self.query_one("#source", Input).focus()
        self._redraw()

    # What stands on the screen

    def _redraw(self) -> None:
        for view in self.query(LineView):
            view.styles.height = None
            if view.has_class("error"):
                view.set_class(bool(self._errors.get((view.id or "").removesuffix("-error"))), "-shown")
            view.rebuild()
        self.query_one(LineScroll).rebuild()

    def _heading(self, width: int, _height: int) -> list[Line]:
        if self._preview is None:
            return [(("New workspace", Tone.TITLE), ("  step 1 of 2: what to make it from", Tone.MUTED))]
        return [
            (
                ("New workspace", Tone.TITLE),
                ("  step 2 of 2: enter creates ", Tone.MUTED),
                (plain(self._preview.name), Tone.STRONG),
                (", esc goes back", Tone.MUTED),
            )
        ]

    def _intro(self, width: int, height: int) -> list[Line]:
        text = "Nothing runs before you have seen the job. All fields may be left empty."
        return [((line, Tone.MUTED),) for line in wrap(text, width, most=height)]

    def _error_builder(self, field: str) -> Builder:
        return lambda width, _height: self._error_lines(field, width)

    def _error_lines(self, field: str, width: int) -> list[Line]:
        message, hint = self._errors.get(field, ("", ""))
        lines: list[Line] = [((text, Tone.BAD),) for text in wrap(plain(message), width, most=2)]
        lines += [((text, Tone.PLAIN),) for text in wrap(plain(hint), width, most=2) if text]
        return lines

    def _progress_line(self, width: int, _height: int) -> list[Line]:
        if not self._progress:
            return [(("enter", Tone.KEY), (" goes on, tab to the next field, esc cancels", Tone.MUTED))]
        glyph = self.dashboard.glyphs.running
        return [((fit(f"{glyph} {plain(self._progress)} ... esc stops it", width).rstrip(), Tone.BUSY),)]

    def _preview_lines(self, width: int, _height: int) -> list[Line]:
        return preview_lines(self._preview, width) if self._preview is not None else []


def _label(text: str) -> Builder:
    return lambda _width, _height: [((text, Tone.STRONG),)]


def preview_lines(preview: Preview, width: int) -> list[Line]:
    """Facts, remarks about the devfile, and the job in full."""
    facts = [
        ("name", preview.name),
        ("source", preview.source_url or "no repository"),
        ("ref", preview.ref or "the default branch"),
        ("devfile", preview.devfile_path or "none found: the default one is used"),
        ("runs in", preview.isolation),
    ]
    lines: list[Line] = [
        ((fit(label, 10), Tone.MUTED), (text, Tone.PLAIN))
        for label, value in facts
        for text in wrap(plain(value), max(20, width - 10), most=1)
    ]
    if preview.diagnostics:
        lines += [(), (("REMARKS ABOUT THE DEVFILE", Tone.TITLE),)]
        for diagnostic in preview.diagnostics:
            lines += diagnostic_lines(diagnostic, width)
    lines += [(), (("THE JOB", Tone.TITLE),)]
    for line in preview.job.rstrip("\n").split("\n"):
        lines += [((text, Tone.PLAIN),) for text in wrap(plain(line), width)]
    return lines


def diagnostic_lines(diagnostic: Diagnostic, width: int) -> list[Line]:
    """`line 7: warning: ...`, and what to do below."""
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
    """The repository that the user stands in, to be suggested as the source."""
    here = folder or Path.cwd()
    for place in (here, *here.parents):
        if (place / ".git").exists():
            return str(place)
    return None
