"""Actions on workspaces that several screens offer: shell, log, start, stop, restart, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.screen import Screen

from wsdash.backend.errors import NotSaved, WsdashError
from wsdash.backend.job.ports import listens
from wsdash.screens.action import Action, Danger
from wsdash.screens.actions import BY_ID
from wsdash.screens.availability import Subject
from wsdash.screens.base import ActionMixin, View
from wsdash.screens.confirm_text import ENDING, consequence, done, warnings

if TYPE_CHECKING:
    from wsdash.backend.job.ports import Ports
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace


CLOSED_ITSELF_S = 1.0
"""Keys are ignored for that long after a screen has closed by itself: nobody reacts sooner."""


class WorkspaceActionsMixin(ActionMixin):
    """The actions of screens that have a current workspace."""

    def action_workspace_shell(self) -> None:
        """Open a shell in the workspace."""
        row = self.current()
        if row is not None:
            self.dashboard.enter_shell(row.workspace)

    def action_workspace_editor(self) -> None:
        """Open the workspace's editor."""
        row = self.current()
        if row is not None:
            self.dashboard.open_in(row.workspace, "open")

    def action_workspace_desktop_editor(self) -> None:
        """Open the workspace's folder in a desktop editor."""
        row = self.current()
        if row is not None:
            self.dashboard.open_in(row.workspace, "code")

    async def action_workspace_port(self) -> None:
        """Open the page of a port that listens, by the command line, which forwards it until ctrl+c."""
        row = self.current()
        if row is None:
            return
        ports = await self.dashboard.service.access.ports(row.workspace.id)
        number = self.dashboard.port_notices.page(row.workspace.id, ports)
        if number is None:
            self.dashboard.notify_user(f"{row.workspace.name}: none of its processes listens on a port.")
            return
        self.dashboard.open_in(row.workspace, "ports", "--forward", str(number), "--open")

    async def ports_of(self, workspace: Workspace) -> Ports:
        """Ask the job for its ports, over its tunnel or on this machine, and offer those that are new."""
        ports = await self.dashboard.service.access.ports(workspace.id)
        for port in self.dashboard.port_notices.begun(workspace.id, ports):
            program = listens(port, is_known=True)
            self.dashboard.notify_user(
                f"{workspace.name} listens on port {port.number} ({program}); p opens it."
            )
        return ports

    def action_workspace_open(self) -> None:
        """Open the workspace."""
        self._show("detail")

    def action_workspace_logs(self) -> None:
        """Open the log."""
        self._show("log")

    def action_workspace_workload(self) -> None:
        """Open the workload."""
        self._show("workload")

    def action_workspace_update(self) -> None:
        """Open the form that applies the current devfile."""
        row = self.current()
        if row is None:
            return
        from wsdash.screens.update_form import UpdateScreen

        def updated(workspace: Workspace | None) -> None:
            if workspace is not None:
                self.dashboard.notify_user(f"{workspace.name} is updated")
                self.dashboard.reload()

        cast(Screen[object], self).app.push_screen(UpdateScreen(row.workspace), updated)

    def action_workspace_start(self) -> None:
        """Start the workspaces."""
        self._for_each_workspace("start")

    def action_workspace_stop(self) -> None:
        """Stop the workspaces."""
        self._for_each_workspace("stop")

    def action_workspace_extend(self) -> None:
        """Postpone the autostop of the workspaces by an hour."""
        self._for_each_workspace("extend")

    def action_workspace_restart(self) -> None:
        """Restart the workspaces."""
        self._for_each_workspace("restart")

    def action_workspace_end_now(self) -> None:
        """End the jobs of the workspaces at once."""
        self._for_each_workspace("end_now")

    def action_workspace_delete(self) -> None:
        """Delete the workspaces."""
        self._for_each_workspace("delete")

    def left_if_gone(self, name: str) -> bool:
        """Close the screen if its workspace does not exist any more. Returns True then.

        Keys typed as it closes were for this workspace, so the screen behind ignores them.
        """
        if self.current() is not None or not self.dashboard.connected:
            return False
        screen = cast(Screen[object], self)
        if screen.is_current:
            self.dashboard.notify_user(f"{name} is gone")
            behind = screen.app.screen_stack[-2]
            if isinstance(behind, ActionMixin):
                behind.ignore_keys_for(CLOSED_ITSELF_S)
            screen.dismiss()
        return True

    def _show(self, view: View) -> None:
        row = self.current()
        if row is not None:
            self.dashboard.open_workspace(row.workspace, view)

    def action_started(self, rows: Sequence[WorkspaceRow]) -> None:
        """Do something once an action on these rows has started; a hook for subclasses."""

    def _for_each_workspace(self, verb: str) -> None:
        """Run the verb on every workspace of the subject that allows it, after at most one question."""
        action = BY_ID[f"workspace.{verb}"]
        subject = self.subject(action)
        rows = self._allowed(action, subject)
        if verb not in ENDING:
            self._confirm(verb, action, subject, rows, warnings(verb, rows))
            return

        async def look() -> None:
            counts = await asyncio.gather(*(self._shells(row) for row in rows))
            shells = {row.workspace.id: number for row, number in zip(rows, counts, strict=True)}
            self._confirm(verb, action, subject, rows, warnings(verb, rows, shells))

        self.dashboard.typed.wait_for(self.spawn(look(), f"open shells before {verb}"))

    async def _shells(self, row: WorkspaceRow) -> int | None:
        """Return the number of shells that are open now; None if it cannot be found out."""
        with suppress(WsdashError):
            return await self.dashboard.service.access.shells(row.workspace.id)
        return None

    def _confirm(
        self, verb: str, action: Action, subject: Subject, rows: list[WorkspaceRow], found: list[str]
    ) -> None:
        """Run the verb; ask first if it destroys, if there is a warning, or for several workspaces."""

        def confirmed(yes: bool | None) -> None:
            if yes:
                self.action_started(subject.rows)
                self._spawn(verb, [row.workspace for row in rows])

        if len(subject.rows) == 1 and action.danger is not Danger.DESTROYS and not found:
            confirmed(True)
            return
        from wsdash.screens.confirm import ConfirmScreen

        question = ConfirmScreen(
            action.title,
            {row.workspace.id: row.workspace.name for row in rows},
            consequence(verb, len(rows)),
            warnings=found,
            look_for_unsaved=action.danger is Danger.DESTROYS,
        )
        cast(Screen[object], self).app.push_screen(question, confirmed)

    def _allowed(self, action: Action, subject: Subject) -> list[WorkspaceRow]:
        return [row for row in subject.rows if action.available(Subject((row,), subject.connected)) is None]

    def _spawn(self, verb: str, workspaces: Sequence[Workspace], *, unsaved: bool = False) -> None:
        names = " ".join(workspace.name for workspace in workspaces)
        self.spawn(self._run(verb, workspaces, unsaved=unsaved), f"{verb} {names}")

    async def _run(self, verb: str, workspaces: Sequence[Workspace], *, unsaved: bool) -> None:
        """Run the verb on one workspace after the other, so that an error names its workspace.

        Workspaces whose work cannot be saved are left alone, and the user is asked once about all of them.
        """
        service = self.dashboard.service
        operations: dict[str, Callable[[str], Coroutine[Any, Any, object]]] = {
            "start": service.lifecycle.start,
            "stop": partial(service.lifecycle.stop, unsaved=unsaved),
            "restart": partial(service.lifecycle.restart, unsaved=unsaved),
            "end_now": service.lifecycle.end_now,
            "extend": partial(service.lifecycle.extend, hours=1.0),
            "delete": service.lifecycle.delete,
        }
        names: list[str] = []
        not_saved: dict[str, tuple[Workspace, str]] = {}

        async def run(workspace: Workspace) -> None:
            try:
                await operations[verb](workspace.id)
            except NotSaved as error:
                not_saved[workspace.id] = (workspace, error.message)
            else:
                names.append(workspace.name)

        for workspace in workspaces:
            await self.dashboard.guard(run(workspace))
        if names:
            self.dashboard.notify_user(done(verb, names))
        self.dashboard.reload()
        if not_saved:
            self._ask_whether_unsaved(verb, list(not_saved.values()))

    def _ask_whether_unsaved(self, verb: str, problems: Sequence[tuple[Workspace, str]]) -> None:
        from wsdash.screens.confirm import ConfirmScreen

        workspaces = [workspace for workspace, _ in problems]

        def answered(yes: bool | None) -> None:
            if yes:
                self._spawn(verb, workspaces, unsaved=True)

        question = ConfirmScreen(
            BY_ID[f"workspace.{verb}"].title,
            {workspace.id: workspace.name for workspace in workspaces},
            "Work since the last checkpoint is lost if the job ends now.",
            warnings=[f"{text[0].upper()}{text[1:]}." for _, text in problems],
            look_for_unsaved=False,
        )
        cast(Screen[object], self).app.push_screen(question, answered)
