"""The wheel: what is in it, what its metadata says, and which versions of its dependencies it may be used with."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.lowest import lowest, requirements

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel of this source tree, made by the build back end that pyproject.toml names, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [file] = folder.glob("*.whl")
    return ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_wheel_holds_every_file_of_the_package(wheel: ZipFile) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "wsdash"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert not set(filter(None, tracked.split("\0"))).difference(wheel.namelist())


def test_wheel_says_that_it_is_typed(wheel: ZipFile) -> None:
    assert "wsdash/py.typed" in wheel.namelist()


def test_wheel_holds_the_licence(wheel: ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    [name] = [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()


def test_oldest_python_is_the_same_everywhere(metadata: Message) -> None:
    """Metadata, classifiers, ruff and mypy agree on the oldest Python, and the CI begins with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = metadata["Requires-Python"].removeprefix(">=")
    classifiers = [text.rpartition(" ")[2] for text in metadata.get_all("Classifier", []) if ":: 3." in text]
    assert min(classifiers, key=lambda version: int(version.partition(".")[2])) == oldest
    assert project["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert project["tool"]["mypy"]["python_version"] == oldest


def test_every_dependency_has_a_lower_bound_that_is_tried() -> None:
    assert lowest("pyjwt[crypto]>=2.10") == "pyjwt==2.10"
    assert lowest("textual>=8.2.5,<9") == "textual==8.2.5"
    with pytest.raises(ValueError, match="no lower bound"):
        lowest("textual~=8.2")
    assert all(lowest(requirement) for requirement in requirements())


def test_tested_versions_lie_within_the_bounds() -> None:
    """constraints.txt pins what the tests run with; each run-time dependency is pinned at or above its bound."""

    def numbers(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", version))

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {
        name.lower(): version for name, _, version in (line.partition("==") for line in lines if "==" in line)
    }
    for requirement in requirements():
        name, _, version = lowest(requirement).partition("==")
        assert numbers(pinned[name.lower()]) >= numbers(version), name
