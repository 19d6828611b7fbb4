"""Workspaces that only the project knows are found, and nobody else's are offered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from wsdash.backend.providers.gitlab.ci.record import message_of, record_of
from wsdash.backend.providers.gitlab.provider import GitLabProvider


@pytest.mark.long
async def test_recovery_of_fifty_workspaces_takes_few_requests_and_leaves_others_alone(
    instance: Instance, provider: GitLabProvider
) -> None:
    for number in range(1, 51):
        own = workspace(number)
        for attempt_number in (1, 2, 3) if number == 7 else (3,):
            await provider.launch(own, now(instance, attempt_number, own), WORKLOAD)
            await provider.force_cancel(attempt(attempt_number, own)) if attempt_number < 3 else None
    impostor = instance.server.add_user("grace")
    instance.project.roles[impostor.id] = 40
    theirs = replace(instance, token=instance.server.add_token(impostor), apis=[]).provider()
    await theirs.launch(workspace(99), now(instance, of=workspace(99)), WORKLOAD)
    fresh = instance.provider()
    instance.server.forget()
    inventory = await fresh.inventory("work")
    assert len(instance.server.asked()) <= 20
    assert (len(inventory.workspaces), inventory.orphans, inventory.others) == (50, (), 1)
    one = next(known for known in inventory.workspaces if known.workspace.id == workspace(7).id)
    assert [a.number for a in one.attempts] == [1, 2, 3] and one.is_live and one.is_own
    assert (one.workspace.name, one.workload, one.workspace.policy) == (
        "demo-7",
        WORKLOAD,
        workspace(7).policy,
    )
    for found in (theirs, fresh):
        await found.aclose()


async def test_a_branch_without_a_record_is_an_orphan_that_can_be_ended(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    branch = f"wsdash/{workspace().id}"
    update = [{"action": "update", "file_path": "README.md", "content": "x"}]
    instance.project.repository.commit(branch, "somebody's own", update, author="grace")
    (orphan,) = (await provider.inventory("work")).orphans
    assert orphan.workspace_id == workspace().id and orphan.job_ids
    await provider.end_orphan(orphan)
    assert list(instance.project.repository.branches()) == ["main"]


async def test_a_record_that_somebody_else_wrote_is_not_offered(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    message = instance.project.repository.branches()[f"wsdash/{workspace().id}"].message
    record = replace(record_of(message), id="forged")
    made = [{"action": "create", "file_path": "x", "content": ""}]
    instance.project.repository.commit(
        "wsdash/forged", message_of(record), made, author="grace", start_branch="main"
    )
    inventory = await provider.inventory("work")
    assert [known.workspace.id for known in inventory.workspaces] == [workspace().id]
    assert (inventory.orphans, inventory.others) == ((), 1)
