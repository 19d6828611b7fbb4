"""The use cases on the embedded provider: real repositories, real jobs, one reconciler in this process."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.repositories import DEVFILE, make_repository
from tests.waiting import until
from wsdash.backend.errors import UserError, WorkspaceGone, WsdashError
from wsdash.backend.operations import save_work
from wsdash.backend.operations.create import CreateRequest, free_name, project_name
from wsdash.backend.operations.save_work import SavedWork
from wsdash.backend.providers.local import LocalProvider
from wsdash.backend.providers.types import PollIntervals
from wsdash.backend.reconcile import leader_election
from wsdash.backend.service import Service
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Cause, Desired, Phase, Policy, Workspace
from wsdash.paths import Paths

RUNNING = frozenset({Phase.RUNNING})
QUICK = Policy(ladder_s=(0.01,), start_limit=2, grace_s=5.0)


@pytest.fixture
async def service(paths: Paths, leaves_nothing_running: None) -> AsyncIterator[Service]:
    async with Service.open(paths) as opened:
        reconciling = asyncio.create_task(opened.reconcile("dashboard"))
        yield opened
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo")


async def created(service: Service, source: Path, policy: Policy = QUICK) -> Workspace:
    preview = await service.creation.preview(CreateRequest(str(source)))
    return await service.creation.create(preview, policy)


async def demo(service: Service) -> str:
    """The id of the workspace that is called demo now."""
    return (await service.queries.find("demo")).id


async def running(service: Service, name: str, attempt: int) -> WorkspaceRow:
    """The workspace's row as soon as it runs in (at least) this attempt."""

    async def row() -> WorkspaceRow | None:
        found = (await service.queries.detail((await service.queries.find(name)).id)).row
        is_there = found.attempt is not None and found.attempt.number >= attempt
        return found if is_there and found.status.phase is Phase.RUNNING else None

    return await until(row, 20.0, f"{name} running in attempt {attempt}")


def supervisor_of(row: WorkspaceRow) -> psutil.Process:
    assert row.attempt is not None and row.attempt.job_id is not None
    return psutil.Process(int(row.attempt.job_id))


async def test_the_preview_shows_the_job_and_create_makes_exactly_that(
    service: Service, repository: Path
) -> None:
    preview = await service.creation.preview(CreateRequest(str(repository)))
    assert preview.name == "demo"
    assert preview.devfile_path == "devfile.yaml"
    assert "greeting.txt" in preview.job
    workspace = await service.creation.create(preview)
    row = await service.lifecycle.wait_for(workspace.id, RUNNING, 20.0)
    folder = Path(service.queries.folder(row.workspace) or "")
    greeting = folder / "projects" / "demo" / "greeting.txt"
    assert greeting.read_text() == "hello from demo\n"


async def test_a_repository_without_a_devfile_gets_the_default_one(service: Service, tmp_path: Path) -> None:
    preview = await service.creation.preview(
        CreateRequest(str(make_repository(tmp_path / "plain", devfile=None)))
    )
    assert preview.devfile_path is None
    assert preview.workload.image


async def test_restart_makes_a_new_attempt_and_keeps_the_files(service: Service, repository: Path) -> None:
    workspace = await created(service, repository)
    row = await running(service, "demo", 1)
    unsaved = Path(service.queries.folder(workspace) or "") / "projects" / "demo" / "unsaved.txt"
    unsaved.write_text("not committed")
    await service.lifecycle.restart(await demo(service))
    row = await running(service, "demo", 2)
    assert row.attempt is not None and row.attempt.number == 2
    assert unsaved.read_text() == "not committed"
    first = (await service.queries.detail(await demo(service))).attempts[-1]
    assert first.end is not None and first.end.cause is Cause.CANCELLED


async def test_a_job_that_takes_its_time_to_end_can_be_ended_now(service: Service, tmp_path: Path) -> None:
    devfile = """schemaVersion: 2.2.0
components: [{name: main, container: {image: alpine}}]
commands: [{id: bye, exec: {component: main, commandLine: sleep 600}}]
events: {preStop: [bye]}
"""
    await created(service, make_repository(tmp_path / "demo", devfile=devfile), replace(QUICK, grace_s=600.0))
    await running(service, "demo", 1)
    await service.lifecycle.stop(await demo(service))
    await service.lifecycle.wait_for(await demo(service), frozenset({Phase.STOPPING}), 20.0)
    assert await service.lifecycle.end_now(await demo(service))
    await service.lifecycle.wait_for(await demo(service), frozenset({Phase.STOPPED}), 20.0)
    assert not await service.lifecycle.end_now(await demo(service))


