"""A service that reconciles in this process, and a repository."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.repositories import make_repository
from wsdash.backend.service import Service
from wsdash.paths import Paths


@pytest.fixture
async def service(paths: Paths, leaves_nothing_running: None) -> AsyncIterator[Service]:
    async with Service.open(paths) as opened:
        reconciling = asyncio.create_task(opened.reconcile("dashboard"))
        yield opened
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo")
