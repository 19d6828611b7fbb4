"""`wsdash doctor`: checks that wsdash can work on this machine, and that its state is in order."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from wsdash import __version__
from wsdash.backend.clone_address import without_secrets
from wsdash.backend.errors import WsdashError
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.providers.types import Finding, Level
from wsdash.backend.reconcile import cleanup
from wsdash.backend.store.database import connect, journal_mode
from wsdash.backend.store.errors import DatabaseError
from wsdash.commands.console import DONE, FAILED, coloured, encodes, print_json
from wsdash.commands.daemon import holder
from wsdash.commands.doctor_access import access_findings
from wsdash.commands.open_reader import reading
from wsdash.commands.run_service import with_service
from wsdash.config.settings import LOCAL, ConfigError, load_config
from wsdash.model import Desired
from wsdash.paths import NETWORK_FILE_SYSTEMS, PathError, Paths, file_system
from wsdash.sanitize import one_line

LITTLE_SPACE = 2**30
MOST_LEFTOVERS = 20
NO_SPACE = 100 * 2**20
VERDICTS = {"ok": "ok", "warning": "note", "blocked": "broken"}
COLOURS = {"ok": 32, "warning": 33, "blocked": 31}


def doctor(args: Namespace, paths: Paths) -> int:
    """Print all findings. The exit code is 1 if a finding is "broken"."""
    findings = _findings(paths)
    is_blocked = any(finding.level == "blocked" for finding in findings)
    if args.json:
        print_json([_as_json(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    return FAILED if is_blocked else DONE


def findings_json(paths: Paths) -> list[dict[str, object]]:
    """Return the findings as `doctor --json` prints them."""
    return [_as_json(finding) for finding in _findings(paths)]


def _findings(paths: Paths) -> list[Finding]:
    return [finding for look in LOOKS for finding in _looked(look, paths)]


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "subject": finding.subject,
        "verdict": VERDICTS[finding.level],
        "text": finding.message,
        "remedy": finding.hint or None,
    }


def _looked(look: Callable[[Paths], Iterator[Finding]], paths: Paths) -> Iterator[Finding]:
    """Yield the findings of a look; the look's name is the subject of those that have none.

    An error that the user can fix becomes a finding itself.
    """
    subject = look.__name__.strip("_").replace("_", " ")
    try:
        for finding in look(paths):
            yield finding if finding.subject else replace(finding, subject=subject)
    except (PathError, DatabaseError, ConfigError, sqlite3.Error) as error:
        yield Finding("blocked", str(error), subject=subject)
    except WsdashError as error:
        yield Finding("blocked", error.message, error.hint, subject=subject)


def _print(finding: Finding) -> None:
    word = f"{VERDICTS[finding.level]:<7}"
    if coloured(sys.stdout):
        word = f"\x1b[{COLOURS[finding.level]}m{word}\x1b[0m"
    print(f"{word} {finding.subject}: {one_line(finding.message)}")
    if finding.hint:
        print(f"        {one_line(finding.hint)}")


def _wsdash(paths: Paths) -> Iterator[Finding]:
    yield Finding("ok", f"{__version__} on Python {platform.python_version()} ({sys.executable})")


def _state(paths: Paths) -> Iterator[Finding]:
    paths.prepare()
    kind = file_system(paths.state)
    mode = paths.state.stat().st_mode & 0o777
    yield Finding("ok", f"{paths.state}, mode {mode:04o}, on {kind or 'an unknown file system'}")
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding(
            "blocked",
            f"{kind} is a network file system, where SQLite's locks do not hold between hosts",
            "Set WSDASH_HOME to a folder on a disk of this host.",
        )
    if paths.notice:
        yield Finding("warning", paths.notice)


def _database(paths: Paths) -> Iterator[Finding]:
    with reading(paths) as reader:
        count = len(reader.workspaces(time.time()))
    connection = connect(paths.database, read_only=True)
    try:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0]).upper()
        damage = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        connection.close()
    wanted = journal_mode(paths.database)
    journal = "a write-ahead log" if mode == "WAL" else f"a rollback journal: {_why_no_wal(paths)}"
    yield Finding("ok", f"{count} workspaces; SQLite {sqlite3.sqlite_version} with {journal}")
    if damage != "ok":
        yield Finding(
            "blocked",
            f"damaged: {damage}",
            f"The next command that opens it for writing restores it from {paths.backups}.",
        )
    if mode == "WAL" and wanted != "WAL":
        yield Finding(
            "blocked",
            f"it has a WAL journal, which is not safe with SQLite {sqlite3.sqlite_version} here",
            f"Close wsdash, then: sqlite3 {paths.database} 'PRAGMA journal_mode = TRUNCATE'",
        )


def _why_no_wal(paths: Paths) -> str:
    kind = file_system(paths.database)
    if kind in NETWORK_FILE_SYSTEMS:
        return f"a write-ahead log needs shared memory, which {kind} does not have"
    return "before SQLite 3.51.3 (3.50.7, 3.44.6) a write-ahead log can lose pages (the WAL-reset bug)"


def _config(paths: Paths) -> Iterator[Finding]:
    config = load_config(paths.config_file)
    there = "" if paths.config_file.exists() else " (no such file, the defaults apply)"
    yield Finding("ok", f"{paths.config_file}{there}, default context {config.default_context}")


def _git(paths: Paths) -> Iterator[Finding]:
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        yield Finding("blocked", "not installed, so no source can be fetched", "apt-get install git")
    except subprocess.TimeoutExpired:
        yield Finding(
            "blocked",
            "`git --version` did not answer within 10 s",
            "Check which program `git` is: `command -v git`.",
        )
    else:
        yield Finding("ok" if done.returncode == 0 else "blocked", done.stdout or done.stderr)


def _isolation(paths: Paths) -> Iterator[Finding]:
    found = with_service(paths, lambda service: service.queries.capabilities(LOCAL.name))
    image = ", in the devfile's image" if found.honours_image else ""
    yield Finding("ok", f"jobs run in: {found.isolation}{image}")
    for note in found.notes:
        yield Finding("warning", note)


def _contexts(paths: Paths) -> Iterator[Finding]:
    """Yield what each GitLab permits the context's token to do. The requests change nothing."""
    try:
        contexts = load_config(paths.config_file).contexts.values()
    except ConfigError:
        return  # reported already
    for found in contexts:
        if found.gitlab is None:
            continue
        subject = f"context {found.name}"
        tokens = connect_gitlab.credentials(found.gitlab.url, paths)
        if not tokens:
            yield Finding(
                "blocked",
                f"there is no access token for {found.gitlab.url}",
                f"`wsdash context add {found.name}` asks for one.",
                subject=subject,
            )
            continue
        sources = _sources(found.name, paths)
        for finding in asyncio.run(connect_gitlab.check(found.gitlab, tokens[0].token, paths, sources)):
            yield replace(finding, subject=subject)


