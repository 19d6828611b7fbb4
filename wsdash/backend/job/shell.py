"""The shell scripts of a job, as they lie in the package: `sh/README.md` is their map.

`sh/bin` has those that a process executes, `sh/lib` those that another one sources. In a job all of them stand in one
folder, so no two have the same name. Pure.
"""

from __future__ import annotations

from importlib.resources import files


def script(name: str) -> str:
    """The text of one of them by its file name. Raises FileNotFoundError."""
    folder = files(__package__) / "sh"
    for part in ("bin", "lib"):
        if (file := folder / part / name).is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(f"no script of a job is called {name}")
