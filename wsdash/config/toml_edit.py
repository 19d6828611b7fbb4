"""Places in, and small changes to, the text of a TOML file, so that a user's comments and order stay.

`tomllib` tells no positions: `line_of` knows the layout that people write by hand, one key a line and tables with
headers. tomlkit changes the rest.
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
    """The line (from 1) where the key or table of this path is set, or else its nearest parent."""
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
    """The text with this key above all tables set to the value. Raises ValueError where it is no TOML."""
    import tomlkit  # not needed to read

    document = tomlkit.parse(text)
    document[key] = value
    return tomlkit.dumps(document)


def without_table(text: str, path: tuple[str, ...]) -> str:
    """The text without this table and those inside it. Raises ValueError where it is no TOML."""
    import tomlkit  # not needed to read

    document = tomlkit.parse(text)
    *parents, name = path
    table: MutableMapping[str, Any] = document
    for parent in parents:
        table = table.get(parent, {})
    if name in table:
        del table[name]
    return tomlkit.dumps(document)


def with_table(text: str, path: tuple[str, ...], values: Mapping[str, object]) -> str:
    """The text with this table, in place of one of that path. Raises ValueError where it is no TOML."""
    import tomlkit  # not needed to read

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


def quoted(text: str) -> str:
    """A text as a TOML basic string, which JSON's strings are."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(path))
