"""`wsdash session`: programs that run on in a workspace when nobody is connected."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from argparse import Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wsdash.backend.errors import UserError
from wsdash.backend.sessions.profiles import Profile, for_command
from wsdash.backend.sessions.states import ENDED, Session, State, is_name
from wsdash.commands.console import DONE, TIMED_OUT, USAGE, print_json, print_stderr, print_table
from wsdash.commands.run_service import with_service
from wsdash.commands.ssh import lend_terminal, number_of, once_entered
from wsdash.paths import Paths
from wsdash.sanitize import printable

if TYPE_CHECKING:
    from wsdash.backend.service import Service

T = TypeVar("T")
LOOK_S = 1.0
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
"""The only control sequence of a session's screen that reaches this terminal: colours."""


def session(args: Namespace, paths: Paths) -> int:
    """Run one action of `wsdash session NAME ACTION`."""
    if args.command and args.action != "start":
        raise UserError(
            f"session {args.action} takes no command", "`wsdash session NAME start -- CMD` starts one.", USAGE
        )
    actions: dict[str, Callable[[Namespace, Paths], int]] = {
        "start": _start,
        "list": _list,
        "attach": _attach,
        "stop": _stop,
        "send": _send,
        "screen": _screen,
        "why": _why,
        "wait": _wait,
    }
    return actions[args.action](args, paths)


def _in_workspace(
    args: Namespace, paths: Paths, act: Callable[[Service, str, int | None], Awaitable[T]]
) -> T:
    """Call `act` with the workspace's id and its attempt, once it can be entered."""

    async def run(service: Service) -> T:
        workspace = await service.queries.find(args.name)
        return await once_entered(
            service, workspace.id, args.timeout, lambda row: act(service, row.workspace.id, number_of(row))
        )

    return with_service(paths, run)


def _start(args: Namespace, paths: Paths) -> int:
    words = tuple(args.command)
    if args.session is not None and not is_name(args.session):
        raise UserError(
            f"{args.session!r} cannot be the name of a session",
            "Use letters, digits, dots and dashes.",
            USAGE,
        )
    if not words and args.profile is None:
        if args.session is None:
            raise UserError(
                "there is nothing to start",
                "Add `-- CMD`, --profile P, or --name S of a session that has ended.",
                USAGE,
            )
        _in_workspace(
            args,
            paths,
            lambda service, workspace_id, attempt: service.sessions.start_again(
                workspace_id, args.session, attempt=attempt
            ),
        )
        print(f"{args.name}: session {args.session} is started again")
        return DONE

    async def start(service: Service, workspace_id: str, attempt: int | None) -> str:
        profile = await asyncio.to_thread(_profile, service, args, words)
        known = {found.name for found in await service.sessions.list(workspace_id, attempt=attempt)}
        name = args.session or _free(Path(words[0]).name if words else profile.name, known)
        await service.sessions.start(workspace_id, name, profile, attempt=attempt)
        return name

    name = _in_workspace(args, paths, start)
    print(f"{args.name}: session {name} is started")
    print_stderr(f"`wsdash session {args.name} attach {name}` shows it; F12 leaves it.")
    return DONE


def _profile(service: Service, args: Namespace, words: tuple[str, ...]) -> Profile:
    profiles = service.sessions.profiles()
    if args.profile is not None and args.profile not in profiles:
        raise UserError(
            f"there is no profile {args.profile}", f"The profiles are: {', '.join(sorted(profiles))}."
        )
    if words:
        return for_command(profiles, words)
    return profiles[args.profile].filled(str(uuid.uuid4()), args.prompt or "")


def _free(wanted: str, taken: set[str]) -> str:
    """Return a name that no session has: the program's, with a number if needed."""
    wanted = re.sub(r"[^A-Za-z0-9._-]", "-", wanted).lstrip(".-")[:40] or "session"
    wanted = f"{wanted}-1" if wanted == "hub" else wanted
    return next(
        name
        for number in range(1, 1000)
        if (name := wanted if number == 1 else f"{wanted}-{number}") not in taken
    )


def _sessions(args: Namespace, paths: Paths) -> tuple[Session, ...]:
    return _in_workspace(
        args,
        paths,
        lambda service, workspace_id, attempt: service.sessions.list(workspace_id, attempt=attempt),
    )


