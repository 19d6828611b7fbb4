"""Draws the rooms of wsdash and the imports between them, as Mermaid for docs/architecture.md.

python -m scripts.rooms          # print the picture
python -m scripts.rooms --write  # put it into docs/architecture.md
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- rooms: python -m scripts.rooms --write -->\n", "<!-- end of rooms -->\n"
OPENED = ("wsdash", "wsdash.backend", "wsdash.backend.providers")
"""Packages that are drawn as their parts; every other package is one room."""


def room_of(module: str) -> str:
    """The room that a module lies in, by its dotted name: `wsdash.backend.store.reader` is in `backend.store`."""
    parts = module.split(".")
    for end in range(1, len(parts)):
        if ".".join(parts[:end]) not in OPENED:
            return ".".join(parts[1:end])
    return ".".join(parts[1:])


def modules() -> dict[str, Path]:
    """Every module of wsdash by its dotted name, but for the packages that only hold others."""
    found = {}
    for path in sorted((ROOT / "wsdash").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if name not in OPENED}


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows() -> set[tuple[str, str]]:
    """Pairs of rooms, the first of which imports the second."""
    known = modules()
    found = set()
    for name, path in known.items():
        for imported in imports(path):
            target = imported if imported in known else imported.rpartition(".")[0]
            if target in known and room_of(target) != room_of(name):
                found.add((room_of(name), room_of(target)))
    return found


def picture() -> str:
    """The rooms as a Mermaid flow chart. An arrow that others imply already is left out."""
    pairs = arrows()
    below: dict[str, set[str]] = {}
    for one, other in pairs:
        below.setdefault(one, set()).add(other)

    def reached(room: str, seen: set[str]) -> set[str]:
        for other in below.get(room, set()) - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    direct = {
        (one, other)
        for one, other in pairs
        if not any(other in reached(between, set()) for between in below[one] - {other})
    }
    lines = [f"    {one} --> {other}" for one, other in sorted(direct)]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"]) + "\n"


def with_picture(page: str) -> str:
    """The page with the picture between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{picture()}{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(picture(), end="")
