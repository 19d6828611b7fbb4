"""Exit codes of a program on the terminal, and its end on demand. Lost terminals: tests/screens/test_hang_up.py."""

from __future__ import annotations

import asyncio
import os

import pytest

from wsdash.backend.system.terminal import HUNG_UP, TerminalProgram


async def start(line: str) -> TerminalProgram:
    return await TerminalProgram.start(("sh", "-c", line), os.environ, None)


@pytest.mark.parametrize(("line", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
async def test_the_exit_code_is_that_of_a_shell(line: str, code: int) -> None:
    assert await (await start(line)).wait() == code


async def test_a_program_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        await TerminalProgram.start(("/no/such/program",), os.environ, None)


@pytest.mark.parametrize("first", ["", 'trap "" HUP; '], ids=["sleep", "ignores HUP"])
async def test_it_is_ended_on_demand(first: str) -> None:
    program = await start(f"{first}exec sleep 1001")
    waiting = asyncio.create_task(program.wait())
    program.hang_up()
    assert await waiting == HUNG_UP
    assert not program.is_terminal_gone
