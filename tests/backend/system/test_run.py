"""A command that is captured: what it prints, and how it is ended."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.waiting import until
from wsdash.backend.system.run import Captured, capture


async def shell(script: str, *, limit: int = 1000, timeout_s: float = 60.0, stdin: bytes = b"") -> Captured:
    return await capture(("sh", "-c", script), limit=limit, timeout_s=timeout_s, stdin=stdin)


async def test_output_errors_and_the_exit_code_are_told_apart() -> None:
    assert await shell("cat; echo bad >&2; exit 3", stdin=b"good\n") == Captured(3, b"good\n", b"bad\n")


async def test_a_command_that_does_not_want_its_input_is_no_error() -> None:
    assert await shell("exec <&-; echo done", stdin=b"x" * 1_000_000) == Captured(0, b"done\n", b"")


async def test_a_long_output_ends_it_and_long_errors_do_not() -> None:
    assert await shell("yes", limit=5) == Captured(None, b"y\ny\ny", b"")
    found = await shell("head -c 1000000 /dev/zero >&2; echo done")
    assert (found.exit_code, found.output) == (0, b"done\n")
    assert len(found.errors) < 100_000


async def test_what_was_printed_before_its_time_was_over_is_kept(tmp_path: Path) -> None:
    found = await shell(f"echo $$ >{tmp_path}/pid; echo early; sleep 1000 & wait", timeout_s=1.0)
    assert found == Captured(None, b"early\n", b"")
    await until(lambda: not group_exists(int((tmp_path / "pid").read_text())))


async def test_what_it_started_ends_with_it_where_the_caller_gives_up(tmp_path: Path) -> None:
    task = asyncio.create_task(
        shell(f"sleep 1000 & echo $$ >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait")
    )
    await until((tmp_path / "pid").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not group_exists(int((tmp_path / "pid").read_text())))


async def test_a_caller_may_give_up_at_any_moment(tmp_path: Path) -> None:
    for turns in range(40):
        task = asyncio.create_task(shell("sleep 1000 & wait"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)


async def test_what_a_command_leaves_running_lives_on_and_holds_nobody_up() -> None:
    found = await shell("sleep 1000 & echo $!")
    pid = int(found.output)
    try:
        assert found.exit_code == 0
        os.kill(pid, 0)
    finally:
        os.kill(pid, 9)


async def test_a_command_that_is_not_there_raises() -> None:
    with pytest.raises(FileNotFoundError):
        await capture(("/nowhere/program",), limit=1, timeout_s=1)


def group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
