"""A delete or a launch that dies at any instant leaves nothing that the next start does not find and remove."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.providers.contract import attempt
from tests.backend.providers.contract import workspace as template
from tests.killing import killed_at_each_change
from wsdash.backend.access.grants import Grant, Grants
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.clone_address import Credential
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.providers.local.supervisor.notify import Listener
from wsdash.backend.reconcile import cleanup
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.store import Store
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.files import json_files
from wsdash.backend.system.files.locks import filling
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Desired, Workspace
from wsdash.paths import Paths
from wsdash.workload import Command, Workload

SECRET = "MARKER-of-a-secret"
OWN = replace(template(), context="local", name="app")


@pytest.fixture
def layout(paths: Paths) -> Layout:
    layout = Layout(paths.contexts / "local")
    layout.make()
    return layout


def provider(paths: Paths) -> LocalProvider:
    return LocalProvider(
        paths.contexts / "local", isolation=Isolation("plain"), access=AccessFolder.of(paths)
    )


async def commit(paths: Paths, workspace: Workspace = OWN, *, deleted: bool = False) -> None:
    async with Store.open(paths) as store:
        await store.create_workspace(workspace, Workload(), "created")
        if deleted:
            fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), boot_time())
            assert fenced is not None
            await fenced.record_deletion(workspace.id, 1.0, "deleted", {})
            await fenced.give_up_lease()


async def release(paths: Paths) -> None:
    async with Store.open(paths) as store:
        fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), boot_time())
        assert fenced is not None
        await fenced.release(OWN.id, 1.0, "taken over")
        await fenced.give_up_lease()


def in_store(paths: Paths, workspace: Workspace = OWN, *, deleted: bool = False) -> None:
    database.prepare(paths)
    asyncio.run(commit(paths, workspace, deleted=deleted))


def fill(paths: Paths, layout: Layout, workspace: Workspace = OWN) -> None:
    """Everything that a workspace with a job that has ended owns on this machine, the secret all over."""
    asyncio.run(provider(paths).keep_secrets(workspace, {"TOKEN": SECRET}))
    given = [Credential("https", "host", "ada", SECRET)]
    asyncio.run(provider(paths).keep_credentials(workspace, Workload(), given))
    files = layout.job(f"{workspace.id}-a1")
    files.scripts.mkdir(parents=True)
    (files.scripts / "secrets.sh").write_text(SECRET)
    files.log.write_text(SECRET)
    json_files.write(files.spec, {"workspace": workspace.id, "attempt": f"{workspace.id}-a1"})
    json_files.write(files.exit, {"cause": "cancelled"})
    deep = layout.workspace(workspace.id) / "projects" / "app" / ".git"
    deep.mkdir(parents=True)
    (deep / "config").write_text(SECRET)
    (deep / "link").symlink_to("/")
    (layout.workspace(workspace.id) / "home").mkdir()
    access = AccessFolder.of(paths)
    access.prepare()
    for ending in ("cert", "conf", "keys", "sh"):
        (access.local / f"{workspace.id}.{ending}").write_text(SECRET)
    Grants(access.grants).write(Grant(workspace.id, f"{workspace.id}-a1", 1, workspace.name))
    (access.seen / f"{workspace.id}.json").write_text("{}")
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(access.socket(workspace.id)))
    access.socket(f"{workspace.name}.wsdash").symlink_to(access.socket(workspace.id).name)


def everything(paths: Paths) -> list[str]:
    """Paths below the folders of the provider and of access that are no empty room of theirs."""
    access = AccessFolder.of(paths)
    rooms = {
        "local",
        "grants",
        "workspaces",
        "jobs",
        "secrets",
        "credentials",
        "listeners",
        "drafts",
        "trash",
        # Where access keeps its sockets, and what names that place.
        "s",
        "sockets",
        "seen",
    }
    found = [*paths.contexts.rglob("*"), *access.root.rglob("*"), *access.sockets.rglob("*")]
    return sorted(str(path) for path in found if path.name not in rooms)


def clear(paths: Paths) -> None:
    access = AccessFolder.of(paths)
    for folder in (paths.contexts / "local", access.root, access.sockets):
        shutil.rmtree(folder, ignore_errors=True)
    Layout(paths.contexts / "local").make()
    access.prepare()


@pytest.fixture(autouse=True)
def short_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))


# --- a delete that dies -----------------------------------------------------------------------------


def test_a_delete_that_is_killed_at_any_change_is_finished_by_the_next(paths: Paths, layout: Layout) -> None:
    def prepare() -> None:
        clear(paths)
        fill(paths, layout)

    def delete() -> None:
        asyncio.run(provider(paths).destroy(OWN))

    died = 0
    for number in killed_at_each_change(delete, prepare):
        delete()
        assert everything(paths) == [], f"killed at change {number}"
        died += 1
    assert died > 20
    assert everything(paths) == []


def test_what_a_delete_has_left_is_removed_by_the_next_start(paths: Paths, layout: Layout) -> None:
    in_store(paths, deleted=True)

    def prepare() -> None:
        clear(paths)
        fill(paths, layout)

    for number in killed_at_each_change(lambda: asyncio.run(provider(paths).destroy(OWN)), prepare):
        cleanup.clean(paths)
        assert everything(paths) == [], f"killed at change {number}"
        assert cleanup.find(paths) == []


def test_a_cleanup_that_is_killed_is_finished_by_the_next(paths: Paths, layout: Layout) -> None:
    in_store(paths, deleted=True)

    def prepare() -> None:
        clear(paths)
        fill(paths, layout)

    for number in killed_at_each_change(lambda: cleanup.clean(paths), prepare):
        cleanup.clean(paths)
        assert everything(paths) == [], f"killed at change {number}"


def test_what_is_left_is_named(paths: Paths, layout: Layout) -> None:
    in_store(paths, deleted=True)
    fill(paths, layout)
    named = {str(one.path) for one in cleanup.find(paths)}
    for path in (
        layout.job(f"{OWN.id}-a1").folder,
        layout.secrets_of(OWN.id),
        layout.workspace(OWN.id),
        AccessFolder.of(paths).local / f"{OWN.id}.sh",
        AccessFolder.of(paths).socket(OWN.id),
    ):
        assert str(path) in named


# --- a launch that dies -----------------------------------------------------------------------------


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_launch_that_is_killed_at_any_change_leaves_a_whole_job_or_none(
    paths: Paths, layout: Layout
) -> None:
    in_store(paths)
    workload = Workload(post_start=(Command("one", "true"),))

    def prepare() -> None:
        asyncio.run(provider(paths).destroy(OWN))
        asyncio.run(provider(paths).keep_secrets(OWN, {"TOKEN": SECRET}))

    def launch() -> None:
        asyncio.run(provider(paths).launch(OWN, attempt(), workload))

    died = 0
    for number in killed_at_each_change(launch, prepare):
        cleanup.clean(paths)
        jobs = list(layout.jobs.iterdir())
        assert [job.name for job in jobs] in ([], [attempt().id]), f"killed at change {number}"
        assert all((job / "spec.json").exists() and (job / "job" / "secrets.sh").exists() for job in jobs)
        assert cleanup.find(paths) == []
        died += 1
    assert died > 10
    assert asyncio.run(provider(paths).launch(OWN, attempt(), workload)).attempt_id == attempt().id
    asyncio.run(provider(paths).destroy(OWN))
    assert everything(paths) == []


def test_a_launch_of_a_living_process_is_left_alone(paths: Paths, layout: Layout) -> None:
    in_store(paths)
    draft = layout.jobs / ".w1-a1.0123"
    draft.mkdir()
    with filling(layout.jobs):
        cleanup.clean(paths)
        assert draft.exists() and cleanup.find(paths) == []
    cleanup.clean(paths)
    assert not draft.exists()


# --- what else a crash leaves -----------------------------------------------------------------------


def test_what_no_store_knows_stays_for_it_may_have_been_lost_with_one(paths: Paths, layout: Layout) -> None:
    database.prepare(paths)
    fill(paths, layout)
    before = everything(paths)
    cleanup.clean(paths)
    assert everything(paths) == before
    assert cleanup.find(paths) == []


def test_a_secret_that_nothing_else_of_its_workspace_outlived_goes(paths: Paths, layout: Layout) -> None:
    database.prepare(paths)
    asyncio.run(provider(paths).keep_secrets(OWN, {"TOKEN": SECRET}))
    assert [one.path for one in cleanup.find(paths)] == [layout.secrets_of(OWN.id)]
    cleanup.clean(paths)
    assert not layout.secrets_of(OWN.id).exists()
    assert cleanup.find(paths) == []


def test_what_another_store_has_taken_over_stays(paths: Paths, layout: Layout) -> None:
    in_store(paths)
    asyncio.run(release(paths))
    fill(paths, layout)
    kept = paths.state / "checkpoints" / OWN.id
    kept.mkdir(parents=True)
    before = everything(paths)
    cleanup.clean(paths)
    assert everything(paths) == before and kept.exists()


def test_an_import_that_was_launched_and_then_lost_with_the_store_stays(paths: Paths, layout: Layout) -> None:
    database.prepare(paths)
    fill(paths, layout)
    (layout.drafts / OWN.id).mkdir()
    cleanup.clean(paths)
    assert layout.workspace(OWN.id).exists() and list(layout.drafts.iterdir()) == []


def test_what_a_living_workspace_owns_stays(paths: Paths, layout: Layout) -> None:
    in_store(paths)
    fill(paths, layout)
    before = everything(paths)
    cleanup.clean(paths)
    assert everything(paths) == before


def test_files_of_writers_that_died_are_removed_and_those_of_living_ones_stay(
    paths: Paths, layout: Layout
) -> None:
    in_store(paths)
    fill(paths, layout)
    job = layout.job(f"{OWN.id}-a1").folder
    ended = subprocess.Popen(["true"])
    ended.wait()
    (job / f".state.json.{ended.pid}").write_text("{}")
    (job / f".state.json.{os.getpid()}").write_text("{}")
    for name, written in ((".state.json.w0123abc", 1), (".state.json.w0456def", time.time())):
        (job / name).write_text("{}")
        os.utime(job / name, (written, written))
    Listener(layout.listeners, "1-gone").socket.close()
    listening = Listener(layout.listeners, "2-there")
    config = paths.credentials_file
    config.parent.mkdir(parents=True, exist_ok=True)
    for name in (f".{config.name}-old", f".{config.name}.w0123abc", f".{config.name}-new", ".gitignore"):
        (config.parent / name).write_text(SECRET)
    for name in (f".{config.name}-old", f".{config.name}.w0123abc", ".gitignore"):
        os.utime(config.parent / name, (1, 1))
    cleanup.clean(paths)
    assert not (job / f".state.json.{ended.pid}").exists()
    assert (job / f".state.json.{os.getpid()}").exists()
    assert not (job / ".state.json.w0123abc").exists()
    assert (job / ".state.json.w0456def").exists()
    assert [entry.name for entry in layout.listeners.iterdir()] == ["2-there"]
    listening.close()
    assert sorted(file.name for file in config.parent.iterdir()) == [f".{config.name}-new", ".gitignore"]


def test_the_folder_of_a_sandbox_that_was_being_tried_is_removed(paths: Paths, layout: Layout) -> None:
    in_store(paths)
    died, tried = layout.root / ".probe-died", layout.root / ".probe-tried"
    for folder in (died, tried):
        (folder / "projects").mkdir(parents=True)
    os.utime(died, (1, 1))
    assert [one.path for one in cleanup.find(paths)] == [died]
    cleanup.clean(paths)
    assert not died.exists() and tried.exists()


async def want_deleted(paths: Paths, name: str) -> None:
    async with Store.open(paths) as store:
        (found,) = [workspace for workspace in await store.workspaces() if workspace.name == name]
        await store.set_desired_state(
            found.id, Desired.DELETED, new_generation=False, now=time.time(), text="delete"
        )


KILLED_DAEMON = """
import os, signal, sys
from wsdash.backend.providers.local.files import remove
purge = remove.purge
def die(trash, owner=None):
    if remove.in_trash(trash):
        os.kill(os.getpid(), signal.SIGKILL)
    purge(trash, owner)
remove.purge = die
sys.argv = ["wsdash", "daemon"]
from wsdash.cli import main
sys.exit(main())
"""


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_daemon_that_dies_amid_a_delete_leaves_no_secret_behind(paths: Paths, tmp_path: Path) -> None:
    def wsdash(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wsdash", *arguments],
            cwd=tmp_path, env={**os.environ, "TOKEN": SECRET, "WSDASH_ISOLATION": "plain"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    wsdash("create", "--no-source", "--name", "app", "--secret", "TOKEN", "--yes", "--wait")
    wsdash("daemon", "--stop")
    asyncio.run(want_deleted(paths, "app"))
    dying = subprocess.Popen([sys.executable, "-c", KILLED_DAEMON], cwd=tmp_path)
    assert dying.wait(60) == -signal.SIGKILL
    assert "left over from a deleted workspace" in wsdash("doctor")
    wsdash("delete", "app", "--yes", "--wait")
    found = subprocess.run(["grep", "-rl", SECRET, str(paths.state)], capture_output=True, text=True)
    assert found.stdout == ""
    assert "nothing is left over from deleted workspaces" in wsdash("doctor")
