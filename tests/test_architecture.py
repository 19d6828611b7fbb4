"""The picture of the rooms in docs/architecture.md, and the tests' tree, follow the modules as they are."""

from __future__ import annotations

import ast
from pathlib import Path

from scripts.rooms import PAGE, with_picture

ROOT = Path(__file__).parents[1]
MOST_LINES = 400
MOST_MODULES = 12
OF_ONE_KIND = {"commands", "screens", "backend/operations"}
"""Folders whose modules are a verb, a screen or an operation each."""
MOST_DECISIONS = 5
"""A module with more of them has logic, and a test file of its name."""
DECISIONS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
    ast.IfExp,
    ast.BoolOp,
)


def test_the_picture_shows_the_imports_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_picture(page), "draw it again: python -m scripts.rooms --write"


def test_each_module_with_logic_has_a_test_file_of_its_name() -> None:
    missing = {name for name in modules_with_logic() if not file_of_tests(name).exists()}
    assert missing == set(), "write each of them a test_NAME.py in the same folder of tests/"


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = [
        f"{file.relative_to(ROOT)}: {count}"
        for file in (ROOT / "wsdash").rglob("*.py")
        if (count := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]
    assert long == [], "split them"


def test_no_folder_has_more_than_twelve_modules_of_different_kinds() -> None:
    folders = [folder for folder in (ROOT / "wsdash").rglob("*") if folder.is_dir()]
    counts = {
        folder.relative_to(ROOT / "wsdash").as_posix(): sum(
            not file.stem.startswith("__") for file in folder.glob("*.py")
        )
        for folder in folders
    }
    large = {name for name, count in counts.items() if count > MOST_MODULES}
    assert large == OF_ONE_KIND, "give some of them a room of their own"


def test_a_decision_is_what_mccabe_counts() -> None:
    assert decisions("A = 1\nclass B:\n    c: int = 2\n") == 0
    assert decisions("if a and b:\n    c = 1 if d else 2\n") == 3
    assert decisions("e = [f for f in g if f]\ntry:\n    pass\nexcept OSError:\n    pass\n") == 2


def modules_with_logic() -> set[str]:
    """Paths below wsdash/, without `.py`. Files such as `__init__.py` and `__main__.py` have no name to test by."""
    found = set()
    for file in (ROOT / "wsdash").rglob("*.py"):
        if not file.stem.startswith("__") and decisions(file.read_text(encoding="utf-8")) > MOST_DECISIONS:
            found.add(file.relative_to(ROOT / "wsdash").with_suffix("").as_posix())
    return found


def file_of_tests(module: str) -> Path:
    folder, _, name = module.rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}.py"


def decisions(source: str) -> int:
    """The number of branches of a source text, as McCabe's complexity counts them."""
    nodes = list(ast.walk(ast.parse(source)))
    filters = sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    return filters + sum(isinstance(node, DECISIONS) for node in nodes)
