"""The one table of actions. Bindings, key bar, palette, help page and the documentation come from it.

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

EVERYWHERE = frozenset(ScreenKind)
ON_WORKSPACE = frozenset({ScreenKind.LIST, ScreenKind.DETAIL, ScreenKind.LOG})
ON_LIST = frozenset({ScreenKind.LIST})
LIST_AND_DETAIL = frozenset({ScreenKind.LIST, ScreenKind.DETAIL})
SIDEWAYS = "In a log: what is beside the screen. In a question: the other button."
TO_READ = frozenset(
    {ScreenKind.LIST, ScreenKind.DETAIL, ScreenKind.LOG, ScreenKind.PAGE, ScreenKind.CONTEXTS}
)
TO_SCROLL = TO_READ | {ScreenKind.DIALOG, ScreenKind.FORM}


def _on_workspace(verb: str, key: str, title: str, text: str, **more: Any) -> Action:  # noqa: ANN401
    where = more.pop("where", LIST_AND_DETAIL)
    return Action(f"workspace.{verb}", tuple(key.split()), title, text, Group.WORKSPACE, where, **more)


def _on_context(verb: str, key: str, title: str, text: str, hint: int, **more: Any) -> Action:  # noqa: ANN401
    where = frozenset({ScreenKind.CONTEXTS})
    return Action(
        f"context.{verb}", (key,), title, text, Group.CONTEXT, where, with_service, hint=hint, **more
    )


def _on_log(verb: str, key: str, title: str, text: str, hint: int = 0) -> Action:
    return Action(f"log.{verb}", (key,), title, text, Group.LOG, frozenset({ScreenKind.LOG}), hint=hint)


def _move(
    verb: str, keys: str, title: str, text: str = "", where: frozenset[ScreenKind] = TO_SCROLL
) -> Action:
    hint = 25 if verb.startswith("page") else 0
    return Action(
        f"move.{verb}", tuple(keys.split()), title, text or f"{title}.", Group.MOVE, where, hint=hint
    )


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
        "Show the workspace: its steps, attempts and everything that happened to it.",
        where=ON_LIST,
        available=each(lambda _: None),
        hint=2,
        opens=Opens.VIEW,
    ),
    _on_workspace(
        "shell",
        "s",
        "Shell",
        "Open a shell inside the workspace; the dashboard comes back when it ends.",
        where=ON_WORKSPACE,
        available=each(can_enter),
        hint=13,
        opens=Opens.PROGRAM,
    ),
    _on_workspace(
        "editor",
        "o",
        "Editor",
        "Open its editor in a browser, here or on the machine that you sit at.",
        where=ON_WORKSPACE,
        available=each(can_enter),
        hint=15,
        opens=Opens.PROGRAM,
    ),
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
        "End the job and run a new one; files are kept. Starts a stopped one, and clears a failed one.",
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
        "Run a stopped or failed workspace.",
        where=ON_WORKSPACE,
        available=each(can_start),
        bulk=True,
    ),
    _on_workspace(
        "update",
        "U",
        "Update",
        "Read its devfile again; you see what is new before its job is saved and started again.",
        where=ON_WORKSPACE,
        available=each(can_restart),
        opens=Opens.FORM,
    ),
    _on_workspace(
        "extend",
        "e",
        "Extend",
        "Put its autostop off by an hour.",
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
        "End the job at once, when it never ends by itself: what it has not saved is lost. Asks first.",
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
        "Show what the job runs, as the devfile made it.",
        available=each(lambda _: None),
        opens=Opens.VIEW,
    ),
    Action(
        "form.accept",
        ("enter",),
        "Go on",
        "See what would come of what you have typed; then do it.",
        Group.FORM,
        frozenset({ScreenKind.FORM}),
        with_service,
        hint=1,
    ),
    Action(
        "list.mark",
        ("space",),
        "Mark",
        "Mark or unmark the workspace; actions are then done to all marked ones.",
        Group.LIST,
        ON_LIST,
        with_workspace,
        hint=10,
    ),
    Action(
        "list.mark_all",
        ("*",),
        "Mark all",
        "Mark all that the filter shows, or unmark them.",
        Group.LIST,
        ON_LIST,
        with_workspace,
    ),
    _on_context(
        "add",
        "a",
        "Add",
        "Connect a GitLab; you see what it says before anything is changed.",
        1,
        opens=Opens.FORM,
    ),
    _on_context(
        "change", "enter", "Change", "Change where it is, its token, placement or tags.", 2, opens=Opens.FORM
    ),
    _on_context("use", "u", "Make default", "Make new workspaces in it.", 3),
    _on_context(
        "remove",
        "D",
        "Remove",
        "Forget a context that no workspace is in. Asks first.",
        4,
        danger=Danger.DESTROYS,
        opens=Opens.QUESTION,
    ),
    _on_log("next", "n", "Next match", "Go to the next line that matches.", hint=9),
    _on_log("previous", "N", "Previous match", "Go to the match before."),
    _on_log("only", "&", "Only matches", "Hide the lines that do not match, or show them again.", hint=10),
    _on_log("follow", "f", "Follow", "Stay at the end as the log grows.", hint=11),
    _on_log("wrap", "w", "Wrap", "Break long lines, or cut them.", hint=12),
    _on_log("older", "[", "Older", "Show the log of the attempt before.", hint=18),
    _on_log("newer", "]", "Newer", "Show the log of the attempt after.", hint=19),
    _move("down", "j down", "Down"),
    _move("up", "k up", "Up"),
    _move("top", "g home", "To the top"),
    _move("bottom", "G end", "To the bottom"),
    _move("half_down", "ctrl+d", "Half a page down"),
    _move("half_up", "ctrl+u", "Half a page up"),
    _move("page_down", "pagedown ctrl+f", "A page down"),
    _move("page_up", "pageup", "A page up"),
    _move("left", "left", "Left", SIDEWAYS, frozenset({ScreenKind.LOG, ScreenKind.DIALOG})),
    _move("right", "right", "Right", SIDEWAYS, frozenset({ScreenKind.LOG, ScreenKind.DIALOG})),
    _view(
        "find",
        "/",
        "Find",
        "In the list: show only what matches. In a log: go to the next match.",
        frozenset({ScreenKind.LIST, ScreenKind.LOG}),
        hint=8,
        opens=Opens.LINE,
    ),
    _view(
        "pane",
        "tab",
        "Other pane",
        "Scroll the other half of the screen.",
        frozenset({ScreenKind.DETAIL}),
        hint=29,
    ),
    _view("refresh", "R", "Refresh", "Read everything again now.", TO_READ, hint=30),
    _view(
        "back",
        "escape",
        "Back",
        "One level back: clear the filter or the marks, then close the view.",
        EVERYWHERE,
    ),
    _view(
        "close",
        "q",
        "Close",
        "Close this view; in the list, leave wsdash. Workspaces run on.",
        EVERYWHERE,
        hint=90,
    ),
    _program(
        "contexts",
        "c",
        "Contexts",
        "See where workspaces run, connect a GitLab, choose where new ones are made.",
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
    _program("theme", "", "Colours", "Choose other colours.", TO_READ, opens=Opens.LINE),
    _program("help", "? f1", "Help", "All keys of this view.", EVERYWHERE, hint=92, opens=Opens.VIEW),
    _program("suspend", "ctrl+z", "Suspend", "Put wsdash in the background; fg brings it back.", EVERYWHERE),
    _program("interrupt", "ctrl+c", "How to leave", "Says how to leave.", EVERYWHERE),
    _program("quit", "ctrl+q", "Quit", "Leave wsdash from anywhere. Workspaces run on.", EVERYWHERE),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}


def on(where: ScreenKind) -> tuple[Action, ...]:
    """The actions of one kind of screen, in the table's order."""
    return tuple(action for action in ACTIONS if where in action.where)