def _access(paths: Paths) -> Iterator[Finding]:
    with suppress(ConfigError):  # reported already
        yield from access_findings(paths)


def _sources(context: str, paths: Paths) -> set[str]:
    """Return the source addresses of a context's workspaces."""
    with reading(paths) as reader:
        workspaces = [row.workspace for row in reader.workspaces(time.time())]
    return {found.source_url for found in workspaces if found.context == context and found.source_url}


def _reconciler(paths: Paths) -> Iterator[Finding]:
    lease = holder(paths)
    if lease is not None:
        yield Finding("ok", f"{lease.owner} (pid {lease.holder.pid})")
        return
    with reading(paths) as reader:
        rows = reader.workspaces(time.time())
    waiting = [row.workspace.name for row in rows if row.workspace.desired is not Desired.STOPPED]
    if waiting:
        text = (
            "no reconciler is running: stopped jobs are not restarted and commands are not executed"
            f" ({', '.join(waiting[:5])})"
        )
        yield Finding("blocked", text, "`wsdash daemon --detach` starts one; so does the dashboard.")
    else:
        yield Finding("ok", "no reconciler is running, and none is needed")


def _jobs(paths: Paths) -> Iterator[Finding]:
    """Find jobs and folders on this machine that the state store does not know (invariants I2 and I7)."""
    plan = with_service(paths, lambda service: service.recovery.recovery_plan(LOCAL.name))
    for known in plan.lost:
        text = f"the state store has lost the workspace {known.workspace.name}; its folder still exists"
        yield Finding("warning", text, "`wsdash recover` rebuilds it; so does the next daemon or dashboard.")
    for orphan in plan.orphans:
        jobs = f"; its jobs: {', '.join(orphan.job_ids)}" if orphan.job_ids else ""
        text = f"{orphan.workspace_id} is not a known workspace: {orphan.reason}{jobs}"
        remedy = f"wsdash leaves it alone. `wsdash recover --end {orphan.workspace_id}` ends and removes it."
        yield Finding("warning", text, remedy)
    if not (plan.lost or plan.orphans):
        yield Finding("ok", "every job belongs to a workspace")


