"""A form in two steps: fields, then a preview to confirm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from wsdash.screens.action import Action, Group, ScreenKind
from wsdash.screens.base import Result, WsdashScreen, bindings_of
from wsdash.screens.text.spans import Line, Tone, fit, plain, wrap
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import Builder, LineScroll, LineView

Draft = dict[str, str]
Preview = TypeVar("Preview")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. `hint` is shown while it is empty. A secret is masked and not kept in the draft."""

    label: str
    hint: str
    is_secret: bool = False


class FormScreen(WsdashScreen[Result | None], Generic[Result, Preview]):
    """A form that returns the result of `accept`. The typed values are kept in `draft`, also after an error."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.FORM
    BINDINGS = bindings_of(ScreenKind.FORM)
    FIELDS: Mapping[str, Field]
    INTRO: ClassVar[str]
    LOOKING: ClassVar[str]
    """The text shown while the preview is made."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._preview: Preview | None = None
        self._progress = ""
        self._errors: dict[str, tuple[str, str]] = {}
        self._details: tuple[str, ...] = ()
        """Details of an error, shown before the user goes back to the fields."""

    @abstractmethod
    async def look(self) -> Preview:
        """Return the preview for the typed values. Raises `WsdashError` with its field."""

    @abstractmethod
    async def accept(self, preview: Preview) -> Result | None:
        """Carry it out; None shows the form again. Raises `WsdashError` with its field."""

    @abstractmethod
    def heading(self, preview: Preview | None) -> Line:
        """Return the first line of the screen, in either step."""

    @abstractmethod
    def preview_lines(self, preview: Preview, width: int) -> list[Line]:
        """Return the text that the user confirms."""

    def refusal(self, preview: Preview) -> str:
        """Return why the preview cannot be confirmed; empty if it can."""
        return ""

    def typed(self, field: str) -> str:
        """Return the value of a field, without blanks around it."""
        return self.query_one(f"#{field}", Input).value.strip()

    def compose(self) -> ComposeResult:
        """Yield heading, fields, preview and key bar."""
        yield LineView(self._heading, id="head")
        with Vertical(id="form"):
            yield LineView(self._intro, id="intro", margin=0)
            for name, field in self.FIELDS.items():
                with Horizontal(classes="field"):
                    yield LineView(_label(field.label), classes="label", margin=0)
                    typed = Input(
                        self._draft.get(name, ""),
                        placeholder=field.hint,
                        id=name,
                        compact=True,
                        password=field.is_secret,
                    )
                    typed.cursor_blink = False
                    yield typed
                yield LineView(self._error_builder(name), id=f"{name}-error", classes="error")
            yield LineView(self._progress_line, id="progress", margin=0)
        with Vertical(id="preview"):
            yield LineScroll(self._preview_lines, id="job")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Focus the first field."""
        self._first.focus()

    @property
    def _first(self) -> Input:
        return self.query_one(f"#{next(iter(self.FIELDS))}", Input)

    def why_not(self, action: Action) -> str | None:
        """Return a reason for the scrolling keys too, if there is no text to scroll."""
        if action.group is Group.MOVE and self._preview is None and not self._details:
            return "there is nothing to scroll yet"
        return super().why_not(action)

    def movable(self) -> LineScroll:
        """Return the preview."""
        return self.query_one(LineScroll)

    # Doing

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = event.input.id or ""
        if not self.FIELDS[name].is_secret:
            self._draft[name] = event.value
        if self._errors.pop(name, None):
            self._redraw()

    @on(Input.Submitted)
    async def _submitted(self) -> None:
        await self.action_perform("form.accept")

    def action_form_accept(self) -> None:
        """Show the preview, or confirm it."""
        if self._details:
            self._show_preview(None)
        elif self._preview is None:
            self.spawn(self._look(), "preview", exclusive=True)
        elif reason := self.refusal(self._preview):
            self.dashboard.notify_user(reason, severity="warning")
        else:
            self.spawn(self._accept(self._preview), "accept", exclusive=True)

    def action_view_back(self) -> None:
        """Cancel the preview that is being made, or go back to the fields, or close the form."""
        if self._progress:
            self.workers.cancel_group(self, "preview")
            self.show_progress("")
        elif self._preview is not None or self._details:
            self._show_preview(None)
        else:
            self.dismiss(None)

    async def action_view_close(self) -> None:
        """Close the form."""
        self.dismiss(None)

    async def _look(self) -> None:
        """Make the preview; an error is shown beside its field."""
        from wsdash.backend.service import WsdashError

        self._errors = {}
        self.show_progress(self.LOOKING)
        try:
            preview = await self.look()
        except WsdashError as error:
            self._refuse(error)
        else:
            self._show_preview(preview)
        finally:
            self.show_progress("")

    async def _accept(self, preview: Preview) -> None:
        from wsdash.backend.service import WsdashError

        try:
            result = await self.accept(preview)
        except WsdashError as error:
            self._show_preview(None)
            self._refuse(error)
            return
        if result is not None:
            self._draft.clear()
            self.dismiss(result)

    def _refuse(self, error: Exception) -> None:
        field = getattr(error, "field", "")
        field = field if field in self.FIELDS else next(iter(self.FIELDS))
        self._errors[field] = (str(error), getattr(error, "hint", ""))
        details: tuple[str, ...] = getattr(error, "details", ())
        if details:
            self._show_preview(None, details)
            return
        self._redraw()
        self.query_one(f"#{field}", Input).focus()

    def show_progress(self, text: str) -> None:
        """Show the current step of the preview; an empty text removes it."""
        self._progress = text
        if self.is_mounted:
            self.query_one("#progress", LineView).rebuild()

    def _show_preview(self, preview: Preview | None, details: tuple[str, ...] = ()) -> None:
        """Show the preview or the details of an error; with neither, the fields."""
        self._preview, self._details = preview, details
        is_text = preview is not None or bool(details)
        self.set_class(is_text, "-previewed")
        if is_text:
            self.ask(self.query_one("#head", LineView))
            self.query_one(LineScroll).move_to_end(last=False)
            self.query_one(LineScroll).focus()
        else:
            wrong = next(iter(self._errors), None)
            (self.query_one(f"#{wrong}", Input) if wrong else self._first).focus()
        self._redraw()

    # Drawing

    def _redraw(self) -> None:
        for view in self.query(LineView):
            view.styles.height = None
            if view.has_class("error"):
                view.set_class(bool(self._errors.get((view.id or "").removesuffix("-error"))), "-shown")
            view.rebuild()
        self.query_one(LineScroll).rebuild()

    def _heading(self, _width: int, _height: int) -> list[Line]:
        if self._details:
            return [(("This must be fixed first", Tone.BAD), ("  esc goes back to the fields", Tone.MUTED))]
        return [self.heading(self._preview)]

    def _intro(self, width: int, height: int) -> list[Line]:
        return [((line, Tone.MUTED),) for line in wrap(self.INTRO, width, most=height)]

    def _error_builder(self, field: str) -> Builder:
        return lambda width, _height: self._error_lines(field, width)

    def _error_lines(self, field: str, width: int) -> list[Line]:
        message, hint = self._errors.get(field, ("", ""))
        lines: list[Line] = [((text, Tone.BAD),) for text in wrap(plain(message), width, most=2)]
        lines += [((text, Tone.PLAIN),) for text in wrap(plain(hint), width, most=2) if text]
        return lines

    def _progress_line(self, width: int, _height: int) -> list[Line]:
        if not self._progress:
            return [
                (("enter", Tone.KEY), (" continues, tab moves to the next field, esc cancels", Tone.MUTED))
            ]
        glyph = self.dashboard.glyphs.running
        return [((fit(f"{glyph} {plain(self._progress)} ... esc stops it", width).rstrip(), Tone.BUSY),)]

    def _preview_lines(self, width: int, _height: int) -> list[Line]:
        if self._details:
            return [((text, Tone.PLAIN),) for line in self._details for text in _unmoved(plain(line), width)]
        return self.preview_lines(self._preview, width) if self._preview is not None else []


def _unmoved(line: str, width: int) -> list[str]:
    """Wrap a line; a quoted line of a file and its caret are cut instead, so that they stay aligned."""
    return [line[:width]] if line.startswith("    ") else wrap(line, width)


def facts(pairs: list[tuple[str, str]], width: int) -> list[Line]:
    """Return one line for each pair of label and value."""
    return [
        ((fit(label, 10), Tone.MUTED), (text, Tone.PLAIN))
        for label, value in pairs
        for text in wrap(plain(value), max(20, width - 10), most=1)
    ]


def _label(text: str) -> Builder:
    return lambda _width, _height: [((text, Tone.STRONG),)]
