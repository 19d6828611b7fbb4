"""The service, opened for the length of one command, on an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from wsdash.backend.service import Service
from wsdash.commands.output import tell
from wsdash.paths import Paths

T = TypeVar("T")


def with_service(paths: Paths, body: Callable[[Service], Awaitable[T]]) -> T:
    """Run the body with an open service."""

    async def run() -> T:
        async with Service.open(paths) as service:
            for notice in service.notices:
                tell(f"wsdash: {notice}")
            return await body(service)

    return asyncio.run(run())
