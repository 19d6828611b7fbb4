"""A process that dies at any system call, or with its machine, leaves a store that the next start opens.

What was acknowledged is there; what was not is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.syscalls import Disk, Victims, compiled, recorded
from tests.syscalls.scenarios import home_paths, named
from wsdash.backend.store import database
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.model import Desired
from wsdash.paths import Paths
from wsdash.workload import Workload

JOURNALS = pytest.mark.parametrize("wal", [False, True], ids=["rollback journal", "write-ahead log"])


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    with Victims(compiled(tmp_path_factory.mktemp("shim"))) as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, where there is such a place: each death waits for the disk several times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a store that has the workspace `old`, and a backup of it."""
    monkeypatch.setattr(database, "BALLAST_SIZE", 16)
    paths = home_paths(folder / "start")
    database.prepare(paths)

    async def create() -> None:
        async with Store.open(paths) as store:
            await store.create_workspace(named("old"), Workload(), "created")

    asyncio.run(create())
    database.backup(paths, "20260101T00")
    return folder / "start"


class Kills:
    """Runs a scenario again and again from the same start, killed one change later each time."""

    def __init__(self, victims: Victims, start: Path, folder: Path) -> None:
        self._victims, self._start = victims, start
        self._killed, self._record = folder / "killed", folder / "record"
        self.count = 0

    def of(self, scenario: str, *, wal: bool = False) -> Iterator[Path]:
        """The folder after each death, and at last after none."""
        self._begin()
        assert self._victims.run(scenario, self._killed, wal=wal, record=self._record)
        changes = recorded(self._record)
        for number, change in enumerate(changes):
            for torn in (False, True) if len(change.data) > 1 and change.kind == "w" else (False,):
                self._begin()
                self._victims.run(scenario, self._killed, kill_at=number, torn=torn, wal=wal)
                yield self._killed
                self.count += 1
        self._begin()
        assert self._victims.run(scenario, self._killed, wal=wal)
        yield self._killed

    def _begin(self) -> None:
        shutil.rmtree(self._killed, ignore_errors=True)
        shutil.copytree(self._start, self._killed)


@pytest.fixture
def kills(victims: Victims, home: Path, folder: Path) -> Kills:
    return Kills(victims, home, folder)


@JOURNALS
def test_commands_killed_at_any_system_call(kills: Kills, wal: bool) -> None:
    for home in kills.of("commands", wal=wal):
        check_commands(home)
    assert kills.count > 40


@JOURNALS
def test_commands_of_a_machine_that_lost_power_at_any_system_call(
    victims: Victims, home: Path, folder: Path, wal: bool
) -> None:
    cuts = 0
    for cut in power_cuts(victims, home, folder, "commands", wal=wal):
        check_commands(cut)
        cuts += 1
    assert cuts > 20


def power_cuts(
    victims: Victims, start: Path, folder: Path, scenario: str, *, wal: bool = False
) -> Iterator[Path]:
    """The disks that a power cut at any change of a scenario may leave, each different one once."""
    running, record, cut = folder / "running", folder / "record", folder / "cut"
    shutil.copytree(start, running)
    disk = Disk(running)
    assert victims.run(scenario, running, wal=wal, record=record)
    seen = set()
    for change in recorded(record):
        disk.apply(change)
        # The acknowledgement itself was seen by the user, whether or not its file is on the disk.
        acknowledged = disk.content(running / "acknowledged")
        for files in disk.after_power_cut():
            mark = hash((acknowledged, *sorted(files.items())))
            if mark not in seen:
                seen.add(mark)
                lay_out(files, running, cut)
                (cut / "acknowledged").write_bytes(acknowledged)
                yield cut


