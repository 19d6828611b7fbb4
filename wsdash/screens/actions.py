"""The table of all actions: bindings, key bar, palette, help page and docs/keys.md are made from it.

An id such as `workspace.restart` is public and is not renamed. A key means one thing everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wsdash.screens.action import Action, Danger, Group, Opens, ScreenKind, key_name
from wsdash.screens.availability import (
    Subject,
    can_delete,
    can_end_now,
    can_enter,
    can_extend,
    can_log,
    can_restart,
    can_start,
    can_stop,
    each,
    with_service,
    with_workspace,
)

RARE = frozenset(f"workspace.{verb}" for verb in ("create", "update", "desktop_editor", "port"))
EVERYWHERE = frozenset(ScreenKind)
ON_WORKSPACE = frozenset({ScreenKind.LIST, ScreenKind.DETAIL, ScreenKind.LOG})
ON_LIST = frozenset({ScreenKind.LIST})
LIST_AND_DETAIL = frozenset({ScreenKind.LIST, ScreenKind.DETAIL})
SIDEWAYS = "In a log: scroll sideways. In a question: the other button."
TO_READ = frozenset(
    {ScreenKind.LIST, ScreenKind.DETAIL, ScreenKind.LOG, ScreenKind.PAGE, ScreenKind.CONTEXTS}
)
TO_SCROLL = TO_READ | {ScreenKind.DIALOG, ScreenKind.FORM}


def _on_workspace(verb: str, key: str, title: str, text: str, **more: Any) -> Action:  # noqa: ANN401
    where = more.pop("where", LIST_AND_DETAIL)
    return Action(f"workspace.{verb}", tuple(key.split()), title, text, Group.WORKSPACE, where, **more)


def _into(verb: str, key: str, title: str, text: str, **more: Any) -> Action:  # noqa: ANN401
    return _on_workspace(verb, key, title, text, available=each(can_enter), opens=Opens.PROGRAM, **more)


def _on_context(verb: str, key: str, title: str, text: str, hint: int, **more: Any) -> Action:  # noqa: ANN401
    where = frozenset({ScreenKind.CONTEXTS})
    return Action(
        f"context.{verb}", (key,), title, text, Group.CONTEXT, where, with_service, hint=hint, **more
    )


def _on_log(verb: str, key: str, title: str, text: str, hint: int = 0) -> Action:
    return Action(f"log.{verb}", (key,), title, text, Group.LOG, frozenset({ScreenKind.LOG}), hint=hint)


def _move(verb: str, keys: str, title: str, text: str, where: frozenset[ScreenKind] = TO_SCROLL) -> Action:
    hint = 25 if verb.startswith("page") else 0
    return Action(f"move.{verb}", tuple(keys.split()), title, text, Group.MOVE, where, hint=hint)


def _view(verb: str, keys: str, title: str, text: str, where: frozenset[ScreenKind], **more: Any) -> Action:  # noqa: ANN401
    return Action(f"view.{verb}", tuple(keys.split()), title, text, Group.VIEW, where, **more)


def _program(
    verb: str,
    keys: str,
    title: str,
    text: str,
    where: frozenset[ScreenKind],
    **more: Any,  # noqa: ANN401
) -> Action:
    return Action(f"app.{verb}", tuple(keys.split()), title, text, Group.PROGRAM, where, **more)


ACTIONS: tuple[Action, ...] = (
    _on_workspace(
        "create",
        "a",
        "New",
        "Create a workspace from a repository; you see the job before anything runs.",
        where=ON_LIST,
        available=with_service,
        hint=1,
        opens=Opens.FORM,
    ),
    _on_workspace(
        "open",
        "enter d",
        "Open",
        "Show the workspace: its steps, attempts and events.",
        where=ON_LIST,
        available=each(lambda _: None),
        hint=2,
        opens=Opens.VIEW,
    ),
    _into(
        "shell",
        "s",
        "Shell",
        "Open a shell inside the workspace; the dashboard comes back when it ends.",
        where=ON_WORKSPACE,
        hint=13,
    ),
    _into(
        "editor",
        "o",
        "Editor",
        "Open its editor in a browser, here or on your own machine.",
        where=ON_WORKSPACE,
        hint=15,
    ),
    _into(
        "desktop_editor",
        "E",
        "Desktop editor",
        "Open its folder in a desktop editor (wsdash code), here or on your own machine.",
        where=ON_WORKSPACE,
    ),
    _into("port", "p", "Page", "Open the page of a listening port."),
    _on_workspace(
        "logs",
        "l",
        "Log",
        "Follow the log of the newest attempt.",
        available=each(can_log),
        hint=14,
        opens=Opens.VIEW,
    ),
    _on_workspace(
        "restart",
        "r",
        "Restart",
        "Replace the job and keep the files. Also starts a stopped or failed workspace.",
        where=ON_WORKSPACE,
        available=each(can_restart),
        danger=Danger.INTERRUPTS,
        bulk=True,
        hint=15,
    ),
    _on_workspace(
        "start",
        "S",
        "Start",
        "Start a stopped or failed workspace.",
        where=ON_WORKSPACE,
        available=each(can_start),
        bulk=True,
    ),
    _on_workspace(
        "update",
        "U",
        "Update",
        "Apply its current devfile; you see the changes before its work is saved and its job replaced.",
        where=ON_WORKSPACE,
        available=each(can_restart),
        opens=Opens.FORM,
    ),
    _on_workspace(
        "extend",
        "e",
        "Extend",
        "Postpone its autostop by an hour.",
        where=ON_WORKSPACE,
        available=each(can_extend),
        bulk=True,
    ),
    _on_workspace(
        "stop",
        "x",
        "Stop",
        "End the job and keep the files.",
        where=ON_WORKSPACE,
        available=each(can_stop),
        danger=Danger.INTERRUPTS,
        bulk=True,
        hint=16,
    ),
    _on_workspace(
        "end_now",
        "X",
        "End now",
        "End a job that does not stop by itself; work that it has not saved is lost. Asks first.",
        where=ON_WORKSPACE,
        available=each(can_end_now),
        danger=Danger.DESTROYS,
        bulk=True,
        opens=Opens.QUESTION,
    ),
    _on_workspace(
        "delete",
        "D",
        "Delete",
        "End the job and remove the workspace with all its files. Asks first, and names unsaved work.",
        available=each(can_delete),
        danger=Danger.DESTROYS,
        bulk=True,
        hint=17,
        opens=Opens.QUESTION,
    ),
    _on_workspace(
        "workload",
        "y",
        "Workload",
        "Show the workload of the job, as translated from the devfile.",
        available=each(lambda _: None),
        opens=Opens.VIEW,
    ),
    Action(
        "form.accept",
        ("enter",),
        "Continue",
        "Show a preview; then confirm it.",
        Group.FORM,
        frozenset({ScreenKind.FORM}),
        with_service,
        hint=1,
    ),
    Action(
        "list.mark",
        ("space",),
        "Mark",
        "Mark or unmark the workspace. Actions apply to all marked workspaces.",
        Group.LIST,
        ON_LIST,
        with_workspace,
        hint=10,
    ),
    Action(
        "list.mark_all",
        ("*",),
        "Mark all",
        "Mark or unmark all workspaces that the filter shows.",
        Group.LIST,
        ON_LIST,
        with_workspace,
    ),
    _on_context(
        "add",
        "a",
        "Add",
        "Add a project of a GitLab; you see its answer before anything is saved.",
        1,
        opens=Opens.FORM,
    ),
    _on_context(
        "change", "enter", "Change", "Change its address, token, placement or tags.", 2, opens=Opens.FORM
    ),
    _on_context("use", "u", "Make default", "Create new workspaces in it by default.", 3),
    _on_context(
        "remove",
        "D",
        "Remove",
        "Remove a context that has no workspaces. Asks first.",
        4,
        danger=Danger.DESTROYS,
        opens=Opens.QUESTION,
    ),
    _on_log("next", "n", "Next match", "Go to the next line that matches.", hint=9),
    _on_log("previous", "N", "Previous match", "Go to the previous line that matches."),
    _on_log("only", "&", "Only matches", "Hide the lines that do not match, or show them again.", hint=10),
    _on_log("follow", "f", "Follow", "Stay at the end as the log grows.", hint=11),
    _on_log("wrap", "w", "Wrap", "Wrap or cut long lines.", hint=12),
    _on_log("older", "[", "Older", "Show the log of the previous attempt.", hint=18),
    _on_log("newer", "]", "Newer", "Show the log of the next attempt.", hint=19),
    _move("down", "j down", "Down", "Move down by one line."),
    _move("up", "k up", "Up", "Move up by one line."),
    _move("top", "g home", "To the top", "Move to the first line."),
    _move("bottom", "G end", "To the bottom", "Move to the last line."),
    _move("half_down", "ctrl+d", "Half a page down", "Move down by half a page."),
    _move("half_up", "ctrl+u", "Half a page up", "Move up by half a page."),
    _move("page_down", "pagedown ctrl+f", "A page down", "Move down by a page."),
    _move("page_up", "pageup", "A page up", "Move up by a page."),
    _move("left", "left", "Left", SIDEWAYS, frozenset({ScreenKind.LOG, ScreenKind.DIALOG})),
    _move("right", "right", "Right", SIDEWAYS, frozenset({ScreenKind.LOG, ScreenKind.DIALOG})),
    _view(
        "find",
        "/",
        "Find",
        "In the list: show only matching workspaces. In a log: go to the next match.",
        frozenset({ScreenKind.LIST, ScreenKind.LOG}),
        hint=8,
        opens=Opens.LINE,
    ),
    _view(
        "pane",
        "tab",
        "Other pane",
        "Move to the other part of the screen.",
        frozenset({ScreenKind.DETAIL}),
        hint=29,
    ),
    _view("refresh", "R", "Refresh", "Read everything again now.", TO_READ, hint=30),
    _view(
        "back",
        "escape",
        "Back",
        "Go back one level: clear the filter or the marks, then close the view.",
        EVERYWHERE,
    ),
    _view(
        "close",
        "q",
        "Close",
        "Close this view; in the list, quit wsdash. Workspaces keep running.",
        EVERYWHERE,
        hint=90,
    ),
    _program(
        "contexts",
        "c",
        "Contexts",
        "List the contexts, add a GitLab, choose the default for new workspaces.",
        frozenset({ScreenKind.LIST}),
        hint=20,
        opens=Opens.VIEW,
    ),
    _program(
        "messages",
        "m",
        "Messages",
        "Show the messages of this run again.",
        TO_READ,
        hint=31,
        opens=Opens.VIEW,
    ),
    _program(
        "palette",
        ": ctrl+p",
        "Commands",
        "Find an action or a workspace by its name.",
        TO_READ | {ScreenKind.FORM},
        hint=91,
        opens=Opens.LINE,
    ),
    _program("theme", "", "Theme", "Choose another theme.", TO_READ, opens=Opens.LINE),
    _program("help", "? f1", "Help", "Show all keys of this view.", EVERYWHERE, hint=92, opens=Opens.VIEW),
    _program("suspend", "ctrl+z", "Suspend", "Put wsdash in the background; fg brings it back.", EVERYWHERE),
    _program("interrupt", "ctrl+c", "How to quit", "Show how to quit.", EVERYWHERE),
    _program("quit", "ctrl+q", "Quit", "Quit wsdash from any view. Workspaces keep running.", EVERYWHERE),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}


def on(where: ScreenKind) -> tuple[Action, ...]:
    """Return the actions of one kind of screen, in the table's order."""
    return tuple(action for action in ACTIONS if where in action.where)


