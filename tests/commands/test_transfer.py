"""Workspaces out into archives and in again, by commands alone and with real jobs."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.backend.builders import workspace
from tests.conftest import PYTHON, Command
from tests.repositories import git, make_repository
from tests.waiting import until_sync
from wsdash.backend.archive import manifest
from wsdash.model import Desired
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


@pytest.fixture
def web(wsdash: Command, tmp_path: Path) -> Path:
    """The project's folder of a running workspace `web` with unsaved work."""
    created = wsdash("create", str(make_repository(tmp_path / "web")), "--wait", "--json")
    assert created.returncode == 0, created.stderr
    project = Path(json.loads(created.stdout)["folder"]) / "projects" / "web"
    assert wsdash("ssh", "web", "--", "sh", "-c", "echo draft >draft.txt; echo x >>README.md").returncode == 0
    (project / "run.sh").write_text("#!/bin/sh\necho it runs\n")
    (project / "run.sh").chmod(0o755)
    git(project, "add", "run.sh")
    git(project, "commit", "--quiet", "--message=Only here")
    git(project, "stash", "--quiet")
    (project / "away").symlink_to("/nowhere/at/all")
    return project


@pytest.fixture
def archive(wsdash: Command, web: Path, tmp_path: Path) -> Path:
    """`web`, stopped and exported."""
    file = tmp_path / "web.tar.gz"
    done = wsdash("export", "web", str(file), "--stop")
    assert done.returncode == 0, done.stderr
    return file


@pytest.fixture
def fresh(store_with: Callable[..., None]) -> str:
    """The name of a workspace that never ran."""
    store_with([replace(workspace(Desired.STOPPED), id="f1", name="fresh", context="local")])
    return "fresh"