async def test_stop_keeps_the_folder_and_delete_removes_it(service: Service, repository: Path) -> None:
    workspace = await created(service, repository)
    await running(service, "demo", 1)
    await service.lifecycle.stop(await demo(service))
    await service.lifecycle.wait_for(await demo(service), frozenset({Phase.STOPPED}), 20.0)
    folder = Path(service.queries.folder(workspace) or "")
    assert (folder / "projects" / "demo" / "README.md").exists()
    await service.lifecycle.delete(await demo(service))
    await service.lifecycle.wait_for(workspace.id, frozenset({Phase.DELETED}), 20.0)
    assert not folder.exists()
    assert await service.queries.workspaces() == []
    assert [row.workspace.id for row in await service.queries.workspaces(deleted=True)] == [workspace.id]


async def test_a_killed_job_comes_back(service: Service, repository: Path) -> None:
    await created(service, repository)
    row = await running(service, "demo", 1)
    for process in supervisor_of(row).children():
        process.kill()
    row = await running(service, "demo", 2)
    kinds = [event.kind for event in await service.queries.events(await demo(service))]
    assert kinds.count("launch") == 2 and "ended" in kinds


async def test_a_killed_supervisor_leaves_nothing_behind_and_the_job_comes_back(
    service: Service, repository: Path
) -> None:
    await created(service, repository)
    row = await running(service, "demo", 1)
    family = [supervisor_of(row), *supervisor_of(row).children(recursive=True)]
    family[0].kill()
    await running(service, "demo", 2)
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
    assert "force-cancel" in [event.kind for event in await service.queries.events(await demo(service))]


async def test_a_silent_job_is_cancelled_and_replaced(service: Service, repository: Path) -> None:
    policy = replace(QUICK, beat_s=0.3, suspect_s=1.5, dead_s=3.0, grace_s=0.5)
    await created(service, repository, policy)
    row = await running(service, "demo", 1)
    family = [supervisor_of(row), *supervisor_of(row).children(recursive=True)]
    for process in family:
        process.suspend()
    await running(service, "demo", 2)
    cancels = [event for event in await service.queries.events(await demo(service)) if event.kind == "cancel"]
    assert any("no heartbeat" in event.text for event in cancels)


