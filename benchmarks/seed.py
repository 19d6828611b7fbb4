"""State stores of any size to measure with, written as wsdash itself writes them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from wsdash.backend.store import database
from wsdash.backend.store.mapping import json_of
from wsdash.model import Policy
from wsdash.paths import Paths
from wsdash.workload import Workload

BEATING = """
import json, os, sys, time
from pathlib import Path
parent = os.getppid()
folders = [Path(line) for line in sys.stdin.read().splitlines()]
print("ready", flush=True)
while os.getppid() == parent:
    for folder in folders:
        partial = folder / ".beat"
        partial.write_text(json.dumps({"at": time.time(), "load": 0.1}))
        partial.rename(folder / "beat.json")
    time.sleep(10)
"""


def paths_in(home: Path) -> Paths:
    return Paths.from_environment({"WSDASH_HOME": str(home)})


def stopped_workspaces(home: Path, count: int) -> None:
    """A store with workspaces that nobody has to look after."""
    paths = paths_in(home)
    database.prepare(paths)
    _insert(paths, count, "stopped")


def running_workspaces(home: Path, count: int) -> subprocess.Popen[str]:
    """A store with running workspaces whose jobs are one process that beats for all of them.

    The local provider finds the jobs' records as it would find real ones. Kill the process
    afterwards; it also ends with its parent.
    """
    paths = paths_in(home)
    database.prepare(paths)
    ids = _insert(paths, count, "running")
    beating = subprocess.Popen(
        [sys.executable, "-c", BEATING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    connection = database.connect(paths.database)
    now = time.time()
    ticks = int(Path(f"/proc/{beating.pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    folders = []
    connection.execute("BEGIN IMMEDIATE")
    for workspace_id in ids:
        attempt_id = f"a{workspace_id}"
        folder = paths.contexts / "local" / "jobs" / attempt_id
        folder.mkdir(parents=True)
        folders.append(str(folder))
        spec = {
            "created_at": now,
            "isolation": "plain",
            "workspace": workspace_id,
            "number": 1,
            "generation": 1,
        }
        state = {"state": "running", "started_at": now - 7200, "ready_at": now - 7190, "steps": []}
        supervisor = {"pid": beating.pid, "ticks": ticks, "boot_id": boot}
        for name, record in (("spec", spec), ("state", state), ("supervisor", supervisor)):
            (folder / f"{name}.json").write_text(json.dumps(record))
        connection.execute(
            "INSERT INTO attempt (id, workspace_id, number, generation, intended_at, launched_at, job_id)"
            " VALUES (?, ?, 1, 1, ?, ?, ?)",
            (attempt_id, workspace_id, now - 7200, now - 7200, str(beating.pid)),
        )
    connection.execute("COMMIT")
    connection.close()
    assert beating.stdin is not None and beating.stdout is not None
    beating.stdin.write("\n".join(folders))
    beating.stdin.close()
    beating.stdout.readline()
    return beating


def _insert(paths: Paths, count: int, desired: str) -> list[str]:
    connection = database.connect(paths.database)
    now = time.time() - 3 * 86400
    ids = [f"w{number:04}" for number in range(count)]
    connection.execute("BEGIN IMMEDIATE")
    for workspace_id in ids:
        connection.execute(
            "INSERT INTO workspace (id, name, context, source_url, ref, devfile_path, desired, generation, policy,"
            " workload, created_at, desired_changed_at)"
            " VALUES (?, ?, 'local', ?, 'main', 'devfile.yaml', ?, 1, ?, ?, ?, ?)",
            (
                workspace_id,
                f"workspace-{workspace_id}",
                f"https://example.com/group/project-{workspace_id}.git",
                desired,
                json_of(Policy()),
                json.dumps(asdict(Workload())),
                now,
                now,
            ),
        )
        connection.execute(
            "INSERT INTO event (created_at, workspace_id, actor, kind, text)"
            " VALUES (?, ?, 'user', 'created', 'created')",
            (now, workspace_id),
        )
    connection.execute("COMMIT")
    connection.close()
    return ids
