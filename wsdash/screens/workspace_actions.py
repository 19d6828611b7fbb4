"""Actions on workspaces that several screens offer: shell, log, start, stop, restart, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.screen import Screen

from wsdash.backend.errors import NotSaved, WsdashError
from wsdash.screens.action import Action, Danger
from wsdash.screens.actions import BY_ID
from wsdash.screens.asking import ENDING, consequence, done, doubts
from wsdash.screens.availability import Subject
from wsdash.screens.base import ActionMixin, View

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace


class WorkspaceActionsMixin(ActionMixin):
    """Mixed into screens that have a current workspace."""

    def do_workspace_shell(self) -> None:
        row = self.current()
        if row is not None:
            self.dashboard.enter_shell(row.workspace)

    def do_workspace_editor(self) -> None:
        row = self.current()
        if row is not None:
            self.dashboard.open_editor(row.workspace)

    def do_workspace_open(self) -> None:
        self._show("detail")

    def do_workspace_logs(self) -> None:
        self._show("log")

    def do_workspace_workload(self) -> None:
        self._show("workload")

    def do_workspace_update(self) -> None:
        row = self.current()
        if row is None:
            return
        from wsdash.screens.update_form import UpdateScreen

        def updated(workspace: Workspace | None) -> None:
            if workspace is not None:
                self.dashboard.say(f"{workspace.name} runs what its devfile says now")
                self.dashboard.look_again()

        cast(Screen[object], self).app.push_screen(UpdateScreen(row.workspace), updated)

    def do_workspace_start(self) -> None:
        self._each("start")

    def do_workspace_stop(self) -> None:
        self._each("stop")

    def do_workspace_extend(self) -> None:
        self._each("extend")

    def do_workspace_restart(self) -> None:
        self._each("restart")

    def do_workspace_end_now(self) -> None:
        self._each("end_now")

    def do_workspace_delete(self) -> None:
        self._each("delete")

    def left_if_gone(self, name: str) -> bool:
        """Close the screen when its workspace is not there any more. True if it is gone."""
        if self.current() is not None or not self.dashboard.connected:
            return False
        screen = cast(Screen[object], self)
        if screen.is_current:
            self.dashboard.say(f"{name} is gone")
            screen.dismiss()
        return True

    def _show(self, view: View) -> None:
        row = self.current()
        if row is not None:
            self.dashboard.open_workspace(row.workspace, view)

    def acted(self, rows: Sequence[WorkspaceRow]) -> None:
        """An action was begun on what these rows show."""

    def _each(self, verb: str) -> None:
        """Do it to every workspace of the subject that allows it, after at most one question."""
        action = BY_ID[f"workspace.{verb}"]
        subject = self.subject(action)
        rows = self._willing(action, subject)
        if verb not in ENDING:
            self._go(verb, action, subject, rows, doubts(verb, rows))
            return

        async def look() -> None:
            found = await asyncio.gather(*(self._shells(row) for row in rows))
            shells = {row.workspace.id: number for row, number in zip(rows, found, strict=True)}
            self._go(verb, action, subject, rows, doubts(verb, rows, shells))

        self.dashboard.typed.wait_for(self.spawn(look(), f"who is in what {verb} ends"))

    async def _shells(self, row: WorkspaceRow) -> int | None:
        """How many shells are in it now; None where nobody says."""
        with suppress(WsdashError):
            return await self.dashboard.service.access.shells(row.workspace.id)
        return None

    def _go(
        self, verb: str, action: Action, subject: Subject, rows: list[WorkspaceRow], told: list[str]
    ) -> None:
        """Do it, or ask first where it destroys, something speaks against it, or it is done to several."""

        def go(yes: bool | None) -> None:
            if yes:
                self.acted(subject.rows)
                self._spawn(verb, [row.workspace for row in rows])

        if len(subject.rows) == 1 and action.danger is not Danger.DESTROYS and not told:
            go(True)
            return
        from wsdash.screens.confirm import ConfirmScreen

        question = ConfirmScreen(
            action.title,
            {row.workspace.id: row.workspace.name for row in rows},
            consequence(verb, len(rows)),
            doubts=told,
            look_for_unsaved=action.danger is Danger.DESTROYS,
        )
        cast(Screen[object], self).app.push_screen(question, go)

    def _willing(self, action: Action, subject: Subject) -> list[WorkspaceRow]:
        return [row for row in subject.rows if action.available(Subject((row,), subject.connected)) is None]

    def _spawn(self, verb: str, workspaces: Sequence[Workspace], *, unsaved: bool = False) -> None:
        names = " ".join(workspace.name for workspace in workspaces)
        self.spawn(self._do(verb, workspaces, unsaved=unsaved), f"{verb} {names}")

    async def _do(self, verb: str, workspaces: Sequence[Workspace], *, unsaved: bool) -> None:
        """One after the other, so that one failure is told with the name it belongs to.

        Those whose work cannot be saved go on, and the user is asked once about all of them.
        """
        service = self.dashboard.service
        acts: dict[str, Callable[[str], Coroutine[Any, Any, object]]] = {
            "start": service.lifecycle.start,
            "stop": partial(service.lifecycle.stop, unsaved=unsaved),
            "restart": partial(service.lifecycle.restart, unsaved=unsaved),
            "end_now": service.lifecycle.end_now,
            "extend": partial(service.lifecycle.extend, hours=1.0),
            "delete": service.lifecycle.delete,
        }
        names: list[str] = []
        not_saved: dict[str, tuple[Workspace, str]] = {}

        async def do(workspace: Workspace) -> None:
            try:
                await acts[verb](workspace.id)
            except NotSaved as error:
                not_saved[workspace.id] = (workspace, error.message)
            else:
                names.append(workspace.name)

        for workspace in workspaces:
            await self.dashboard.guard(do(workspace))
        if names:
            self.dashboard.say(done(verb, names))
        self.dashboard.look_again()
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
            "What has come since it was last saved is lost if its job ends now.",
            doubts=[f"{text[0].upper()}{text[1:]}." for _, text in problems],
            look_for_unsaved=False,
        )
        cast(Screen[object], self).app.push_screen(question, answered)
