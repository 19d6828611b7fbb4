"""Collects findings about a Dev Container, and reads its values with a finding for each wrong one."""

from __future__ import annotations

from collections.abc import Mapping

from wsdash.devfile.diagnostics import Diagnostic, show
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.parse.tree import Array, Finding, KeyPath, Object, Tree, Value


class Report:
    """Findings about one file; `file` is set for files other than the Dev Container itself."""

    def __init__(self, tree: Tree, file: str | None = None) -> None:
        self._tree = tree
        self._file = file
        self.diagnostics: list[Diagnostic] = []

    def add(self, code: str, path: KeyPath, message: str, hint: str = "", *, on_key: bool = False) -> None:
        """Add a finding. At most as many as are shown are kept, because hostile files could cause very many."""
        if len(self.diagnostics) <= 10 * MAX_DIAGNOSTICS:
            found = Finding(code, path, message, hint, on_key).located(self._tree)
            file = found.file or self._file
            self.diagnostics.append(
                Diagnostic(found.line, found.column, found.severity, code, found.message, found.hint, file)
            )

    def wrong(self, path: KeyPath, value: object, right: str) -> None:
        """Report a value that the property does not accept."""
        named = show(path[-1])[1:-1] if path else "this"
        message = f"{named} is left out: {show(value)} is not {right}"
        self.add("devcontainer.type", path, message, f"write {right}")

    def text(self, holder: Object, key: str, path: KeyPath) -> str | None:
        """Return a text without NUL; None where there is none."""
        value = holder.get(key)
        if value is None:
            return None
        if isinstance(value, str) and "\0" not in value:
            return value
        self.wrong((*path, key), value, "a text")
        return None

    def mapping(self, holder: Object, key: str, path: KeyPath = ()) -> Object:
        """Return a mapping; an empty one where there is none."""
        value = holder.get(key)
        if isinstance(value, Object):
            return value
        if value is not None:
            self.wrong((*path, key), value, "a mapping")
        return Object()

    def items(self, holder: Object, key: str, path: KeyPath = ()) -> list[tuple[KeyPath, Value]]:
        """Return the items of a list with their places; none where there is no list."""
        value = holder.get(key)
        if isinstance(value, Array):
            return [((*path, key, index), item) for index, item in enumerate(value)]
        if value is not None:
            self.wrong((*path, key), value, "a list")
        return []


def texts(values: Mapping[str, Value]) -> dict[str, str]:
    """Return the scalars of a mapping as texts, numbers and booleans written as in JSON."""
    return {key: plain for key, value in values.items() if (plain := plain_text(value)) is not None}


def plain_text(value: Value) -> str | None:
    """Return a scalar as a text, None for any other value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None
