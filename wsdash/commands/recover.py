"""`wsdash recover`: rebuilds the workspaces of a context from GitLab or from the folders of this machine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.console import DONE, NOT_FOUND, USAGE, ask, can_ask, print_json, print_stderr
from wsdash.commands.run_service import with_service
from wsdash.config.settings import load_config
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.operations.recover import Plan
    from wsdash.backend.providers.types import FoundWorkspace, Orphan
    from wsdash.backend.service import Service


def recover(args: Namespace, paths: Paths) -> int:
    """Show what can be recovered in each context, ask, and rebuild it."""
    config = load_config(paths.config_file)
    if args.context is not None and args.context not in config.contexts:
        raise UserError(
            f"there is no context {args.context}", "See `wsdash context list`.", exit_code=NOT_FOUND
        )
    contexts = [args.context] if args.context else list(config.contexts)
    if args.adopt or args.end:  # a name is in one of the contexts, not in each
        _check_names([_plan(paths, context) for context in contexts], args.adopt, args.end)
    results = [_recover(paths, _plan(paths, context), args) for context in contexts]
    if args.json:
        print_json(results)
    return DONE


def _plan(paths: Paths, context: str) -> Plan:
    return with_service(paths, lambda service: service.recovery.recovery_plan(context))


def _check_names(plans: Sequence[Plan], adopt: Sequence[str], end: Sequence[str]) -> None:
    """Raise `UserError` for a name that no context has."""
    found = [found for plan in plans for found in (*plan.lost, *plan.elsewhere)]
    unknown = set(adopt) - {name for one in found for name in _names(one)}
    unknown |= set(end) - {orphan.workspace_id for plan in plans for orphan in plan.orphans}
    if unknown:
        raise UserError(f"there is no {', '.join(sorted(unknown))} to adopt or end", "", NOT_FOUND)


def _recover(paths: Paths, plan: Plan, args: Namespace) -> dict[str, object]:
    if not args.json:
        _show(plan)
    wanted, ends = _chosen(plan, args.adopt, args.end)
    if (wanted or ends) and not (args.yes or _confirmed(wanted, ends)):
        wanted, ends = [], []
    if wanted or ends:
        with_service(
            paths, partial(_carry_out, context=plan.context, wanted=wanted, ends=ends, silent=args.json)
        )
    return _as_json(plan, wanted, ends)


def _chosen(
    plan: Plan, adopt: Sequence[str], end: Sequence[str]
) -> tuple[list[FoundWorkspace], list[Orphan]]:
    """Return the workspaces to rebuild and the orphans to end."""
    wanted = list(plan.lost)
    wanted += [found for found in plan.elsewhere if any(name in adopt for name in _names(found))]
    return wanted, [orphan for orphan in plan.orphans if orphan.workspace_id in end]


def _confirmed(wanted: Sequence[FoundWorkspace], ends: Sequence[Orphan]) -> bool:
    if not can_ask():
        raise UserError(
            "recover asks first, and there is no terminal to ask on", "Add --yes to do it.", USAGE
        )
    parts = [f"rebuild {', '.join(found.workspace.name for found in wanted)}"] if wanted else []
    parts += [f"end {len(ends)} orphans"] if ends else []
    return ask(f"{' and '.join(parts).capitalize()}?")


def _as_json(plan: Plan, wanted: Sequence[FoundWorkspace], ends: Sequence[Orphan]) -> dict[str, object]:
    return {
        "context": plan.context,
        "recovered": [found.workspace.name for found in wanted],
        "elsewhere": [
            {"name": k.workspace.name, "id": k.workspace.id, "kept_by": k.kept_by}
            for k in plan.elsewhere
            if k not in wanted
        ],
        "orphans": [
            {"id": o.workspace_id, "reason": o.reason, "jobs": list(o.job_ids)}
            for o in plan.orphans
            if o not in ends
        ],
        "ended": [orphan.workspace_id for orphan in ends],
        "present": plan.present,
        "others": plan.others,
    }


async def _carry_out(
    service: Service, context: str, wanted: Sequence[FoundWorkspace], ends: Sequence[Orphan], *, silent: bool
) -> None:
    for found in wanted:
        await service.recovery.take_in(context, found)
        if not silent:
            print(f"{found.workspace.name} is rebuilt; its desired state is {found.workspace.desired}.")
            if found.is_live and not found.is_own:
                print(
                    f"Its job is connected to {one_line(found.kept_by)}, which also gets its checkpoints:"
                    f" `wsdash restart {found.workspace.name}` gives it one that connects to this machine."
                )
    for orphan in ends:
        await service.recovery.end_orphan(context, orphan)
        if not silent:
            print(f"{orphan.workspace_id} is ended and removed.")
    if wanted:
        await service.daemon.ensure_reconciler()


def _show(plan: Plan) -> None:
    print_stderr(f"In the context {plan.context}:")
    for found in plan.lost:
        source = found.workspace.source_url or "no source"
        job = "its job is running" if found.is_live else "no job is running"
        print_stderr(
            f"  lost       {found.workspace.name}: {one_line(source)}, {len(found.attempts)} attempts; {job}"
        )
    for found in plan.elsewhere:
        print_stderr(f"  elsewhere  {found.workspace.name}: managed by {one_line(found.kept_by)}.")
        print_stderr(
            f"             --adopt {found.workspace.name} takes it over; the other machine then releases it."
        )
    for orphan in plan.orphans:
        jobs = f", jobs {', '.join(orphan.job_ids)}" if orphan.job_ids else ""
        print_stderr(f"  orphan     {orphan.workspace_id}: {one_line(orphan.reason)}{jobs}.")
        print_stderr(f"             --end {orphan.workspace_id} ends and removes it.")
    if plan.others:
        print_stderr(f"  {plan.others} branches belong to other users and are left alone.")
    if not (plan.lost or plan.elsewhere or plan.orphans):
        print_stderr(f"  Nothing is missing: {plan.present} workspaces are known here.")


def _names(found: FoundWorkspace) -> tuple[str, str]:
    return found.workspace.name, found.workspace.id
