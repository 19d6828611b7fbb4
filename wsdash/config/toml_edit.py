"""Places in, and small changes to, the text of a TOML file, so that a user's comments and order stay.

`tomllib` tells no positions and writes nothing. These functions know the layout that people write by hand:
one key a line, tables with headers. What they change is checked by whoever calls, by parsing it again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

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


def with_top_level(text: str, key: str, value: str) -> str:
    """The text with this key above all tables set to the value, which is already TOML."""
    lines = text.splitlines(keepends=True)
    first_table = next(
        (n for n, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip("\n"))), len(lines)
    )
    for number, line in enumerate(lines[:first_table]):
        found = _KEY.match(line)
        if found and _parts(found["path"]) == (key,):
            lines[number] = f"{key} = {value}\n"
            return "".join(lines)
    return f"{key} = {value}\n" + ("\n" if lines and first_table == 0 else "") + text


def without_table(text: str, path: tuple[str, ...]) -> str:
    """The text without this table and those inside it."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if header := _HEADER.fullmatch(line.rstrip("\n")):
            inside = _parts(header["path"])[: len(path)] == path
        if not inside:
            kept.append(line)
    return "".join(kept)


def with_table(text: str, path: tuple[str, ...], values: Mapping[str, object]) -> str:
    """The text with this table at its end, in place of one of that path."""
    before = without_table(text, path).rstrip("\n")
    header = f"[{'.'.join(part if _PART.fullmatch(part) else quoted(part) for part in path)}]"
    lines = [f"{key} = {literal(value)}" for key, value in values.items()]
    return "\n".join([*([before, ""] if before else []), header, *lines]) + "\n"


def literal(value: object) -> str:
    """A text, a number, a truth or a sequence of texts as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(quoted(str(item)) for item in value)}]"
    return quoted(str(value))


def quoted(text: str) -> str:
    """A text as a TOML basic string, which JSON's strings are."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(path))
