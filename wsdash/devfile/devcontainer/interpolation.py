"""Variables in compose files and the `.env` file (the Compose Specification, "Interpolation")."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-+?])(?P<word>[^{}]*))?\})"
)
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(['"])(.*?)\1\s*(?:#.*)?""")
_COMMENT = re.compile(r"\s+#")
LARGEST = 256 * 1024


def interpolate(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replace variables in the text; also return the names that have no value. `$$` is a `$`."""
    missing: list[str] = []

    def value(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        name, operator, word = found["plain"] or found["name"], found["operator"] or "", found["word"] or ""
        known = environ.get(name)
        has = known is not None and (known != "" or not operator.startswith(":"))
        if operator.endswith("-"):
            return known if has and known is not None else word
        if operator.endswith("+"):
            return word if has else ""
        if known is None:
            missing.append(name)
        return known or ""

    return _VARIABLE.sub(value, text), list(dict.fromkeys(missing))


def dotenv(data: bytes | None) -> dict[str, str]:
    """Parse a `.env` file: one variable a line, quotes removed. Other lines are skipped."""
    found: dict[str, str] = {}
    text = (data or b"")[:LARGEST].decode("utf-8", "replace").replace("\0", "")
    for line in text.splitlines():
        match = None if line.lstrip().startswith("#") else _LINE.fullmatch(line)
        if match is None:
            continue
        quoted = _QUOTED.fullmatch(match[2])
        found[match[1]] = quoted[2] if quoted else _COMMENT.split(match[2], maxsplit=1)[0]
    return found
