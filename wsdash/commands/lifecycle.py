"""The verbs that set the desired state of workspaces, and extend, which postpones their autostop."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable, Callable
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING

from wsdash.backend.errors import NotSaved, UserError, WsdashError
from wsdash.backend.operations.unsaved_words import also_removed_words, unsaved_parts
from wsdash.backend.providers.types import UnsavedWork
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.commands.console import DONE, FAILED, USAGE, ask, can_ask, local_time, print_stderr
from wsdash.commands.errors import report
from wsdash.commands.open_reader import reading, unknown_workspace
from wsdash.commands.progress import wait_showing
from wsdash.commands.run_service import with_service
from wsdash.model import Phase, Workspace
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.operations.save_work import SavedWork
    from wsdash.backend.service import Service

SHOWN = 10
"""The number of lines of each kind of unsaved work that a question prints; the others are counted."""


def start(args: Namespace, paths: Paths) -> int:
    """Set the desired state of workspaces to running."""
    return _each(args, paths, "start", frozenset({Phase.RUNNING, Phase.FAILED}))


def stop(args: Namespace, paths: Paths) -> int:
    """Set the desired state of workspaces to stopped, after saving their work."""
    # With delete_after_stopped_hours the workspace may be deleted before the wait sees it stopped.
    return _each(args, paths, "stop", frozenset({Phase.STOPPED, Phase.DELETED}))


def restart(args: Namespace, paths: Paths) -> int:
    """Replace the jobs of workspaces, after saving their work."""
    return _each(args, paths, "restart", frozenset({Phase.RUNNING, Phase.FAILED}))


def extend(args: Namespace, paths: Paths) -> int:
    """Put off the autostop of workspaces."""
    worst = DONE
    for name in dict.fromkeys(args.names):
        try:
            workspace = _found(name, paths)
            act = partial(_extend, workspace_id=workspace.id, hours=args.hours)
            until = with_service(paths, act)
            print_stderr(f"{workspace.name}: no autostop before {local_time(until)}.")
        except NoSuchWorkspace:
            worst = max(worst, report(unknown_workspace(name, paths)))
        except WsdashError as error:
            worst = max(worst, report(error))
    return worst


def delete(args: Namespace, paths: Paths) -> int:
    """Set the desired state of workspaces to deleted, after asking."""
    if not args.yes and not can_ask():
        raise UserError(
            "delete asks first, and there is no terminal to ask on",
            "Add --yes to delete without a question.",
            USAGE,
        )
    return _each(args, paths, "delete", frozenset({Phase.DELETED}))


def _each(args: Namespace, paths: Paths, verb: str, goal: frozenset[Phase]) -> int:
    """Run the verb on every workspace, also after one fails. Returns the highest exit code."""
    worst = DONE
    for name in dict.fromkeys(args.names):
        try:
            workspace = _found(name, paths)
            if verb == "delete" and not args.yes and not _confirmed(workspace, paths):
                print_stderr(f"{workspace.name} was not deleted.")
                worst = max(worst, FAILED)
                continue
            act = partial(_one, workspace_id=workspace.id, verb=verb, goal=goal, args=args)
            try:
                code = with_service(paths, partial(act, unsaved=getattr(args, "now", False)))
            except NotSaved as error:
                accept(error, verb, force=args.force)
                code = with_service(paths, partial(act, unsaved=True))
            worst = max(worst, code)
        except NoSuchWorkspace:
            worst = max(worst, report(unknown_workspace(name, paths)))
        except WsdashError as error:
            worst = max(worst, report(error))
    return worst


def _found(name: str, paths: Paths) -> Workspace:
    """Look the name up once, so that the question and the action are about the same id. Raises `NoSuchWorkspace`."""
    with reading(paths) as reader:
        return reader.find(name)


async def _extend(service: Service, workspace_id: str, hours: float) -> float:
    return await service.lifecycle.extend(workspace_id, hours)


async def _one(
    service: Service, workspace_id: str, verb: str, goal: frozenset[Phase], args: Namespace, *, unsaved: bool
) -> int:
    operations: dict[str, Callable[[str], Awaitable[Workspace]]] = {
        "start": service.lifecycle.start,
        "stop": partial(service.lifecycle.stop, unsaved=unsaved),
        "restart": partial(service.lifecycle.restart, unsaved=unsaved),
        "delete": service.lifecycle.delete,
    }
    if getattr(args, "keep_work", False):
        await _keep(service, workspace_id, args.timeout)
    if verb == "restart" and not unsaved:
        await service.work.look_again(workspace_id)  # when the job has stopped, the reconciler does this
    workspace = await operations[verb](workspace_id)
    if getattr(args, "now", False):
        await service.lifecycle.end_now(workspace_id)
    await service.daemon.ensure_reconciler()
    if not args.wait:
        print_stderr(
            f"{workspace.name}: {verb} is requested (`wsdash show {workspace.name}` shows the progress)."
        )
        return DONE
    row = await wait_showing(service, workspace, goal, args.timeout)
    if row.status.phase is Phase.FAILED:
        raise UserError(
            f"{workspace.name} failed: {one_line(row.status.reason)}",
            f"`wsdash logs {workspace.name}` shows its log; `wsdash restart {workspace.name}` tries again.",
        )
    return DONE


async def _keep(service: Service, workspace_id: str, timeout_s: float) -> None:
    """Keep unsaved work. A job whose files are on this machine is stopped first: no later change would be kept."""
    row = await service.queries.row(workspace_id)
    name = row.workspace.name
    is_ended_first = (
        service.queries.folder(row.workspace) is not None and row.status.phase is not Phase.STOPPED
    )
    try:
        if is_ended_first:
            await service.lifecycle.stop(workspace_id)
            await service.daemon.ensure_reconciler()
            await service.lifecycle.wait_for(workspace_id, frozenset({Phase.STOPPED}), timeout_s)
        _print_kept(row.workspace, await service.work.keep_work(workspace_id))
    except WsdashError as error:
        if not is_ended_first:
            raise
        hint = (
            f"{error.hint} The workspace was stopped for this: `wsdash start {name}` starts it again.".strip()
        )
        raise UserError(error.message, hint, error.exit_code) from error


def accept(error: NotSaved, verb: str, *, force: bool) -> None:
    """Print what will be lost; raises `error` unless the user confirms."""
    if not force and not can_ask():
        raise error
    print_stderr(f"{error.message[0].upper()}{error.message[1:]}.")
    if not force and not ask(f"{verb.capitalize()} it anyway?"):
        raise error


def _print_kept(workspace: Workspace, kept: SavedWork) -> None:
    """Print the location of the kept work, and the commands that restore it."""
    name = workspace.name
    if kept.checkpoint is not None:
        print_stderr(
            f"{name}: its job cannot be reached, so its last checkpoint, of {local_time(kept.at)}, is kept."
        )
        print_stderr("  In a clone, this command puts the files into refs/kept/wsdash/work:")
        print_stderr(f"  git fetch {quote(str(kept.checkpoint))} '+refs/*:refs/kept/*'")
    elif kept.script is None:
        print_stderr(f"{name} has no unsaved work.")
    else:
        print_stderr(f"{name}: its unsaved work is kept in {kept.folder}; restoring it was tested once.")
        if kept.has_project:
            source = workspace.source_url
            clone = f"a fresh clone of {one_line(source)}" if source else "an empty folder"
            print_stderr(f"To restore it, run in {clone}:")
            print_stderr(f"  sh {quote(str(kept.script))}")
        if kept.has_other_files:
            print_stderr("To restore the files outside of the project, run in an empty folder:")
            print_stderr(f"  sh {quote(str(kept.script))} beside")


def _confirmed(workspace: Workspace, paths: Paths) -> bool:
    """Ask once, naming the unsaved work that would be lost."""
    name = workspace.name

    async def look(service: Service) -> UnsavedWork | None:
        return await service.work.unsaved_work(workspace.id)

    unsaved = with_service(paths, look)
    if unsaved is None:
        print_stderr(f"Whether {name} has unsaved work is not known now.")
        return ask(f"Delete {name} with all its files?")
    if unsaved.totals.words:
        print_stderr(f"{name} has unsaved work: {unsaved.totals.words}.")
    for title, lines in unsaved_parts(unsaved):
        print_stderr(f"{title}:")
        for line in lines[:SHOWN]:
            print_stderr(f"  {one_line(line)}")
        if len(lines) > SHOWN:
            print_stderr(f"  and {len(lines) - SHOWN} more")
    if also_removed := also_removed_words(unsaved):
        print_stderr(also_removed)
    return ask(f"Delete {name} with all its files?")
