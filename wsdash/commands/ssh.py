"""The verbs ssh and logs, and waiting until a workspace can be entered."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from wsdash.backend.access.ssh.errors import refusal
from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.job.log_text import LogText
from wsdash.backend.providers.errors import NotRunning, PermanentError
from wsdash.backend.system.terminal import TerminalProgram
from wsdash.commands.console import DONE, print_stderr
from wsdash.commands.progress import LOOKS_OF_ONE_RECONCILER, wait_showing
from wsdash.commands.run_service import with_service
from wsdash.model import Desired, Phase, Workspace
from wsdash.paths import Paths
from wsdash.sanitize import one_line, printable

if TYPE_CHECKING:
    from wsdash.backend.providers.types import ShellCommand
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow

T = TypeVar("T")
ENTERED = frozenset({Phase.RUNNING, Phase.UNHEALTHY})
ON_THE_WAY = frozenset({Phase.PENDING, Phase.STARTING, Phase.STOPPING, Phase.BACKING_OFF, Phase.UNKNOWN})
"""With the desired state running, these phases lead to one of `ENTERED` or to failed."""
CHUNK = 65536
LOOK_S = 0.25
PROBE_S = 10.0
AT_ONCE_S, MOST_LOST_AT_ONCE = 5.0, 3
"""After that many connections in a row that were each lost within `AT_ONCE_S`, the workspace refuses shells."""


def ssh(args: Namespace, paths: Paths) -> int:
    """Open a shell or run a command in the workspace, with its exit code as the result.

    An interactive shell whose connection is lost is opened again once the workspace can be entered. It ends with its
    terminal, and so does what runs in its foreground.
    """
    workspace = with_service(paths, lambda service: service.queries.find(args.name))
    argv, during_setup = command_line(args.command), args.during_setup
    command = with_service(
        paths, lambda service: _shell(service, workspace.id, argv, args.timeout, during_setup)
    )
    sys.stdout.flush()
    if args.command or not sys.stdin.isatty():
        if command.cwd is not None:
            os.chdir(command.cwd)
        os.execvpe(command.argv[0], list(command.argv), command.env)
    lost_at_once = 0
    while True:
        began = time.monotonic()
        code = lend_terminal(command)
        if not command.lost_connection(code):
            return code
        lost_at_once = lost_at_once + 1 if time.monotonic() - began < AT_ONCE_S else 0
        if lost_at_once == MOST_LOST_AT_ONCE:
            reason = _refusal(command) or "closes each connection before a shell starts"
            raise UserError(
                f"{workspace.name} {reason}",
                f"`wsdash ssh {workspace.name} -- COMMAND` runs a command without a terminal;"
                f" `wsdash logs {workspace.name}` may show the reason.",
            )
        print_stderr(f"The connection to {workspace.name} is lost; reconnecting. ctrl+c gives up.")
        command = with_service(
            paths, lambda service: _shell_again(service, workspace.id, args.timeout, during_setup)
        )


def _refusal(command: ShellCommand) -> str:
    """Return why ssh cannot log in, by a connection without a terminal; "" if it can or that is not known."""
    if not command.probe:
        return ""
    try:
        done = subprocess.run(
            command.probe,
            env=command.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return refusal(done.stderr.decode(errors="replace")) if done.returncode == 255 else ""


def lend_terminal(command: ShellCommand) -> int:
    """Run the command on this terminal and return its exit code. Keys such as ctrl+c go to the command.

    If the terminal is gone, or a signal asks this process to end, the command ends first. The signals get a handler
    here, because ignored signals would be inherited by the command.
    """
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        return asyncio.run(_run_on_terminal(command))
    except OSError as error:
        raise UserError(f"{command.argv[0]}: {error.strerror}", "Is it installed?") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run_on_terminal(command: ShellCommand) -> int:
    program = await TerminalProgram.start(command.argv, command.env, command.cwd)
    for number in (signal.SIGHUP, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, program.hang_up)
    return await program.wait()


def command_line(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command to run. As with ssh, a single word is a line for the shell; several words are unchanged."""
    return ("sh", "-c", words[0]) if len(words) == 1 else tuple(words)


async def _shell_again(
    service: Service, workspace_id: str, timeout_s: float, during_setup: bool
) -> ShellCommand:
    """Return a shell command once the workspace can be entered.

    Raises `UserError` if it does not run any more, or after `timeout_s`.
    """
    end = asyncio.get_running_loop().time() + timeout_s
    while True:
        row = await service.queries.row(workspace_id)
        name = row.workspace.name
        if row.workspace.desired is not Desired.RUNNING or row.status.phase is Phase.FAILED:
            raise UserError(
                f"{name} is {row.status.phase}: {one_line(row.status.reason)}",
                f"`wsdash start {name}` starts it.",
            )
        left = end - asyncio.get_running_loop().time()
        try:
            return await _shell(service, workspace_id, (), max(1.0, left), during_setup)
        except WsdashError:
            if left < 0:
                raise
        await asyncio.sleep(LOOK_S)


async def _shell(
    service: Service, workspace_id: str, argv: tuple[str, ...], timeout_s: float, during_setup: bool
) -> ShellCommand:
    return await once_entered(
        service,
        workspace_id,
        timeout_s,
        lambda row: service.access.shell(row.workspace.id, argv, attempt=number_of(row)),
        during_setup=during_setup,
    )


