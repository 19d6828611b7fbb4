"""Collects findings about a Dev Container, and reads its values with a finding where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping

from wsdash.devfile.diagnostics import Diagnostic, show
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.parse.tree import Array, Finding, KeyPath, Object, Tree, Value


class Report:
    """Findings about one file; `file` is set for those beside the Dev Container itself."""

    def __init__(self, tree: Tree, file: str | None = None) -> None:
        self._tree = tree
        self._file = file
        self.diagnostics: list[Diagnostic] = []

    def add(self, code: str, path: KeyPath, message: str, hint: str = "", *, on_key: bool = False) -> None:
        """Note it. Hostile files could have very many, of which more than are shown are not kept."""
        if len(self.diagnostics) <= 10 * MAX_DIAGNOSTICS:
            found = Finding(code, path, message, hint, on_key).located(self._tree)
            file = found.file or self._file
            self.diagnostics.append(
                Diagnostic(found.line, found.column, found.severity, code, found.message, found.hint, file)
            )

    def wrong(self, path: KeyPath, value: object, right: str) -> None:
        """A value that is not what the property takes."""
        named = show(path[-1])[1:-1] if path else "this"
        message = f"{named} is left out: {show(value)} is not {right}"
        self.add("devcontainer.type", path, message, f"write {right}")

    def text(self, holder: Object, key: str, path: KeyPath) -> str | None:
        """A text without NUL; None where there is none."""
        value = holder.get(key)
        if value is None:
            return None
        if isinstance(value, str) and "\0" not in value:
            return value
        self.wrong((*path, key), value, "a text")
        return None

    def mapping(self, holder: Object, key: str, path: KeyPath = ()) -> Object:
        """A mapping; an empty one where there is none."""
        value = holder.get(key)
        if isinstance(value, Object):
            return value
        if value is not None:
            self.wrong((*path, key), value, "a mapping")
        return Object()

    def items(self, holder: Object, key: str, path: KeyPath = ()) -> list[tuple[KeyPath, Value]]:
        """The items of a list with their places; none where there is none."""
        value = holder.get(key)
        if isinstance(value, Array):
            return [((*path, key, index), item) for index, item in enumerate(value)]
        if value is not None:
            self.wrong((*path, key), value, "a list")
        return []


def texts(values: Mapping[str, Value]) -> dict[str, str]:
    """What of a mapping is text, numbers and flags being written as JSON does."""
    return {key: plain for key, value in values.items() if (plain := plain_text(value)) is not None}


def plain_text(value: Value) -> str | None:
    """A scalar as a text, None for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None
