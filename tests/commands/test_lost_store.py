"""The state store is replaced, damaged or lost under a real daemon and real commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, processes_of
from tests.waiting import until_sync
from wsdash.backend.store.repair import copy_database
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


@pytest.fixture(autouse=True)
def plain_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")


def create(wsdash: Command, name: str) -> None:
    done = wsdash("create", "--no-source", "--name", name, "--yes", "--wait")
    assert done.returncode == 0, done.stderr


def phases(wsdash: Command) -> dict[str, str]:
    done = wsdash("list", "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row["phase"] for row in json.loads(done.stdout)}


def daemons(folder: Path) -> int:
    return sum("daemon" in process.cmdline() for process in processes_of(folder))


def test_an_older_store_in_its_place_keeps_one_daemon_all_workspaces_and_a_short_log(
    wsdash: Command, paths: Paths, tmp_path: Path
) -> None:
    create(wsdash, "old")
    copy = paths.state / "a-copy"
    copy_database(paths.database, copy)
    assert wsdash("stop", "old", "--wait").returncode == 0
    create(wsdash, "since")
    copy.replace(paths.database)
    everything = {"old": "running", "since": "running"}
    until_sync(
        lambda: phases(wsdash) == everything, 60.0, "what the store says is so, and what it lost is back"
    )
    assert wsdash("stop", "old", "--wait").returncode == 0
    create(wsdash, "new")
    assert daemons(tmp_path) == 1
    lines = paths.daemon_log.read_text().splitlines()
    assert sum("was replaced" in line for line in lines) == 1
    assert len(lines) < 20, lines
    assert wsdash("delete", "since", "--yes", "--wait").returncode == 0


def test_doctor_and_recover_name_what_the_store_has_lost(wsdash: Command, paths: Paths) -> None:
    create(wsdash, "demo")
    assert wsdash("daemon", "--stop").returncode == 0
    for file in (*paths.backups.glob("*"), *paths.state.glob("state.db*")):
        file.unlink()
    found = wsdash("doctor").stdout
    assert "the state store has lost the workspace demo" in found
    done = wsdash("recover", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    (output,) = json.loads(done.stdout)
    assert (output["context"], output["recovered"], output["orphans"]) == ("local", ["demo"], [])
    until_sync(lambda: phases(wsdash) == {"demo": "running"}, 60.0, "the workspace runs")
    assert "every job belongs to a workspace" in wsdash("doctor").stdout


def test_a_damaged_store_is_restored_by_the_verb_that_meets_it(wsdash: Command, paths: Paths) -> None:
    create(wsdash, "demo")
    assert wsdash("daemon", "--stop").returncode == 0
    paths.database.write_bytes(b"\xff" * 100_000)
    done = wsdash("list")
    assert done.returncode == 0
    assert "damaged" in done.stderr and "malformed" not in done.stdout
    assert paths.database.with_suffix(".damaged").stat().st_size == 100_000