def footer_actions(where: ScreenKind) -> tuple[Action, ...]:
    """The actions of the key bar, in its order. In the list those on a workspace stand beside it."""
    chosen = [action for action in on(where) if action.hint and action.keys]
    if where is not ScreenKind.FORM:  # elsewhere it goes without saying that a page can be scrolled
        chosen = [action for action in chosen if action.group is not Group.MOVE]
    if where is ScreenKind.LIST:
        chosen = [action for action in chosen if action.group is not Group.WORKSPACE or action.hint == 1]
    if where is ScreenKind.FORM:
        chosen = [BY_ID["view.back"], *(action for action in chosen if action.id != "view.close")]
    return tuple(sorted(chosen, key=lambda action: action.hint))


def available_actions(where: ScreenKind, subject: Subject) -> tuple[Action, ...]:
    """What can be done to the workspace now: the keys that make sense, but for what is seldom next."""
    if not subject.rows:
        return ()
    return tuple(
        action
        for action in on(where)
        if action.group is Group.WORKSPACE
        and action.id not in ("workspace.create", "workspace.update")
        and not action.available(subject)
    )


def bar_key(action: Action, where: ScreenKind) -> str:
    """The key that the key bar shows. In a form letters are typed, so it is one that is no character."""
    typed = where is ScreenKind.FORM
    return next((key for key in action.keys if not typed or len(key) > 1), action.keys[0])


def markdown(actions: Iterable[Action] = ACTIONS) -> str:
    """The page `docs/keys.md`."""
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
