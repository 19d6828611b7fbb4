"""Notices that wsdash was upgraded under a process that runs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import wsdash
from wsdash.backend.access.relay.code import code_mark
from wsdash.backend.system import environments

LOOK_S = 10.0


async def code_changes() -> None:
    """Return once the files of wsdash are others than now, an installation is over, and the new code can be started."""
    package = Path(wsdash.__file__).parent
    first = before = await asyncio.to_thread(code_mark, package)
    while True:
        await asyncio.sleep(LOOK_S)
        now = await asyncio.to_thread(code_mark, package)
        if now != first and now == before and await _can_start():
            return
        before = now


async def _can_start() -> bool:
    nothing = asyncio.subprocess.DEVNULL
    argv = (sys.executable, "-m", "wsdash", "--version")
    env = environments.basic(os.environ)
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=nothing, stdout=nothing, stderr=nothing, env=env
    )
    return await process.wait() == 0
