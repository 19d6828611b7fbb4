"""Actions on workspaces that several screens offer: shell, log, start, stop, restart, delete."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.screen import Screen

from wsdash.actions import BY_ID, Action, Danger
from wsdash.availability import Subject
from wsdash.backend.errors import NotSaved
from wsdash.screens.base import Acts, View

if TYPE_CHECKING:
    from wsdash.backend.reader import WorkspaceRow

CONSEQUENCES = {
    "restart": "Their jobs end and new ones start. Files are kept.",
    "stop": "Their jobs end. Files are kept.",
    "start": "A job is started for each.",
    "extend": "No autostop comes for an hour more.",
    "end_now": "Their jobs end at once; what they have not saved is lost.",
    "delete": "Their jobs end, and all their files are removed for good.",
}


class OnWorkspace(Acts):
    """Mixed into screens that have a current workspace."""

    def do_workspace_shell(self) -> None:
        row = self.current()
        if row is not None:
            self.spawn(self.dashboard.enter_shell(row.workspace.name), "shell", exclusive=True)

    def do_workspace_editor(self) -> None:
        row = self.current()
        if row is not None:
            self.spawn(self.dashboard.open_editor(row.workspace.name), "editor", exclusive=True)

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
        from wsdash.screens.update import UpdateScreen

        def updated(name: str | None) -> None:
            if name is not None:
                self.dashboard.say(f"{name} runs what its devfile says now")
                self.dashboard.look_again()

        cast(Screen[object], self).app.push_screen(UpdateScreen(row.workspace.name), updated)

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
            self.dashboard.open_workspace(row.workspace.name, view)

    def _each(self, verb: str) -> None:
        """Do it to every workspace of the subject that allows it, after at most one question."""
        action = BY_ID[f"workspace.{verb}"]
        rows = self._willing(action)
        names = [row.workspace.name for row in rows]
        if action.danger is not Danger.DESTROYS and len(rows) == 1:
            self.spawn(self._do(verb, names), f"{verb} {names[0]}")
            return
        from wsdash.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self.spawn(self._do(verb, names), f"{verb} {' '.join(names)}")

        cast(Screen[object], self).app.push_screen(
            ConfirmScreen(
                action.title, names, CONSEQUENCES[verb], look_for_unsaved=action.danger is Danger.DESTROYS
            ),
            answered,
        )

    def _willing(self, action: Action) -> list[WorkspaceRow]:
        subject = self.subject(action)
        return [row for row in subject.rows if action.available(Subject((row,), subject.connected)) is None]

    async def _do(self, verb: str, names: list[str], *, unsaved: bool = False) -> None:
        """One after the other, so that one failure is told with the name it belongs to.

        Those whose work cannot be saved go on, and the user is asked once about all of them.
        """
        service = self.dashboard.service
        acts: dict[str, Callable[[str], Coroutine[Any, Any, object]]] = {
            "start": service.start,
            "stop": partial(service.stop, unsaved=unsaved),
            "restart": partial(service.restart, unsaved=unsaved),
            "end_now": service.end_now,
            "extend": lambda name: service.extend(name, 1.0),
            "delete": service.delete,
        }
        not_saved: dict[str, str] = {}

        async def do(name: str) -> None:
            try:
                await acts[verb](name)
            except NotSaved as error:
                not_saved[name] = error.message

        for name in names:
            await self.dashboard.guard(do(name))
        self.dashboard.look_again()
        if not_saved:
            self._ask_whether_unsaved(verb, not_saved)

    def _ask_whether_unsaved(self, verb: str, problems: dict[str, str]) -> None:
        from wsdash.screens.confirm import ConfirmScreen

        names = list(problems)

        def answered(yes: bool | None) -> None:
            if yes:
                self.spawn(self._do(verb, names, unsaved=True), f"{verb} {' '.join(names)}")

        told = ". ".join(f"{text[0].upper()}{text[1:]}" for text in problems.values())
        cast(Screen[object], self).app.push_screen(
            ConfirmScreen(
                BY_ID[f"workspace.{verb}"].title,
                names,
                f"{told}. What has come since it was last saved is lost if its job ends now.",
                look_for_unsaved=False,
            ),
            answered,
        )
