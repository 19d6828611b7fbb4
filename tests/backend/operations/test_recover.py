"""The plan of a recovery: what is lost, elsewhere, left over or known, under names that are free."""

from __future__ import annotations

from dataclasses import replace

from tests.backend import builders
from tests.backend.builders import NOW
from wsdash.backend.operations.recover import plan_of
from wsdash.backend.providers.types import FoundWorkspace, Inventory, Orphan
from wsdash.model import Attempt, Workspace
from wsdash.workload import Workload


def named(id_: str, name: str = "demo") -> Workspace:
    return replace(builders.workspace(), id=id_, name=name)


def found(id_: str, name: str = "demo", *attempts: Attempt, is_own: bool = True) -> FoundWorkspace:
    return FoundWorkspace(named(id_, name), Workload(), attempts, "laptop", is_own)


def test_lost_workspaces_and_those_of_other_machines_get_names_that_are_free() -> None:
    inventory = Inventory((found("w2"), found("w3"), found("w4", is_own=False)), (), others=5)
    plan = plan_of(inventory, [named("w1")], "work")
    assert [one.workspace.name for one in plan.lost] == ["demo-2", "demo-3"]
    assert [one.workspace.name for one in plan.elsewhere] == ["demo-4"]
    assert (plan.context, plan.present, plan.others) == ("work", 0, 5)


def test_a_workspace_that_the_store_knows_is_only_counted() -> None:
    plan = plan_of(Inventory((found("w1"), found("w1b")), ()), [named("w1"), named("w1b", "web")], "work")
    assert (plan.present, plan.lost, plan.orphans) == (2, (), ())


def test_a_deleted_workspace_that_is_still_there_is_an_orphan_with_its_live_jobs() -> None:
    gone = replace(named("w1"), deleted_at=NOW)
    live, over = builders.attempt(2), builders.ended(1, NOW)
    plan = plan_of(
        Inventory((found("w1", "demo", over, live),), (Orphan("x9", "no record"),)), [gone], "local"
    )
    assert plan.lost == ()
    assert [(orphan.workspace_id, orphan.job_ids) for orphan in plan.orphans] == [
        ("x9", ()),
        ("w1", ("job-2",)),
    ]
    assert "was deleted here" in plan.orphans[1].reason


def test_the_name_of_a_deleted_workspace_is_free() -> None:
    gone = replace(named("w1"), deleted_at=NOW)
    plan = plan_of(Inventory((found("w2"),), ()), [gone], "local")
    assert [one.workspace.name for one in plan.lost] == ["demo"]