def _left_over(paths: Paths) -> Iterator[Finding]:
    found = cleanup.find(paths)
    for one in found[:MOST_LEFTOVERS]:
        text = f"{one.path} is left over from {one.what}"
        yield Finding("warning", text, "It is removed when the next daemon or dashboard starts.")
    if len(found) > MOST_LEFTOVERS:
        yield Finding("warning", f"and {len(found) - MOST_LEFTOVERS} more")
    elsewhere = cleanup.find_elsewhere(paths)
    for note in elsewhere:
        text = f"{note.project} at {note.url} may hold secrets of {note.workspace_id}, a workspace not known here"
        remedy = (
            "The next daemon or dashboard removes them, unless `wsdash recover` can rebuild the workspace."
        )
        yield Finding("warning", text, remedy)
    if not found and not elsewhere:
        yield Finding("ok", "nothing is left over from deleted workspaces or from processes that died")


def _disk(paths: Paths) -> Iterator[Finding]:
    folder = paths.state
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    level: Level = "blocked" if free < NO_SPACE else "warning" if free < LITTLE_SPACE else "ok"
    remedy = "" if level == "ok" else f"Free some space: workspaces and state are in {paths.state}."
    yield Finding(level, f"{free / 2**30:.1f} GiB free for {paths.state}", remedy)


def _terminal(paths: Paths) -> Iterator[Finding]:
    term = os.environ.get("TERM", "dumb")
    if not sys.stdout.isatty():
        yield Finding("ok", f"standard output is not a terminal (TERM is {term})")
        return
    size = shutil.get_terminal_size()
    colours = (
        "24-bit colour"
        if os.environ.get("COLORTERM") in ("truecolor", "24bit")
        else "colours according to TERM"
    )
    if os.environ.get("NO_COLOR"):
        colours = "no colours (NO_COLOR is set)"
    yield Finding("ok", f"{term}, {size.columns}x{size.lines}, {colours}")
    if term == "dumb":
        yield Finding(
            "warning", "a dumb terminal cannot show the dashboard", "Set TERM to the type of the terminal."
        )
    if size.columns < 80 or size.lines < 24:
        yield Finding("warning", "the dashboard is designed for 80x24 and more", "Enlarge the window.")
    if not encodes(sys.stdout, "●"):
        yield Finding(
            "warning",
            f"the locale's encoding is {sys.stdout.encoding}",
            "Set LANG to C.UTF-8, or use --ascii.",
        )


def _addresses(paths: Paths) -> Iterator[Finding]:
    """Find credentials in stored addresses: earlier versions stored addresses as they were typed."""
    if not paths.database.exists():
        return
    connection = connect(paths.database, read_only=True)
    try:
        rows = connection.execute(
            "SELECT name, source_url FROM workspace WHERE source_url LIKE '%@%'"
        ).fetchall()
    finally:
        connection.close()
    for name, address in rows:
        if without_secrets(address) != address:
            yield Finding(
                "warning",
                f"the state store holds {name}'s address with the password or token that it was created with",
                f"Revoke that token: logs, branches and {paths.backups} may show it. Then create {name} again.",
            )


LOOKS = (
    _wsdash,
    _state,
    _database,
    _config,
    _git,
    _isolation,
    _contexts,
    _access,
    _reconciler,
    _jobs,
    _addresses,
    _left_over,
    _disk,
    _terminal,
)