def footer_actions(where: ScreenKind) -> tuple[Action, ...]:
    """Return the actions of the key bar, in its order. In the list, actions on a workspace are in the summary."""
    chosen = [action for action in on(where) if action.hint and action.keys]
    if where is not ScreenKind.FORM:  # other screens scroll with the usual keys
        chosen = [action for action in chosen if action.group is not Group.MOVE]
    if where is ScreenKind.LIST:
        chosen = [action for action in chosen if action.group is not Group.WORKSPACE or action.hint == 1]
    if where is ScreenKind.FORM:
        chosen = [BY_ID["view.back"], *(action for action in chosen if action.id != "view.close")]
    return tuple(sorted(chosen, key=lambda action: action.hint))


def available_actions(where: ScreenKind, subject: Subject) -> tuple[Action, ...]:
    """Return the actions that can be done to the workspace now, without those that are rarely next."""
    if not subject.rows:
        return ()
    return tuple(
        action
        for action in on(where)
        if action.group is Group.WORKSPACE and action.id not in RARE and not action.available(subject)
    )


def bar_key(action: Action, where: ScreenKind) -> str:
    """Return the key that the key bar shows. In a form letters are typed, so the key is not a character there."""
    typed = where is ScreenKind.FORM
    return next((key for key in action.keys if not typed or len(key) > 1), action.keys[0])


def markdown(actions: Iterable[Action] = ACTIONS) -> str:
    """Return the page `docs/keys.md`."""
    listed = list(actions)
    lines = ["# Keys of the dashboard", ""]
    for group in Group:
        members = [action for action in listed if action.group is group]
        if not members:
            continue
        lines += [f"## {group}", "", "| Keys | Action | What it does |", "|---|---|---|"]
        for action in members:
            keys = " ".join(f"`{key_name(key)}`" for key in action.keys).replace("|", "\\|")
            lines.append(f"| {keys or '(palette)'} | {action.title} | {action.help} |")
        lines.append("")
    return "\n".join(lines)
