from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from wsdash.backend.store import database
from wsdash.backend.store.store import Store
from wsdash.model import Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload

PYTHON = (sys.executable, "-m", "wsdash")
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def wsdash(leaves_nothing_running: None, tmp_path: Path) -> Command:
    """Runs the real command, without a terminal, and returns what it said and its exit code."""

    def run(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PYTHON, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def store_with(paths: Paths) -> Callable[[Iterable[Workspace]], None]:
    """Puts workspaces into the state store, as if they had been created."""

    async def create(workspaces: Iterable[Workspace]) -> None:
        async with Store.open(paths) as store:
            for workspace in workspaces:
                await store.create_workspace(workspace, Workload(image="debian:12"), "created")

    def fill(workspaces: Iterable[Workspace]) -> None:
        database.prepare(paths)
        asyncio.run(create(workspaces))

    return fill