def _list(args: Namespace, paths: Paths) -> int:
    found = _sessions(args, paths)
    if args.json:
        print_json([_plain(one) for one in found])
    elif found:
        rows = [[one.name, one.state.value, _span(one.seconds), one.profile, one.line] for one in found]
        print_table(("NAME", "STATE", "FOR", "PROFILE", "COMMAND"), rows)
    else:
        print_stderr(f"{args.name} has no sessions. `wsdash session {args.name} start -- CMD` starts one.")
    return DONE


def _attach(args: Namespace, paths: Paths) -> int:
    if not sys.stdin.isatty():
        raise UserError(
            "attach needs a terminal",
            f"`wsdash session {args.name} screen {args.session}` prints its screen.",
        )
    command = _in_workspace(
        args,
        paths,
        lambda service, workspace_id, attempt: service.sessions.attach(
            workspace_id, args.session, attempt=attempt
        ),
    )
    return lend_terminal(command)


def _stop(args: Namespace, paths: Paths) -> int:
    _in_workspace(
        args,
        paths,
        lambda service, workspace_id, attempt: service.sessions.stop(
            workspace_id, args.session, forget=args.forget, attempt=attempt
        ),
    )
    print(f"{args.name}: session {args.session} is {'removed' if args.forget else 'stopped'}")
    return DONE


def _send(args: Namespace, paths: Paths) -> int:
    text = sys.stdin.read().removesuffix("\n") if args.text == "-" else args.text
    _in_workspace(
        args,
        paths,
        lambda service, workspace_id, attempt: service.sessions.send(
            workspace_id, args.session, text, enter=not args.no_enter, attempt=attempt
        ),
    )
    return DONE


def _screen(args: Namespace, paths: Paths) -> int:
    if args.lines < 0:
        raise UserError("--lines must not be negative", "Use 0 for the screen alone.", USAGE)
    text = _in_workspace(
        args,
        paths,
        lambda service, workspace_id, attempt: service.sessions.screen(
            workspace_id, args.session, args.lines, attempt=attempt
        ),
    )
    print(in_colours(text) if sys.stdout.isatty() else printable(_SGR.sub("", text)), end="")
    return DONE


def in_colours(text: str) -> str:
    """Return a session's screen for a terminal: its colours, and no other control sequence."""
    parts = _SGR.split(text)
    codes = [*_SGR.findall(text), ""]
    return "".join(printable(part) + code for part, code in zip(parts, codes, strict=True)) + "\x1b[0m"


def _why(args: Namespace, paths: Paths) -> int:
    found = _named(_sessions(args, paths), args)
    if args.json:
        print_json(_plain(found))
    else:
        print(
            f"{found.name} is {found.state} since {_span(found.seconds)}: {found.evidence} (rule: {found.rule})"
        )
    return DONE


def _wait(args: Namespace, paths: Paths) -> int:
    wanted = set(args.states.split(","))
    if unknown := wanted - set(State):
        raise UserError(
            f"there is no state {', '.join(sorted(unknown))}", f"The states are: {', '.join(State)}.", USAGE
        )

    async def look(service: Service, workspace_id: str, attempt: int | None) -> State | None:
        end = asyncio.get_running_loop().time() + args.timeout
        while True:
            state = _named(await service.sessions.list(workspace_id, attempt=attempt), args).state
            if state in wanted or state in ENDED:
                return state
            if asyncio.get_running_loop().time() > end:
                return None
            await asyncio.sleep(LOOK_S)

    state = _in_workspace(args, paths, look)
    if state is None:
        print_stderr(f"wsdash: session {args.session} was in none of these states within {args.timeout:g} s")
        return TIMED_OUT
    print(state.value)
    return DONE if state in wanted else 1


def _named(found: tuple[Session, ...], args: Namespace) -> Session:
    for one in found:
        if one.name == args.session:
            return one
    raise UserError(
        f"{args.name} has no session {args.session}", f"`wsdash session {args.name} list` shows its sessions."
    )


def _plain(one: Session) -> dict[str, object]:
    return {
        "name": one.name,
        "state": one.state.value,
        "seconds": one.seconds,
        "rule": one.rule,
        "evidence": one.evidence,
        "profile": one.profile or None,
        "command": one.line,
    }


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
