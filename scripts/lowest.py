"""Prints the lowest version of each run-time dependency that pyproject.toml allows, as constraints for pip.

python -m scripts.lowest
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(requirement: str) -> str:
    """The constraint that holds a requirement to its lower bound: `textual>=8.2.5,<9` becomes `textual==8.2.5`.

    Raises ValueError for a requirement without a lower bound.
    """
    found = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?\s*>=\s*([\w.]+)", requirement)
    if found is None:
        raise ValueError(f"{requirement!r} has no lower bound (NAME>=VERSION)")
    return f"{found[1]}=={found[2]}"


def requirements() -> list[str]:
    """The run-time dependencies, as they stand in pyproject.toml."""
    dependencies: list[str] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    return dependencies


if __name__ == "__main__":
    for requirement in requirements():
        print(lowest(requirement))
