"""Supervisors tell listeners of changes by datagrams."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.backend.providers.contract import Harness, attempt
from tests.waiting import until
from wsdash.backend.providers.local import Isolation, LocalProvider


async def test_a_root_whose_path_no_socket_could_have_is_listened_in(
    tmp_path: Path, leaves_nothing_running: None
) -> None:
    root = tmp_path / ("long-" * 30)
    harness = Harness(lambda: LocalProvider(root, isolation=Isolation("plain")))
    changes = harness.provider.changes()
    first = asyncio.ensure_future(anext(changes))
    await until(lambda: (root / "listeners").is_dir() and any((root / "listeners").iterdir()))
    await harness.launch(harness.workload("true"))
    assert await asyncio.wait_for(first, 60) == {attempt().id}
    await changes.aclose()  # type: ignore[attr-defined]
    await harness.close()


async def test_each_listener_hears_and_dead_ones_are_removed(plain: Harness, root: Path) -> None:
    dead = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(sys.argv[1])"
    (root / "listeners").mkdir(parents=True)
    link = Path("/tmp") / f"wsdash-test-{os.getpid()}"
    link.symlink_to(root / "listeners")
    try:
        subprocess.run([sys.executable, "-c", dead, str(link / "dead")], check=True)
    finally:
        link.unlink()
    providers = [plain.make(), plain.make()]
    listening = [asyncio.ensure_future(anext(provider.changes())) for provider in providers]
    await until(lambda: len(list((root / "listeners").iterdir())) == 3)
    await plain.launch(plain.workload("true"))
    assert [await asyncio.wait_for(heard, 60) for heard in listening] == [{attempt().id}] * 2
    await until(lambda: not (root / "listeners" / "dead").exists())
