"""Reads the shell scripts of a job from the package. `sh/README.md` is their map.

`sh/bin` has those that a process executes, `sh/lib` those that another one sources. In a job all of them are in
one folder, so no two have the same name.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_COMMENT = re.compile(r"^(?:[ \t]*# |#!).*\n", re.MULTILINE)
_SOURCED = re.compile(r'^\. "\$(?:here|\{0%/\*\})/([a-z_]+\.sh)"\n', re.MULTILINE)


@cache
def script(name: str) -> str:
    """Return the text of a script by its file name. Raises FileNotFoundError."""
    folder = files(__package__) / "sh"
    for part in ("bin", "lib"):
        if (file := folder / part / name).is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(f"no script of a job is called {name}")


def bare(name: str) -> str:
    """Return a script without its comments."""
    return _COMMENT.sub("", script(name))


def program(name: str) -> str:
    """Return a script with the scripts that it sources inlined, without comments: it needs no other file."""
    return _SOURCED.sub(lambda sourced: program(sourced[1]), bare(name))