def lay_out(files: dict[str, bytes], origin: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    linked: dict[int, Path] = {}
    for path, content in files.items():
        target = folder / Path(path).relative_to(origin)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if content and id(content) in linked:
            target.hardlink_to(linked[id(content)])
        else:
            linked[id(content)] = target
            target.write_bytes(content)


def check_commands(home: Path) -> None:
    acknowledged = acknowledgements(home)
    paths = home_paths(home)
    rows = opened(paths)
    assert not list(paths.state.glob("*damaged*")), "nothing was damaged, so nothing may be restored"
    if "create new" in acknowledged:
        assert "new" in rows
    if "stop new" in acknowledged:
        assert rows["new"] is Desired.STOPPED
    if "delete old" in acknowledged:
        assert rows["old"] is Desired.DELETED
    connection = sqlite3.connect(paths.database)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    events = set(connection.execute("SELECT workspace_id, kind FROM event"))
    connection.close()
    # An event is part of the transaction that it tells of.
    assert (("new", "created") in events) == ("new" in rows)
    assert (("new", "wanted-stopped") in events) == (rows.get("new") is Desired.STOPPED)
    assert (("old", "wanted-deleted") in events) == (rows["old"] is Desired.DELETED)


def acknowledgements(home: Path) -> list[str]:
    try:
        return (home / "acknowledged").read_text().splitlines()
    except FileNotFoundError:
        return []


def opened(paths: Paths) -> dict[str, Desired]:
    """The results of the next command, and of the next one that writes."""
    reader = Reader(paths)
    rows = {row.workspace.name: row.workspace.desired for row in reader.workspaces(0.0)}
    reader.close()
    database.prepare(paths)
    return rows


def test_a_first_start_killed_at_any_system_call(
    victims: Victims, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BALLAST_SIZE", 16)
    empty = folder / "empty"
    empty.mkdir()
    for home in Kills(victims, empty, folder).of("prepare"):
        assert opened(home_paths(home)) == {}


def test_a_migration_killed_at_any_system_call(kills: Kills, home: Path) -> None:
    """From the first schema, with the backup that is made before."""
    make_of_first_schema(home_paths(home))
    for killed in kills.of("prepare"):
        paths = home_paths(killed)
        assert opened(paths) == {"old": Desired.RUNNING}
        assert not list(paths.state.glob("*damaged*"))
    assert kills.count > 40


def test_a_migration_of_a_machine_that_lost_power(victims: Victims, home: Path, folder: Path) -> None:
    make_of_first_schema(home_paths(home))
    for cut in power_cuts(victims, home, folder, "prepare"):
        assert opened(home_paths(cut)) == {"old": Desired.RUNNING}
        assert not list(home_paths(cut).state.glob("*damaged*"))


def make_of_first_schema(paths: Paths) -> None:
    paths.database.unlink()
    connection = sqlite3.connect(paths.database)
    connection.executescript(database.migrations()[0])
    connection.execute(
        "INSERT INTO workspace VALUES ('old', 'old', 'local', NULL, NULL, NULL, 'running', 1, '{}', '{}', 1, 1, NULL)"
    )
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def test_a_backup_killed_at_any_system_call(kills: Kills) -> None:
    for home in kills.of("backup"):
        paths = home_paths(home)
        assert opened(paths) == {"old": Desired.RUNNING}
        for file in paths.backups.glob("state-*.db"):
            copy = sqlite3.connect(file)
            assert copy.execute("SELECT name FROM workspace").fetchall() == [("old",)]
            copy.close()
        database.backup(paths, "20260102T00")


@pytest.fixture(params=["overwritten", "emptied", "removed"])
def damaged(request: pytest.FixtureRequest, home: Path) -> Path:
    file = home_paths(home).database
    if request.param == "overwritten":
        file.write_bytes(b"\xff" * OVERWRITTEN)
    elif request.param == "emptied":
        os.truncate(file, 0)
    else:
        file.unlink()
    return home


OVERWRITTEN = 20_000


def check_restored(paths: Paths) -> None:
    assert opened(paths) == {"old": Desired.RUNNING}
    aside = [file for file in paths.state.glob("*damaged*") if file.stat().st_size]
    assert [file.stat().st_size for file in aside] in ([], [OVERWRITTEN]), "what was damaged is kept, once"


def test_a_restore_of_a_backup_killed_at_any_system_call(kills: Kills, damaged: Path) -> None:
    for killed in kills.of("prepare"):
        check_restored(home_paths(killed))


def test_a_restore_of_a_backup_of_a_machine_that_lost_power(
    victims: Victims, damaged: Path, folder: Path
) -> None:
    for cut in power_cuts(victims, damaged, folder, "prepare"):
        check_restored(home_paths(cut))
