"""Looks at a world from outside: /proc, files, GitLab's state. Each check gives sentences, none where all is well."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.gitlab_server.state import COMPLETED
from tests.torture.ledger import ABSENT, RUNNING, STOPPED, Expected
from tests.torture.processes import jobs_of, processes_of
from tests.torture.user import Deeds
from tests.torture.world import World

LOOK_S = 0.35
OVERLAP_S = {"bubblewrap": 0.0, "plain": 0.0, "gitlab": 5.0}
"""The time for which two jobs of a workspace may have live processes. A GitLab takes a job for ended whose processes go
on for a moment, and an older one that still runs must first hear that it is superseded."""
WAY_IN_S = 90.0
"""After so long a workspace that runs must be enterable, whatever of its line was killed."""
Rows = Sequence[Mapping[str, Any]]


class Watcher(threading.Thread):
    """I1, all the time: at most one job of a workspace has live processes."""

    def __init__(self, world: World, deeds: Deeds, goes_on: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._deeds = deeds
        self._goes_on = goes_on
        self._since: dict[tuple[str, ...], float] = {}
        self.looks = 0

    def run(self) -> None:
        while self._goes_on():
            self.look(time.monotonic())
            time.sleep(LOOK_S)

    def look(self, now: float) -> None:
        self.looks += 1
        found = processes_of(self._world.folder)
        doubled = {name: jobs for name, jobs in jobs_of(found).items() if len(jobs) > 1}
        if doubled:
            # A scan takes a moment: what has ended since it was seen did not live beside what came after.
            there = jobs_of(process for process in found if process.is_alive())
            doubled = {name: there[name] for name in doubled if len(there.get(name, ())) > 1}
        seen = {(name, *sorted(jobs)) for name, jobs in doubled.items()}
        self._since = {key: self._since.get(key, now) for key in seen}
        for key, since in self._since.items():
            if now - since >= OVERLAP_S[self._world.kind] and since >= 0:
                processes = [f"{p.pid} {p.job} {' '.join(p.argv)[-80:]}" for p in found if p.job in key]
                self._deeds.violation(
                    f"I1 {key[0]}: jobs {', '.join(key[1:])} at once: {'; '.join(processes)}"
                )
                self._since[key] = float("-inf")


def unmet(world: World, rows: Rows, expected: Mapping[str, Expected]) -> list[str]:
    """The invariants (I1, I2, I3, I4, I6) that do not hold yet, although nothing has been killed for a while."""
    found: list[str] = []
    known = {str(row["id"]) for row in rows}
    by_name = {str(row["name"]): row for row in rows}
    processes = processes_of(world.folder)
    jobs = jobs_of(processes)
    escaped = [process.workspace for process in processes if process.role == "escaped"]
    for name in sorted({*world.names, *by_name}):
        row = by_name.get(name)
        wanted = desired_of(row)
        live = jobs.pop(str(row["id"]), set()) if row is not None else set()
        if name in expected and wanted not in expected[name].may_be:
            found.append(f"I4 {name}: {wanted} is wanted, not {' or '.join(sorted(expected[name].may_be))}")
        if row is not None and row["phase"] != wanted:
            found.append(f"I3 {name}: {row['phase']}, and wanted {wanted}: {row['reason']}")
        if len(live) > (wanted == RUNNING):
            found.append(f"I1 {name}: {len(live)} jobs have processes, and it is wanted {wanted}")
        if wanted == RUNNING and not live:
            found.append(f"I3 {name}: no job of it has a process")
    for name in world.names:
        running = sum(row["project"] == name and desired_of(row) == RUNNING for row in rows)
        if escaped.count(name) > running:
            found.append(
                f"I1 {name}: {escaped.count(name)} processes without an environment outlived their job"
            )
    found += [f"I2 {sorted(of_nobody)} of {workspace} live" for workspace, of_nobody in jobs.items()]
    left = _left_at_gitlab(world, known) if world.is_gitlab else _left_here(world, known)
    marks = [f"mark-{name}-" for name in world.names if all(row["project"] != name for row in rows)]
    return found + left + _secrets_left(world, marks)


def desired_of(row: Mapping[str, Any] | None) -> str:
    return ABSENT if row is None or row["desired"] == "deleted" else str(row["desired"])


def wrong_at_rest(world: World, rows: Rows, expected: Mapping[str, Expected]) -> list[str]:
    """The violations that remain after everything has converged: files and the store."""
    found = [f"I1 two jobs in one folder: {text}" for text in world.doubles(rows)]
    found += [f"store: {text}" for text in _integrity(world.state / "state.db")]
    found += [f"crash report {file}" for file in _entries(world.state / "crashes")]
    found += _shared(world)
    found += _closed(world, rows)
    for row in rows:
        # One whose name was taken when its store came back has another one now, and nothing is expected of it.
        name = str(row["name"])
        one = expected.get(name, Expected())
        lines = _lines(world, row)
        if lines is None:
            continue
        if lines != [str(number) for number in range(1, len(lines) + 1)]:
            found.append(f"lines {name}: a gap or a mixture: {lines[:3]} ... {lines[-3:]}")
        elif len(lines) < one.lines and not world.is_gitlab:
            found.append(f"lines {name}: {len(lines)} are there, and {one.lines} were acknowledged")
        one.lines = len(lines)
    return found


def _closed(world: World, rows: Rows) -> list[str]:
    """Workspaces on a GitLab that run, and that nobody can enter."""
    found = []
    for row in rows if world.is_gitlab else ():
        if row["desired"] == RUNNING:
            answer = world.run("ssh", str(row["name"]), "--", "true", timeout=WAY_IN_S)
            if answer.code:
                found.append(
                    f"way in {row['name']}: {answer.code} after {answer.seconds:.0f} s, {answer.err[-200:]}"
                )
    return found


def _lines(world: World, row: Mapping[str, Any]) -> list[str] | None:
    if row["desired"] not in (RUNNING, STOPPED):
        return None
    file = world.lines_file(row)
    if file is not None:
        return file.read_text().splitlines() if file.exists() else []
    if row["desired"] != RUNNING:
        return None
    read = ("sh", "-c", 'cat "$PROJECT_SOURCE/lines.txt" || true')
    answer = world.run("ssh", str(row["name"]), "--", *read, timeout=WAY_IN_S)
    return answer.out.splitlines() if answer.code == 0 else None


def _integrity(database: Path) -> list[str]:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60) as connection:
            output = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            output += [f"foreign key {row}" for row in connection.execute("PRAGMA foreign_key_check")]
    except sqlite3.Error as error:
        return [str(error)]
    return [text for text in output if text != "ok"]


def _shared(world: World) -> list[str]:
    """I5: no two workspaces have one cache key."""
    if world.server is None:
        return []
    state = world.server.state
    refs: dict[str, set[str]] = {}
    for pipeline in world.server.do(lambda: list(state.pipelines.values())):
        for job in pipeline.jobs:
            refs.setdefault(json.dumps(job.config.get("cache"), sort_keys=True), set()).add(pipeline.ref)
    return [
        f"I5 {sorted(used)} share a cache" for key, used in refs.items() if len(used) > 1 and key != "null"
    ]


def _left_here(world: World, known: Collection[str]) -> list[str]:
    """I6: what the local provider keeps for workspaces that there are no more."""
    root = world.state / "contexts/local"
    found = [f"I6 {entry}" for entry in _entries(root / "trash") + _entries(root / "drafts")]
    for folder in ("workspaces", "secrets"):
        found += [f"I6 {entry}" for entry in _entries(root / folder) if entry.name not in known]
    for entry in _entries(root / "jobs"):
        try:
            owner = str(json.loads((entry / "spec.json").read_text()).get("workspace"))
        except (OSError, ValueError):
            owner = "nobody"
        if owner not in known and entry.is_dir():
            found.append(f"I6 {entry} of {owner}")
    return found + _sockets_left(world, known)


def _sockets_left(world: World, known: Collection[str]) -> list[str]:
    names = {*known, *world.names}
    return [
        f"I6 {entry}"
        for entry in world.runtime.rglob("*.sock")
        if entry.name.removesuffix(".sock").removesuffix(".wsdash") not in names
    ]


def _left_at_gitlab(world: World, known: Collection[str]) -> list[str]:
    """I6: branches, pipelines and variables of workspaces that there are no more."""
    assert world.server is not None and world.project is not None
    project, state = world.project, world.server.state
    listed = subprocess.run(
        ["git", "-C", str(project.repository.folder), "for-each-ref", "--format=%(refname:short)"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"I6 branch {ref}"
        for ref in listed.stdout.split()
        if ref.startswith("wsdash/") and ref.split("/")[1] not in known
    ]
    for pipeline in world.server.do(lambda: list(state.pipelines.values())):
        is_live = any(job.status not in COMPLETED for job in pipeline.jobs)
        if is_live and pipeline.ref.removeprefix("wsdash/") not in known:
            found.append(f"I6 pipeline {pipeline.id} of {pipeline.ref} is {pipeline.status}")
    for key in world.server.do(lambda: list(project.variables)):
        if not any(workspace_id.lower() in key.lower() for workspace_id in known):
            found.append(f"I6 variable {key}")
    return found + _sockets_left(world, known)


def _secrets_left(world: World, marks: Sequence[str]) -> list[str]:
    """Values of secrets whose workspace is gone, anywhere below the home."""
    if not marks:
        return []
    searched = subprocess.run(
        ["grep", "-rlaF", *(word for mark in marks for word in ("-e", mark)), str(world.home)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return [f"I6 a secret of a deleted workspace is in {file}" for file in searched.stdout.splitlines()]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
