"""Names the elements of a devfile in messages."""

from __future__ import annotations

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Array, KeyPath, Object, Tree, Value

_SINGULAR = {
    "components": "component",
    "commands": "command",
    "projects": "project",
    "starterProjects": "starter project",
    "dependentProjects": "dependent project",
    "endpoints": "endpoint",
    "volumeMounts": "volume mount",
    "env": "environment variable",
}


def describe(path: KeyPath, value: Value = None) -> str:
    """Describe an element, by its name if it has one: `component "dev"`."""
    if not path:
        return "the devfile"
    if isinstance(path[-1], int) and len(path) > 1:
        kind = _SINGULAR.get(str(path[-2]), f"item of {path[-2]}")
        name = (value.get("name") or value.get("id")) if isinstance(value, Object) else None
        return f"{kind} {show(name)}" if isinstance(name, str) else f"{kind} {path[-1] + 1}"
    return str(path[-1])


def owner(tree: Tree, path: KeyPath) -> str:
    """Describe the named element around the value at `path`, for the end of a phrase: ` of component "dev"`."""
    for end in range(len(path) - 1, 0, -1):
        if isinstance(path[end - 1], int) and isinstance(value := tree.get(path[:end]), Object):
            return f" of {describe(path[:end], value)}"
    return f" of {path[0]}" if len(path) > 1 else ""


def kind_of(value: Value) -> str:
    """Describe the type of a value."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value:g}" if isinstance(value, float) else f"the number {show(value)[1:-1]}"
    if isinstance(value, str):
        return f"the string {show(value)}"
    return "a list" if isinstance(value, Array) else "a mapping"
