"""Secrets in the project of a workspace that was lost with its state store go, and nobody else's do."""

from __future__ import annotations

from dataclasses import replace

from tests.backend.providers.contract import workspace
from tests.backend.providers.gitlab.harness import Instance
from tests.gitlab_server.state import Variable
from wsdash.backend.clone_address import Credential
from wsdash.backend.providers.gitlab.api.ci_variables import variable_of
from wsdash.backend.rules.leftovers import Ids
from wsdash.backend.store.secret_notes import SecretNotes
from wsdash.workload import Workload

LOST, LIVING, ADOPTED, WITH_BRANCH = (
    replace(workspace(), id=text) for text in ("a" * 10, "b" * 10, "c" * 10, "d" * 10)
)
VALUE = {"TOKEN": "long-enough"}
ELSEWHERE = Credential.of_line("https://ada:MARKERtoken@git.example.com")


async def test_only_secrets_of_a_workspace_that_nobody_knows_are_removed(instance: Instance) -> None:
    others = variable_of("e" * 10, "TOKEN")  # another user's create is under way, or was killed
    instance.project.variables[others] = Variable("x")
    provider = instance.provider()
    for one in (LOST, LIVING, ADOPTED, WITH_BRANCH):
        await provider.keep_secrets(one, VALUE)
    assert ELSEWHERE is not None
    await provider.keep_credentials(LOST, Workload(), [ELSEWHERE])
    await instance.api().commit(
        instance.project.id,
        branch=f"wsdash/{WITH_BRANCH.id}",
        message="of a workspace that can be recovered",
        files={"a": "b"},
        action="create",
        start_branch="main",
    )

    async def ask_ids() -> Ids:
        return Ids(frozenset({LIVING.id}), frozenset(), frozenset({ADOPTED.id}))

    await provider.forget_lost(ask_ids)
    left = {variable_of(one.id, "TOKEN") for one in (LIVING, ADOPTED, WITH_BRANCH)}
    assert set(instance.project.variables) == {others, *left}
    assert provider.kept_credentials(LOST) == ()
    noted = {note.workspace_id for note in SecretNotes(instance.folder / "secrets").all()}
    assert noted == {LIVING.id, ADOPTED.id, WITH_BRANCH.id}


async def test_a_create_that_begins_meanwhile_keeps_its_secrets(instance: Instance) -> None:
    provider = instance.provider()
    await provider.keep_secrets(LOST, VALUE)

    async def ask_ids() -> Ids:
        known = Ids(frozenset(), frozenset())
        await provider.keep_secrets(LIVING, VALUE)
        return known

    await provider.forget_lost(ask_ids)
    assert set(instance.project.variables) == {variable_of(LIVING.id, "TOKEN")}


async def test_a_delete_and_the_end_of_an_orphan_leave_no_note(instance: Instance) -> None:
    provider = instance.provider()
    await provider.keep_secrets(LIVING, VALUE)
    assert await provider.destroy(LIVING) is None
    assert list(SecretNotes(instance.folder / "secrets").all()) == []
    assert instance.project.variables == {}


async def test_a_note_of_another_project_is_left_to_its_context(instance: Instance) -> None:
    provider = instance.provider()
    await provider.keep_secrets(LOST, VALUE)
    instance.settings = replace(instance.settings, project="group/other")

    async def ask_ids() -> Ids:
        return Ids(frozenset(), frozenset())

    await instance.provider().forget_lost(ask_ids)
    assert set(instance.project.variables) == {variable_of(LOST.id, "TOKEN")}
