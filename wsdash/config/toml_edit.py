"""Finds places in a TOML text and edits it, keeping the user's comments and order.

`tomllib` gives no positions: `line_of` understands the layout that people write by hand, one key a line and
tables with headers. tomlkit makes the changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

_HEADER = re.compile(r"\s*\[\[?(?P<path>[^\[\]]+)\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*(?P<path>(?:[\w-]+|\"[^\"]*\"|'[^']*'|\s*\.\s*)+?)\s*=")
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line (from 1) that sets the key or table of this path, or else its nearest parent."""
    best: tuple[int, int | None] = (0, None)
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            found = table = _parts(header["path"])
        elif key := _KEY.match(line):
            found = (*table, *_parts(key["path"]))
        else:
            continue
        if path[: len(found)] == found and len(found) > best[0]:
            best = (len(found), number)
    return best[1]


def with_top_level(text: str, key: str, value: object) -> str:
    """Return the text with this key set above all tables. Raises ValueError for invalid TOML."""
    import tomlkit  # only needed to write

    document = tomlkit.parse(text)
    document[key] = value
    return tomlkit.dumps(document)


def without_table(text: str, path: tuple[str, ...]) -> str:
    """Return the text without this table and its subtables. Raises ValueError for invalid TOML."""
    import tomlkit  # only needed to write

    document = tomlkit.parse(text)
    *parents, name = path
    table: MutableMapping[str, Any] = document
    for parent in parents:
        table = table.get(parent, {})
    if name in table:
        del table[name]
    return tomlkit.dumps(document)


def with_table(text: str, path: tuple[str, ...], values: Mapping[str, object]) -> str:
    """Return the text with this table, which replaces one of the same path. Raises ValueError for invalid TOML."""
    import tomlkit  # only needed to write

    document = tomlkit.parse(text)
    *parents, name = path
    table: MutableMapping[str, Any] = document
    for parent in parents:
        if parent not in table:
            table[parent] = tomlkit.table(is_super_table=True)
        table = table[parent]
    new = tomlkit.table()
    new.update(values)
    table[name] = new
    return tomlkit.dumps(document)


def with_values(text: str, path: tuple[str, ...], values: Mapping[str, object]) -> str:
    """Return the text with these keys in this table, which keeps its others. Raises ValueError for invalid TOML."""
    import tomlkit  # not needed to read

    document = tomlkit.parse(text)
    table: MutableMapping[str, Any] = document
    for name in path:
        if name not in table:
            table[name] = tomlkit.table()
        table = table[name]
    table.update(values)
    return tomlkit.dumps(document)


def quoted(text: str) -> str:
    """Return a text as a TOML basic string, which has the syntax of a JSON string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(path))
