"""The use cases on the embedded provider: real repositories, real jobs, one reconciler in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.services import QUICK, RUNNING, created, demo, running
from tests.repositories import make_repository
from wsdash.backend.errors import UserError, WorkspaceGone, WsdashError
from wsdash.backend.operations.create import CreateRequest, free_name, project_name
from wsdash.backend.service import Service
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.model import Cause, Desired, Phase


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


async def test_the_log_can_be_read_from_any_offset(service: Service, repository: Path) -> None:
    await created(service, repository)
    await running(service, "demo", 1)
    chunk = await service.queries.read_log(await demo(service))
    assert b"hello from demo" in chunk.data
    later = await service.queries.read_log(await demo(service), offset=chunk.size - 5)
    assert len(later.data) == 5


@pytest.mark.parametrize(
    ("request_", "said", "field"),
    [
        (CreateRequest("/nowhere/at/all"), "does not exist", "source"),
        (CreateRequest("SOURCE", ref="nowhere"), "has no ref nowhere", "ref"),
        (CreateRequest("SOURCE", ref="--option"), "is not a valid ref", "ref"),
        (
            CreateRequest("SOURCE", devfile="missing.yaml"),
            "the devfile missing.yaml cannot be read",
            "devfile",
        ),
        (CreateRequest("SOURCE", name="Not A Name"), "is not a valid name", "name"),
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
        with pytest.raises(WorkspaceGone, match="demo was deleted meanwhile"):
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
    other = await service.creation.create(replace(preview, name=first.id))
    assert (await service.queries.find(first.id)).id == first.id
    await service.lifecycle.delete(first.id)
    assert (await service.queries.detail(first.id)).row.workspace.desired is Desired.DELETED
    assert (await service.queries.detail(other.id)).row.workspace.desired is Desired.RUNNING


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