async def once_entered(
    service: Service,
    workspace_id: str,
    timeout_s: float,
    act: Callable[[WorkspaceRow], Awaitable[T]],
    *,
    during_setup: bool = False,
) -> T:
    """Call `act` once the workspace can be entered; again with the next job if this one has gone.

    With `during_setup` it can be entered as soon as its job runs, whatever its first commands do. Raises `UserError`,
    at once if the workspace will not run by itself.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + timeout_s
    is_announced = False
    row = await service.queries.row(workspace_id)
    if row.workspace.desired is Desired.RUNNING and row.status.phase is Phase.UNKNOWN:
        with suppress(WsdashError):  # the provider may not answer although the tunnel of the job is open
            return await act(row)
    while True:
        left = max(1.0, end - clock())
        row = await wait_until_entered(service, workspace_id, left, during_setup=during_setup)
        is_starting = row.status.phase is Phase.STARTING
        try:
            return await act(row)
        except PermanentError as error:
            if clock() > end or not (is_starting or isinstance(error, NotRunning)):
                raise
        if not is_announced:
            state = "its job only begins" if is_starting else "its job is gone; waiting for its replacement"
            print_stderr(f"{row.workspace.name}: {state}")
            is_announced = True
        await service.daemon.ensure_reconciler()
        await asyncio.sleep(LOOK_S)


def number_of(row: WorkspaceRow) -> int | None:
    """Return the number of the row's attempt, so that an action never reaches the job of a later attempt."""
    return None if row.attempt is None else row.attempt.number


async def wait_until_entered(
    service: Service, workspace_id: str, timeout_s: float, *, during_setup: bool = False
) -> WorkspaceRow:
    """Wait while the workspace starts. Raises `UserError`, at once if it will not run by itself."""
    entered = ENTERED | {Phase.STARTING} if during_setup else ENTERED
    row = await service.queries.row(workspace_id)
    workspace = row.workspace
    if row.status.phase in ON_THE_WAY and workspace.desired is Desired.RUNNING:
        await service.daemon.ensure_reconciler()
        ends = entered | {Phase.FAILED, Phase.STOPPED}
        row = await wait_showing(service, workspace, ends, timeout_s, shows_output=True)
    if row.status.phase in entered and row.workspace.desired is Desired.RUNNING:
        return row
    if row.status.phase is Phase.FAILED:
        hint = f"`wsdash logs {workspace.name}` shows why; `wsdash restart {workspace.name}` tries again."
    elif row.workspace.desired is Desired.STOPPED:
        hint = f"`wsdash start {workspace.name} --wait` starts it."
    else:
        hint = f"`wsdash why {workspace.name}` explains it."
    raise UserError(f"{workspace.name} is {row.status.phase}: {one_line(row.status.reason)}", hint)


def logs(args: Namespace, paths: Paths) -> int:
    """Print the job's output: unchanged into a file or pipe, without control sequences on a terminal.

    wsdash's own protocol, and a runner's timestamps, marks and own lines, are left out, unless `--raw` is given.
    """
    writer = _ToTerminal() if sys.stdout.isatty() else _Raw()
    with_service(paths, lambda service: _copy_log(service, args, writer))
    return DONE


async def _copy_log(service: Service, args: Namespace, writer: _Writer) -> None:
    workspace = await service.queries.find(args.name)
    number = args.attempt or await _newest_attempt(service, workspace, wait=args.follow)
    offset, ended, looks = 0, False, 0
    text = _Unchanged() if args.raw else LogText()
    while True:
        chunk = await service.queries.read_log(workspace.id, attempt=number, offset=offset, limit=CHUNK)
        await asyncio.to_thread(writer.write, text.feed(chunk.data) if chunk.data else text.rest())
        # A log that was cut while it was followed goes on behind the cut.
        offset = chunk.size if 0 < chunk.size < offset else offset + len(chunk.data)
        if chunk.data:
            continue
        if ended or not args.follow:
            break
        ended = chunk.ended or await _has_ended(service, workspace, number)
        if not ended:
            # The reconciler, which records the end of the job, may have ended too.
            if looks % LOOKS_OF_ONE_RECONCILER == 0:
                await service.daemon.ensure_reconciler()
            looks += 1
            await asyncio.sleep(LOOK_S)
    await asyncio.to_thread(writer.write, text.rest(ended=True))
    writer.close()


class _Unchanged:
    """A log as its provider has it, with the methods of `LogText`."""

    def feed(self, data: bytes) -> bytes:
        return data

    def rest(self, *, ended: bool = False) -> bytes:
        return b""


async def _newest_attempt(service: Service, workspace: Workspace, *, wait: bool) -> int:
    while True:
        attempt = (await service.queries.row(workspace.id)).attempt
        if attempt is not None:
            return attempt.number
        if not wait:
            raise UserError(f"{workspace.name} has no log yet: no job was launched", "`-f` waits for it.")
        await asyncio.sleep(LOOK_S)


async def _has_ended(service: Service, workspace: Workspace, number: int) -> bool:
    """Whether the job is recorded as ended, also if its log was deleted with the workspace."""
    attempts = await service.queries.attempts(workspace.id)
    return any(attempt.number == number and not attempt.is_live for attempt in attempts)


class _Raw:
    """Writes to files and pipes, byte for byte."""

    def write(self, data: bytes) -> None:
        if data:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def close(self) -> None:
        pass


class _ToTerminal:
    """Writes whole lines of text to a terminal, without control sequences."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def write(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        cut = text.rfind("\n") + 1
        if len(text) - cut > CHUNK:  # a line without end is shown in pieces
            cut = len(text)
        self._rest = text[cut:]
        if cut:
            sys.stdout.write(_left_standing(text[:cut]))
            sys.stdout.flush()

    def close(self) -> None:
        if self._rest:
            sys.stdout.write(_left_standing(self._rest) + "\n")


def _left_standing(text: str) -> str:
    """Return the text that a terminal would show in the end: a carriage return overwrites the start of its line."""
    return printable("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")))


_Writer = _Raw | _ToTerminal
