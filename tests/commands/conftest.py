from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.repositories import make_repository
from wsdash.backend.store import database
from wsdash.backend.store.store import Store
from wsdash.model import Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload


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


@pytest.fixture
def plain_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs as plain processes: the isolation is tested with the provider."""
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "web")


def rows(wsdash: Command) -> dict[str, dict[str, Any]]:
    """The workspaces of `wsdash list --json` by name."""
    done = wsdash("list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return {row["name"]: row for row in json.loads(done.stdout)}


def run_as_printed(output: str, folder: Path) -> None:
    """Run the commands that `delete --keep-work` printed."""
    commands = [line for line in output.splitlines() if line.startswith("  sh ")]
    assert commands
    for command in commands:
        subprocess.run(["sh", "-c", command], cwd=folder, check=True)
