"""Local providers for each isolation that works on this machine."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.backend.providers.contract import Harness
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.sandbox import detect

SETTINGS = {"WSDASH_BEAT_S": "0.2"}
TEST_IMAGE = "localhost/wsdash-test:latest"


@cache
def found(kind: str, root: Path) -> Isolation | str:
    """The isolation, or the reason why there is none here. Found out by running something in it."""
    try:
        return detect.find(root, {**os.environ, detect.FORCE: kind}, again=True).best
    except detect.ProbeError as error:
        return str(error)


def working(kind: str, root: Path) -> Isolation:
    isolation = found(kind, root)
    if isinstance(isolation, str):
        pytest.skip(isolation)
    return isolation


def local(root: Path, isolation: Isolation) -> LocalProvider:
    return LocalProvider(root, isolation=isolation, settings=SETTINGS)


@pytest.fixture(scope="session")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probes")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "local"


@pytest.fixture
async def plain(root: Path, leaves_nothing_running: None) -> AsyncIterator[Harness]:
    harness = Harness(lambda: local(root, Isolation("plain")))
    yield harness
    await harness.close()


@pytest.fixture
async def sandboxed(root: Path, probes: Path, leaves_nothing_running: None) -> AsyncIterator[Harness]:
    isolation = working("bubblewrap", probes)
    harness = Harness(lambda: local(root, isolation))
    yield harness
    await harness.close()


@pytest.fixture
async def contained(
    root: Path, probes: Path, busybox_image: Callable[[str], str], leaves_nothing_running: None
) -> AsyncIterator[Harness]:
    isolation = found("podman", probes)
    if isinstance(isolation, str):
        isolation = working("docker", probes)
    image = busybox_image(isolation.program)
    harness = Harness(lambda: local(root, isolation), image=image, patience_s=60.0)
    yield harness
    await harness.close()


@pytest.fixture(scope="session")
def busybox_image() -> Iterator[Callable[[str], str]]:
    """Makes an image that holds busybox and nothing else: no bash, no git."""
    made: set[str] = set()

    def make(program: str) -> str:
        busybox = shutil.which("busybox")
        if busybox is None:
            pytest.skip("busybox is not installed, so there is nothing to make an image of")
        if program not in made:
            data = _image_of(Path(busybox).resolve())
            subprocess.run([program, "import", "-", TEST_IMAGE], input=data, check=True, capture_output=True)
            made.add(program)
        return TEST_IMAGE

    yield make
    for program in made:
        subprocess.run([program, "rmi", "--force", TEST_IMAGE], check=False, capture_output=True)


def _image_of(busybox: Path) -> bytes:
    tools = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("bin", "proc", "dev", "sys", "etc", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        archive.add(busybox, "bin/busybox")
        for tool in tools:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            if tool != "busybox":
                archive.addfile(link)
    return data.getvalue()
