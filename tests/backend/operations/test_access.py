"""Ways into a workspace."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.backend.services import created, demo, running
from wsdash.backend.service import Service


async def test_a_shell_runs_in_the_workspace_with_its_environment(service: Service, repository: Path) -> None:
    await created(service, repository)
    await running(service, "demo", 1)
    command = await service.access.shell(
        await demo(service), ("sh", "-c", 'echo "$GREETING"; basename "$PWD"; exit 3')
    )
    process = await asyncio.create_subprocess_exec(
        *command.argv, env=command.env, cwd=command.cwd, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.split() == [b"hello", b"demo"]
    assert process.returncode == 3