def row_of(wsdash: Command, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(wsdash("show", name, "--json").stdout)
    return found


def names(wsdash: Command) -> set[str]:
    return {row["name"] for row in json.loads(wsdash("list", "--json").stdout)}


def other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    """From here on wsdash has none of its files but config."""
    monkeypatch.setenv("WSDASH_HOME", str(tmp_path / "elsewhere"))
    return Paths.from_environment()


def left_in(paths: Paths) -> list[Path]:
    """Files of workspaces, whole or on their way."""
    root = paths.contexts / "local"
    return [path for name in ("workspaces", "drafts", "trash") for path in (root / name).glob("*")]


def test_unsaved_work_moves_to_another_machine_and_goes_on_there(
    wsdash: Command, archive: Path, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = row_of(wsdash, "web")
    assert before["phase"] == "stopped"
    other_machine(monkeypatch, tmp_path)
    shutil.rmtree(tmp_path / "web")  # the repository is not needed there

    done = wsdash("import", str(archive), "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["name"], row["phase"], row["desired"], row["attempt"]) == ("web", "stopped", "stopped", None)
    assert row["id"] != before["id"]
    moved = row_of(wsdash, "web")
    for same in ("source", "ref", "devfile", "policy", "workload"):
        assert moved[same] == before[same]
    (event,) = moved["events"]
    assert (event["kind"], event["actor"]) == ("imported", "user")
    assert f"web ({before['id']}) of the context local" in event["text"]
    assert event["evidence"]["file"] == str(archive)

    project = Path(row["folder"]) / "projects" / "web"
    assert project != web
    assert git(project, "log", "--format=%s") == "Only here\nStart"
    assert git(project, "status", "--porcelain").splitlines() == [
        "?? away",
        "?? draft.txt",
        "?? greeting.txt",
    ]
    assert "x" in git(project, "stash", "show", "--patch")
    assert os.readlink(project / "away") == "/nowhere/at/all"  # noqa: PTH115

    assert wsdash("start", "web", "--wait").returncode == 0
    assert wsdash("ssh", "web", "--", "sh", "-c", "cat draft.txt; ./run.sh").stdout == "draft\nit runs\n"
    assert "the existing work is kept" in wsdash("logs", "web").stdout


def test_a_running_workspace_is_copied_and_the_copy_started_through_a_pipe(
    wsdash: Command, web: Path
) -> None:
    with subprocess.Popen(
        [*PYTHON, "export", "web", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as exporting:
        done = subprocess.run(
            [*PYTHON, "import", "-", "--name", "copy", "--start"],
            stdin=exporting.stdout, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert exporting.stderr is not None
        output = exporting.stderr.read().decode()
        assert exporting.wait(60) == 0
    assert "web is running: its files are copied while they may change" in output
    assert "web is exported" in output
    assert done.returncode == 0, done.stderr
    assert "copy is imported" in done.stdout
    assert wsdash("ssh", "copy", "--", "cat", "draft.txt").stdout == "draft\n"
    assert row_of(wsdash, "web")["phase"] == "running"


def test_a_workspace_that_never_ran_moves_too(wsdash: Command, fresh: str) -> None:
    assert wsdash("export", fresh, "fresh.tar").returncode == 0
    done = wsdash("import", "fresh.tar", "--name", "again")
    assert done.returncode == 0, done.stderr
    assert names(wsdash) == {"fresh", "again"}


def test_the_archive_is_a_private_tar_that_other_programs_read(
    wsdash: Command, archive: Path, tmp_path: Path
) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as opened:
        first = opened.next()
        assert first is not None and first.name == "workspace.json"
        content = opened.extractfile(first)
        assert content is not None
        document = json.loads(content.read())
        members = set(opened.getnames())
    assert document["format"] == 1
    assert {"name", "source", "ref", "devfile", "policy", "workload"} <= set(document)
    assert {"projects/web/draft.txt", "projects/web/.git/HEAD", "home"} <= members
    assert not any(name.startswith("tmp") for name in members)
    assert wsdash("export", "web", "plain.tar").returncode == 0
    with tarfile.open(tmp_path / "plain.tar", "r:") as opened:
        assert set(opened.getnames()) == members


def test_a_file_that_is_there_is_kept_unless_forced(wsdash: Command, archive: Path) -> None:
    before = archive.read_bytes()
    refused = wsdash("export", "web", str(archive))
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    assert archive.read_bytes() == before
    assert wsdash("export", "web", str(archive), "--force").returncode == 0
    assert archive.read_bytes() != before
    assert [entry.name for entry in archive.parent.iterdir() if entry.name.endswith(".part")] == []


def test_a_name_that_is_taken_is_told_with_the_next_free_one(
    wsdash: Command, archive: Path, paths: Paths
) -> None:
    for free in ("web-2", "web-3"):
        refused = wsdash("import", str(archive), "--json")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "the workspace web already exists" in refused.stderr
        assert f"--name {free}" in refused.stderr
        assert wsdash("import", str(archive), "--name", free).returncode == 0
    assert len(left_in(paths)) == 3
    wrong = wsdash("import", str(archive), "--name", "Not A Name")
    assert (wrong.returncode, "is not a valid name" in wrong.stderr) == (1, True)


def hostile(document: dict[str, Any], *more: tuple[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as written:
        for name, content in (("workspace.json", json.dumps(document).encode()), *more):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda whole, _: whole[: len(whole) // 2], "incomplete or damaged"),
        (lambda whole, _: b"", "is incomplete"),
        (lambda whole, _: b"no archive " * 100, "is not a tar"),
        (lambda _, document: hostile(document | {"format": 99}), "format 99"),
        (lambda _, document: hostile(document | {"name": "../../x"}), "is not a valid name"),
        (lambda _, document: hostile(document | {"workload": {"source": {"url": "x", "folder": "../x"}}}), "job"),
        (lambda _, document: hostile(document | {"policy": {"ladder_s": [-1]}}), "policy.ladder_s"),
        (lambda _, document: hostile(document | {"ref": "x" * manifest.LARGEST}), "is larger than"),
        (lambda _, document: hostile(document, ("projects/a", b"a"), ("home/../../x", b"x")), "outside"),
        (lambda _, document: hostile(document, ("projects/a", b"a"), ("etc/passwd", b"x")), "none of"),
    ],
)  # fmt: skip
def test_an_archive_that_is_not_sound_is_told_and_leaves_nothing(
    spoil: Callable[[bytes, dict[str, Any]], bytes],
    words: str,
    wsdash: Command,
    tmp_path: Path,
    paths: Paths,
    fresh: str,
) -> None:
    assert wsdash("export", fresh, "whole.tar.gz").returncode == 0
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "whole.tar.gz") as opened:
        content = opened.extractfile("workspace.json")
        assert content is not None
        document = json.loads(content.read()) | {"name": "spoilt"}
    (tmp_path / "bad.tar.gz").write_bytes(spoil(whole, document))
    done = wsdash("import", "bad.tar.gz")
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert names(wsdash) == {"fresh"}
    assert left_in(paths) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_import_that_is_ended_in_the_middle_leaves_nothing_that_stays(
    number: signal.Signals, wsdash: Command, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = other_machine(monkeypatch, tmp_path)
    with tarfile.open(archive) as opened, tarfile.open(tmp_path / "plain.tar", "w") as plain:
        for member in opened:
            plain.addfile(member, opened.extractfile(member) if member.isreg() else None)
    data = (tmp_path / "plain.tar").read_bytes()
    with subprocess.Popen(
        [*PYTHON, "import", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        importing.stdin.write(data[: len(data) // 2])
        importing.stdin.flush()
        drafts = paths.contexts / "local" / "drafts"
        until_sync(lambda: any(drafts.glob("*/files/projects")), 30.0, "the first files")
        importing.send_signal(number)  # while it waits for the rest, which never comes
        code = importing.wait(30)
        assert importing.stderr is not None
        assert b"Traceback" not in importing.stderr.read()
    if number is signal.SIGINT:
        assert code == 130
        assert left_in(paths) == []
    assert names(wsdash) == set()
    assert wsdash("import", str(archive)).returncode == 0
    assert len(left_in(paths)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_export_that_is_ended_in_the_middle_leaves_no_archive_and_blocks_no_other(
    number: signal.Signals, wsdash: Command, web: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "web.tar.gz"
    file.parent.mkdir()
    with (web / "large").open("wb") as large:
        for _ in range(30):
            large.write(os.urandom(1_000_000))
    with subprocess.Popen([*PYTHON, "export", "web", str(file)], stderr=subprocess.DEVNULL) as exporting:
        until_sync(lambda: any(file.parent.glob(".web.tar.gz.*.part")), 30.0, "the beginning of the archive")
        exporting.send_signal(number)
    assert not file.exists()
    if number is signal.SIGINT:
        assert exporting.returncode == 130
        assert list(file.parent.iterdir()) == []
    (web / "large").unlink()
    assert wsdash("export", "web", str(file)).returncode == 0
    assert file.exists()


def test_a_full_disk_leaves_no_archive(wsdash: Command, web: Path, tmp_path: Path) -> None:
    point = tmp_path / "small"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", point], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr.strip()}")
    try:
        (web / "large").write_bytes(os.urandom(3_000_000))
        done = wsdash("export", "web", str(point / "web.tar.gz"))
        assert (done.returncode, "no space left" in done.stderr) == (1, True)
        assert list(point.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def test_a_workspace_that_is_being_deleted_is_not_exported(
    wsdash: Command, store_with: Callable[..., None], tmp_path: Path
) -> None:
    store_with([replace(workspace(Desired.DELETED), id="g1", name="going", context="local")])
    done = wsdash("export", "going", "going.tar")
    assert (done.returncode, "is being deleted" in done.stderr) == (1, True)
    assert not (tmp_path / "going.tar").exists()


def test_archives_are_not_written_to_or_read_from_a_terminal(fresh: str) -> None:
    for arguments in (["export", fresh, "-"], ["import", "-"]):
        asked = pexpect.spawn(PYTHON[0], [*PYTHON[1:], *arguments], timeout=60, encoding="utf-8")
        asked.expect("Give a FILE")
        asked.expect(pexpect.EOF)
        assert asked.wait() == 2


def test_on_a_terminal_a_long_export_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsdash.commands.transfer import Progress

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("copied") as progress:
        for second in range(4):
            now[0] = second * 0.9
            progress(second * 1_000_000)
            progress(second * 1_000_000 + 1)
    assert capsys.readouterr().err == "\r2.0 MB copied ... \r3.0 MB copied ... \n"