async def test_a_job_that_fails_at_once_ends_as_failed_with_its_last_words(
    service: Service, tmp_path: Path
) -> None:
    source = make_repository(tmp_path / "demo")
    preview = await service.creation.preview(CreateRequest(str(source)))
    for file in sorted(source.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    await service.creation.create(preview, QUICK)
    row = await service.lifecycle.wait_for(await demo(service), frozenset({Phase.FAILED}), 30.0)
    assert "does not exist" in row.status.reason
    await service.lifecycle.start(await demo(service))
    retried = await until(
        lambda: _newest_generation(service), 10.0, "a new attempt after the user cleared the failure"
    )
    assert retried == 2


async def _newest_generation(service: Service) -> int | None:
    attempts = (await service.queries.detail(await demo(service))).attempts
    return attempts[0].generation if attempts[0].generation > 1 else None


async def test_a_failed_step_does_not_end_the_workspace(service: Service, tmp_path: Path) -> None:
    broken = DEVFILE.replace("commandLine: printf", "commandLine: exit 7; printf")
    source = make_repository(tmp_path / "demo", devfile=broken)
    await created(service, source)
    row = await running(service, "demo", 1)
    assert "postStart greet failed with exit 7" in row.status.reason
    assert "step-failed" in [event.kind for event in await service.queries.events(await demo(service))]


async def test_a_shell_runs_in_the_workspace_with_its_environment(service: Service, repository: Path) -> None:
    await created(service, repository)
    await running(service, "demo", 1)
    command = await service.access.shell(
        await demo(service), ("sh", "-c", 'echo "$GREETING"; basename "$PWD"; exit 3')
    )
    process = await asyncio.create_subprocess_exec(
        *command.argv, env=command.env, cwd=command.cwd, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.split() == [b"hello", b"demo"]
    assert process.returncode == 3


async def test_unsaved_and_unpushed_work_is_named(service: Service, repository: Path) -> None:
    workspace = await created(service, repository)
    await running(service, "demo", 1)
    project = Path(service.queries.folder(workspace) or "") / "projects" / "demo"
    (project / "draft.txt").write_text("x")
    work = await service.work.unsaved_work(await demo(service))
    assert work is not None
    assert any("draft.txt" in line for line in work.uncommitted)
    assert work.totals.is_whole


async def test_an_autodelete_leaves_what_is_nowhere_else_and_takes_the_rest_announced(
    service: Service, repository: Path, tmp_path: Path
) -> None:
    policy = replace(QUICK, delete_after_stopped_hours=0.001)
    await created(service, repository, policy)
    clean = await created(service, make_repository(tmp_path / "clean", devfile=None), policy)
    for name in ("demo", "clean"):
        await running(service, name, 1)
    command = await service.access.shell(await demo(service), ("sh", "-c", "echo precious >unsaved.txt"))
    assert (
        await (await asyncio.create_subprocess_exec(*command.argv, env=command.env, cwd=command.cwd)).wait()
        == 0
    )
    for name in ("demo", "clean"):
        await service.lifecycle.stop((await service.queries.find(name)).id)
    await service.lifecycle.wait_for(clean.id, frozenset({Phase.DELETED}), 60.0)
    kinds = [event.kind for event in await service.queries.events(clean.id)]
    assert kinds.index("deleted") < kinds.index("deletion-announced")
    assert kinds.count("deletion-announced") == 1
    row = (await service.queries.detail(await demo(service))).row
    assert row.status.phase is Phase.STOPPED
    assert row.status.reason.startswith("not deleted: 2 files are nowhere else")
    assert (
        "not deleted: 2 files are nowhere else" in (await service.queries.why(await demo(service))).sentence
    )
    assert "not-deleted" in [event.kind for event in await service.queries.events(await demo(service))]


async def test_every_answer_to_what_only_it_has_is_recorded(service: Service, repository: Path) -> None:
    await created(service, repository, QUICK)
    await running(service, "demo", 1)
    before = time.time()
    assert await service.work.unsaved_work(await demo(service)) is not None
    asked = (await service.queries.find("demo")).unsaved
    assert asked is not None and asked.at >= before and asked.totals.is_whole
    kept = await service.work.keep_work(await demo(service))
    again = (await service.queries.find("demo")).unsaved
    assert again is not None and again.at > asked.at
    assert again.totals.holds == (kept.folder is not None)
    await service.work.look_again(await demo(service))
    assert (await service.queries.find("demo")).unsaved == again, "that is recent enough"


async def test_what_changes_while_its_work_is_kept_is_not_deleted(
    service: Service, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await created(service, repository, QUICK)
    await running(service, "demo", 1)
    project = Path(service.queries.folder(workspace) or "") / "projects/demo"
    keep = save_work.keep

    def keep_late(said: bytes, name: str, folder: Path, now: float) -> SavedWork:
        (project / "late.txt").write_text("precious")
        return keep(said, name, folder, now)

    monkeypatch.setattr(save_work, "keep", keep_late)
    with pytest.raises(UserError, match="demo changed while its work was kept, so it is not deleted"):
        await service.work.keep_work(workspace.id)
    assert (await service.work.keep_work(workspace.id)).folder is not None


async def test_a_second_change_of_a_changed_file_while_its_work_is_kept_deletes_nothing_either(
    service: Service, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await created(service, repository, QUICK)
    await running(service, "demo", 1)
    file = Path(service.queries.folder(workspace) or "") / "projects/demo/README.md"
    file.write_text("first")
    keep = save_work.keep

    def keep_late(said: bytes, name: str, folder: Path, now: float) -> SavedWork:
        file.write_text("again")
        return keep(said, name, folder, now)

    monkeypatch.setattr(save_work, "keep", keep_late)
    with pytest.raises(UserError, match="demo changed while its work was kept, so it is not deleted"):
        await service.work.keep_work(workspace.id)


async def test_the_log_can_be_read_from_any_offset(service: Service, repository: Path) -> None:
    await created(service, repository)
    await running(service, "demo", 1)
    chunk = await service.queries.read_log(await demo(service))
    assert b"hello from demo" in chunk.data
    later = await service.queries.read_log(await demo(service), offset=chunk.size - 5)
    assert len(later.data) == 5


async def test_user_commands_reach_a_reconciler_in_another_process(
    paths: Paths, repository: Path, service: Service
) -> None:
    async with Service.open(paths) as other:
        await until(lambda: _is_reconciled(other), 10.0, "the lease, which is this process's, whoever asks")
        await created(other, repository)
        await running(other, "demo", 1)


async def test_two_services_never_reconcile_at_once(paths: Paths, service: Service) -> None:
    await until(lambda: _is_reconciled(service), 10.0, "the first has the lease")
    async with Service.open(paths) as other:
        await asyncio.wait_for(other.reconcile("daemon", idle_exit_s=0.1), 20.0)


async def _is_reconciled(service: Service) -> bool:
    return (await service.daemon.reconciling()).by == "this"


@pytest.mark.parametrize(
    ("request_", "said", "field"),
    [
        (CreateRequest("/nowhere/at/all"), "does not exist", "source"),
        (CreateRequest("SOURCE", ref="nowhere"), "has no ref nowhere", "ref"),
        (CreateRequest("SOURCE", ref="--option"), "is not a ref", "ref"),
        (CreateRequest("SOURCE", devfile="missing.yaml"), "there is no devfile missing.yaml", "devfile"),
        (CreateRequest("SOURCE", name="Not A Name"), "is not a name", "name"),
        (CreateRequest("SOURCE", context="elsewhere"), "there is no context elsewhere", ""),
    ],
)
async def test_what_cannot_be_created_says_why_and_which_field_is_wrong(
    service: Service, repository: Path, request_: CreateRequest, said: str, field: str
) -> None:
    source = str(repository) if request_.source == "SOURCE" else request_.source
    with pytest.raises(WsdashError) as caught:
        await service.creation.preview(replace(request_, source=source))
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.field == field


async def test_a_devfile_that_is_no_yaml_names_the_line(service: Service, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "demo", devfile="schemaVersion: 2.2.0\n  bad: [\n")
    with pytest.raises(UserError, match=r"devfile.yaml:\d+:\d+: ") as caught:
        await service.creation.preview(CreateRequest(str(source)))
    assert caught.value.field == "devfile"


async def test_a_name_that_is_taken_is_refused_and_the_next_free_one_is_offered(
    service: Service, repository: Path
) -> None:
    await created(service, repository)
    with pytest.raises(UserError, match="already"):
        await service.creation.preview(CreateRequest(str(repository), name="demo"))
    assert (await service.creation.preview(CreateRequest(str(repository)))).name == "demo-2"


async def test_an_unknown_name_is_said_to_be_unknown(service: Service) -> None:
    with pytest.raises(NoSuchWorkspace):
        await service.lifecycle.stop("nobody")


TOUCHING: dict[str, Callable[[Service, str], Awaitable[object]]] = {
    "start": lambda service, workspace: service.lifecycle.start(workspace),
    "stop": lambda service, workspace: service.lifecycle.stop(workspace),
    "stop unsaved": lambda service, workspace: service.lifecycle.stop(workspace, unsaved=True),
    "restart": lambda service, workspace: service.lifecycle.restart(workspace),
    "extend": lambda service, workspace: service.lifecycle.extend(workspace, 1.0),
    "delete": lambda service, workspace: service.lifecycle.delete(workspace),
    "end now": lambda service, workspace: service.lifecycle.end_now(workspace),
    "shell": lambda service, workspace: service.access.shell(workspace),
    "editor": lambda service, workspace: service.access.editor(workspace),
    "ports": lambda service, workspace: service.access.ports(workspace),
    "forward": lambda service, workspace: service.access.forwarding(workspace, "127.0.0.1:1", 80),
    "unsaved work": lambda service, workspace: service.work.unsaved_work(workspace),
    "keep work": lambda service, workspace: service.work.keep_work(workspace),
    "update": lambda service, workspace: service.updates.preview_update(workspace, CreateRequest(None)),
}


async def test_what_was_meant_for_a_deleted_workspace_never_reaches_another_of_its_name(
    service: Service, repository: Path
) -> None:
    meant = await created(service, repository)
    update = await service.updates.preview_update(meant.id, CreateRequest(None))
    await service.lifecycle.delete(meant.id)
    await service.lifecycle.wait_for(meant.id, frozenset({Phase.DELETED}), 20.0)
    other = await created(service, repository)
    assert (other.name, other.id != meant.id) == (meant.name, True)
    for act in TOUCHING.values():
        with pytest.raises(WorkspaceGone, match="demo is gone: it was deleted meanwhile"):
            await act(service, meant.id)
    with pytest.raises(WorkspaceGone):
        await service.updates.update(update)
    assert [event.kind for event in await service.queries.events(other.id) if event.actor == "user"] == [
        "created"
    ]
    row = (await service.queries.detail(other.id)).row
    assert (row.workspace.desired, row.workspace.generation) == (Desired.RUNNING, 1)


async def test_an_id_means_its_workspace_also_where_another_one_is_called_so(
    service: Service, repository: Path
) -> None:
    first = await created(service, repository)
    preview = await service.creation.preview(CreateRequest(str(repository)))
    await service.creation.create(replace(preview, name=first.id))
    assert (await service.queries.find(first.id)).id == first.id
    await service.lifecycle.delete(first.id)
    assert (await service.queries.detail(first.id)).row.workspace.desired is Desired.DELETED
    assert (await service.queries.find("demo")).id == first.id


async def test_a_new_workspace_is_in_the_backup_soon_after(
    paths: Paths, repository: Path, leaves_nothing_running: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_election, "BACKUP_S", 0.05)
    async with Service.open(paths) as service:
        reconciling = asyncio.create_task(service.reconcile("daemon"))
        await created(service, repository)
        await until(lambda: _names_in_backup(paths) == ["demo"], 20.0, "the backup")
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


def _names_in_backup(paths: Paths) -> list[str] | None:
    for backup in paths.backups.glob("state-*.db"):
        connection = sqlite3.connect(backup)
        found = [name for (name,) in connection.execute("SELECT name FROM workspace")]
        connection.close()
        return found
    return None


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://example.com/group/My_Project.git", "my-project"),
        ("git@example.com:group/api.git", "api"),
        ("https://example.com/group/api/", "api"),
        ("ssh://example.com/ünï", "n"),
        (None, "workspace"),
    ],
)
def test_names_come_from_the_source(source: str | None, name: str) -> None:
    assert free_name(CreateRequest(source), set()) == name
    assert free_name(CreateRequest(source), {name}) == f"{name}-2"


def test_a_projects_folder_is_a_plain_name() -> None:
    assert project_name("https://example.com/group/My_Project.git") == "My_Project"
    assert project_name("https://example.com/..") == "project"


async def test_the_reconciler_survives_a_provider_that_cannot_be_asked(
    paths: Paths,
    repository: Path,
    leaves_nothing_running: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalProvider, "poll_intervals", PollIntervals(0.3, 0.3, 0.3))
    async with Service.open(paths) as service:
        reconciling = asyncio.create_task(service.reconcile("daemon"))
        await _survives_an_unplugged_provider(service, repository, paths)
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


async def _survives_an_unplugged_provider(service: Service, repository: Path, paths: Paths) -> None:
    workspace = await created(service, repository)
    await running(service, "demo", 1)
    jobs = paths.contexts / "local" / "jobs"
    hidden = jobs.with_name("hidden")
    jobs.rename(hidden)
    jobs.write_text("not a folder")
    await until(lambda: _phase(service, Phase.UNKNOWN), 20.0, "unknown")
    jobs.unlink()
    hidden.rename(jobs)
    row = await running(service, "demo", 1)
    assert row.attempt is not None and row.attempt.number == 1, "ignorance is not death"
    assert row.workspace == replace(workspace, desired=Desired.RUNNING)
    assert os.path.exists(f"/proc/{supervisor_of(row).pid}")  # noqa: PTH110


async def _phase(service: Service, phase: Phase) -> bool:
    return (await service.queries.detail(await demo(service))).row.status.phase is phase
