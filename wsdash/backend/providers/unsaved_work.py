"""The query for unsaved work, and the parser of its output. Untrusted text.

`wsdash/backend/job/sh/bin/unsaved.sh` defines what counts, and the format of the output.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from wsdash.backend.job import shell
from wsdash.backend.job.render import project_folder
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.features import CheckoutQueries
from wsdash.backend.providers.types import CheckoutQuery, FileTotals, UnsavedWork
from wsdash.model import UnsavedTotals, Workspace
from wsdash.workload import Workload

_BEGINNING = "wsdash-unsaved 1"
_SINGLE = {"change": "changes", "commit": "commits", "stash": "stashes", "file": "files"}
_CUT_OFF = "searching all of it takes too long"


def program() -> bytes:
    """Return `unsaved.sh` as one script that needs no other file."""
    return shell.program("unsaved.sh").encode()


LONGEST_S = 60.0


EXACT_S = 300.0
"""Time limit of an exact search in seconds, which reads every unsaved file to hash it."""


def question(timeout_s: float = LONGEST_S, *, exact: bool = False) -> CheckoutQuery:
    """Return the query. `exact`: including the hash of the work."""
    return CheckoutQuery(
        program(), ("list", "exact") if exact else ("list",), most=1 << 20, timeout_s=timeout_s
    )


async def look(
    provider: Provider,
    workspace: Workspace,
    workload: Workload,
    within_s: float | None = None,
    *,
    exact: bool = False,
) -> UnsavedWork | None:
    """Return the work that exists only in the workspace; None if that is unknown, or not known `within_s` seconds.

    `exact`: including its hash.
    """
    if not isinstance(provider, CheckoutQueries):
        return None
    try:
        output = await provider.ask_checkout(
            workspace, workload, question(within_s or (EXACT_S if exact else LONGEST_S), exact=exact)
        )
        if within_s is not None and b"\ncomplete\n" not in output:
            return None
        return answer(output, project_folder(workload))
    except (ProviderError, ValueError):
        return None


def answer(output: bytes, project: str = "") -> UnsavedWork | None:
    """Parse the output; None for none. Paths become relative to the project's folder."""
    lines = output.decode("utf-8", "replace").split("\n")
    if lines[0] != _BEGINNING:
        return None
    found: dict[str, list[str]] = {kind: [] for kind in (*_SINGLE, "problem")}
    totals = dict.fromkeys(_SINGLE.values(), 0)
    sized: dict[str, FileTotals] = {}
    repository = project
    is_whole = False
    state = ""
    for line in lines[1:-1]:
        word, _, rest = line.replace("\001", "\n").partition(" ")
        if word == "repository":
            repository = rest
        elif word in _SINGLE or word == "problem":
            found[word].append(_as_shown(word, rest, repository, project))
        elif word in totals:
            totals[word] += _number(rest)
        elif word in ("ignored", "home"):
            count, _, kib = rest.strip().partition(" ")
            sized[word] = FileTotals(_number(count), _number(kib) * 1024)
        elif word == "state":
            state = rest
        is_whole = is_whole or word == "complete"
    unreadable = [*found["problem"], *([] if is_whole else [_CUT_OFF])]
    named = {kind: tuple(_first(found[kind], totals[_SINGLE[kind]])) for kind in _SINGLE}
    return UnsavedWork(
        named["change"],
        named["commit"],
        named["stash"],
        named["file"],
        tuple(unreadable[:100]),
        UnsavedTotals(
            max(totals["commits"], len(found["commit"])),
            max(totals["stashes"], len(found["stash"])),
            max(totals["changes"], len(found["change"])) + max(totals["files"], len(found["file"])),
            not unreadable,
        ),
        sized.get("ignored"),
        sized.get("home"),
        state,
    )


def _as_shown(kind: str, text: str, repository: str, project: str) -> str:
    """Return the line for a user in the project's folder."""
    if kind == "file":
        return _seen_from(project, text)
    if kind == "change":
        return text[:3] + _seen_from(project, f"{repository}/{text[3:]}" if repository else text[3:])
    return (
        text
        if kind == "problem" or repository == project
        else f"{text} (in {_seen_from(project, repository)})"
    )


def _seen_from(project: str, path: str) -> str:
    if not project:
        return path
    try:
        return str(PurePosixPath(path).relative_to(project)) + ("/" if path.endswith("/") else "")
    except ValueError:
        return f"../{path}"


def _first(lines: list[str], total: int) -> list[str]:
    most = 100
    more = max(total, len(lines)) - min(len(lines), most)
    return [*lines[:most], *([f"and {more} more"] if more > 0 else [])]


def _number(text: str) -> int:
    return int(text[:15]) if text.isascii() and text.isdecimal() else 0
