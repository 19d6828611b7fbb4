"""Shells in a sandbox."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pexpect
import pytest

from tests.backend.providers.contract import Harness, attempt, workspace
from wsdash.backend.providers.errors import NotRunning
from wsdash.backend.providers.features import Shells
from wsdash.backend.providers.types import ShellCommand

PROMPT = "[#$] "


async def test_a_shell_in_a_sandbox_sees_the_jobs_processes_and_ends_with_the_job(sandboxed: Harness) -> None:
    await sandboxed.launch(sandboxed.workload("sleep 4711 & true"))
    _, output = await sandboxed.run_inside("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert b"sleep 4711" in output and str(os.getpid()).encode() not in output.split()
    command = await sandboxed.having(Shells).shell(workspace(), attempt(), ("sh", "-c", "echo in; sleep 60"))
    shell = await asyncio.create_subprocess_exec(
        *command.argv, env=command.env, cwd=command.cwd, stdout=asyncio.subprocess.PIPE
    )
    assert shell.stdout is not None and await shell.stdout.readline() == b"in\n"
    await sandboxed.provider.force_cancel(attempt())
    # The signal reaches the shell, or first whoever stands between it and us.
    assert await asyncio.wait_for(shell.wait(), 60) in (128 + 9, -9)


async def test_there_is_no_shell_before_the_sandbox_is_there(sandboxed: Harness, tmp_path: Path) -> None:
    """The job is said to run a moment before that."""
    await sandboxed.launch(sandboxed.workload("true"))
    (record,) = tmp_path.rglob("sandbox.json")
    kept = record.read_bytes()
    record.unlink()
    with pytest.raises(NotRunning, match="is starting or ending"):
        await sandboxed.run_inside("true")
    record.write_bytes(kept)
    assert (await sandboxed.run_inside("true"))[0] == 0


async def test_the_login_shell_has_job_control_on_a_terminal(plain: Harness) -> None:
    await _check_login_shell(plain)


async def test_the_login_shell_of_a_sandbox_has_job_control_on_a_terminal(sandboxed: Harness) -> None:
    await _check_login_shell(sandboxed)


async def _check_login_shell(harness: Harness) -> None:
    await harness.launch(harness.workload("true"))
    command = await harness.having(Shells).shell(workspace(), attempt(), ())
    code, text = await asyncio.to_thread(_use_shell, command)
    assert code == 5, text
    assert "one-two" in text and "after-interrupt" in text
    assert "job control" not in text and "tcsetpgrp" not in text


def _use_shell(command: ShellCommand) -> tuple[int | None, str]:
    shell = pexpect.spawn(
        command.argv[0],
        list(command.argv[1:]),
        env=command.env,
        cwd=command.cwd,
        encoding="utf-8",
        timeout=60,
    )
    text = io.StringIO()
    shell.logfile_read = text
    shell.sendline("echo one-$((1 + 1)) | sed s/2/two/")
    shell.expect("one-two")
    shell.expect(PROMPT)
    shell.sendline("sh -c 'echo sleeping-$((2 + 3)); exec sleep 600'")
    shell.expect("sleeping-5")
    shell.sendintr()
    # A prompt that an interrupt meets while it is drawn is drawn at the next line only.
    shell.sendline("")
    shell.expect(PROMPT)
    shell.sendline("echo after-interrupt; exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    return shell.exitstatus, text.getvalue()
