"""Opens the service for one command, on an event loop of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from wsdash.backend.service import Service
from wsdash.commands.console import print_stderr
from wsdash.paths import Paths

T = TypeVar("T")


def with_service(paths: Paths, body: Callable[[Service], Awaitable[T]]) -> T:
    """Run the body with an open service, and return its result. Raises `KeyboardInterrupt` on ctrl+c."""
    interrupted = False

    async def run() -> T:
        # Handle ctrl+c in the loop: asyncio.run cancels at any point, which can break a future's end.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            loop.remove_signal_handler(signal.SIGINT)  # a second one ends it at once
            task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        async with Service.open(paths) as service:
            for notice in service.notices:
                print_stderr(f"wsdash: {notice}")
            return await body(service)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
