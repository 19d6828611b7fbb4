"""The one table of actions: nothing that is made from it can drift."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from textual.binding import BindingsMap, BindingType
from textual.widgets import Input

from tests.screens.conftest import Running, app_of, until
from tests.screens.stub import every_phase
from wsdash.model import Phase
from wsdash.screens.action import Action, Danger, Group, Opens, ScreenKind, key_name
from wsdash.screens.actions import ACTIONS, BY_ID, available_actions, footer_actions, markdown, on
from wsdash.screens.availability import Subject
from wsdash.screens.base import ActionMixin
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.context_form import ConnectScreen
from wsdash.screens.contexts import ContextsScreen
from wsdash.screens.create_form import CreateScreen
from wsdash.screens.detail import DetailScreen
from wsdash.screens.help_page import HelpScreen, help_lines
from wsdash.screens.log import LogScreen
from wsdash.screens.notifications import MessagesScreen
from wsdash.screens.secrets_form import SecretsScreen
from wsdash.screens.workload_page import WorkloadScreen
from wsdash.screens.workspaces import WorkspacesScreen

SCREENS: list[type[ActionMixin]] = [
    WorkspacesScreen,
    DetailScreen,
    LogScreen,
    CreateScreen,
    SecretsScreen,
    ConnectScreen,
    ContextsScreen,
    ConfirmScreen,
    HelpScreen,
    MessagesScreen,
    WorkloadScreen,
]
each_screen = pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)


def test_ids_are_unique_and_say_area_and_verb() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", action.id) for action in ACTIONS)


@pytest.mark.parametrize("where", ScreenKind)
def test_no_key_means_two_things_on_one_kind_of_screen(where: ScreenKind) -> None:
    keys = [key for action in on(where) for key in action.keys]
    assert len(keys) == len(set(keys))


def test_a_key_means_the_same_everywhere() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for action in ACTIONS:
        for key in action.keys:
            meanings[key].add(action.id)
    # Enter goes on with what is in front of the user, a adds to what is listed, D takes away from it.
    assert meanings.pop("enter") == {"workspace.open", "form.accept", "context.change"}
    assert meanings.pop("a") == {"workspace.create", "context.add"}
    assert meanings.pop("D") == {"workspace.delete", "context.remove"}
    assert {key: ids for key, ids in meanings.items() if len(ids) > 1} == {}


@pytest.mark.parametrize("key", ["ctrl+a", "ctrl+b", "ctrl+s", "ctrl+h", "ctrl+m", "ctrl+j", "ctrl+i"])
def test_keys_that_terminals_and_multiplexers_take_are_left_alone(key: str) -> None:
    assert not [action.id for action in ACTIONS if key in action.keys]


@each_action
def test_every_action_says_what_it_does(action: Action) -> None:
    assert action.title
    assert action.help.endswith(".")
    assert action.where


@each_screen
def test_a_screen_can_do_everything_that_the_table_has_for_it(screen: type[ActionMixin]) -> None:
    missing = [action.id for action in on(screen.WHERE) if not callable(getattr(screen, action.method, None))]
    assert missing == []


@each_screen
def test_the_bindings_of_a_screen_are_those_of_the_table(screen: type[ActionMixin]) -> None:
    bindings: list[BindingType] = screen.BINDINGS  # type: ignore[attr-defined]
    bound = {(binding.id, binding.action) for _, binding in BindingsMap(bindings)}
    assert bound == {(action.id, f"perform('{action.id}')") for action in on(screen.WHERE) if action.keys}
    keys = [key for key, _ in BindingsMap(bindings)]
    assert len(keys) == len(set(keys)) == sum(len(action.keys) for action in on(screen.WHERE))


@each_screen
def test_every_view_can_be_left_by_a_letter(screen: type[ActionMixin]) -> None:
    assert any("q" in action.keys for action in on(screen.WHERE))


@pytest.mark.parametrize("where", ScreenKind)
def test_the_help_page_names_every_action_with_its_keys(where: ScreenKind) -> None:
    text = "\n".join("".join(text for text, _ in line) for line in help_lines(on(where), 200))
    for action in on(where):
        assert action.title in text
        assert action.help in text
        assert all(key_name(key) in text for key in action.keys)


def test_the_page_of_keys_is_made_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "keys.md"
    assert page.read_text() == markdown(), (
        "write it anew: python -c 'from wsdash.screens.actions import markdown; print(markdown(), end=str())'"
        " >docs/keys.md"
    )


def test_the_documentation_names_every_action_with_its_keys() -> None:
    text = markdown()
    for action in ACTIONS:
        line = next(
            line for line in text.splitlines() if f"| {action.title} |" in line and action.help in line
        )
        assert all(f"`{key_name(key)}`" in line for key in action.keys)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        group.value for group in Group
    ]


@pytest.mark.parametrize("where", ScreenKind)
def test_the_key_bar_shows_only_actions_of_the_screen(where: ScreenKind) -> None:
    assert set(footer_actions(where)) <= set(on(where))


def test_what_destroys_is_on_an_upper_case_letter() -> None:
    for action in ACTIONS:
        if action.danger is Danger.DESTROYS:
            assert all(len(key) == 1 and key.isupper() for key in action.keys)


def test_sensible_keys_follow_the_phase() -> None:
    def keys(phase: Phase) -> set[str]:
        found = next(row for row in every_phase() if row.status.phase is phase)
        return {
            action.id.removeprefix("workspace.")
            for action in available_actions(ScreenKind.LIST, Subject((found,)))
        }

    assert "shell" in keys(Phase.RUNNING)
    assert "start" not in keys(Phase.RUNNING)
    assert "shell" not in keys(Phase.FAILED)
    assert {"start", "restart", "logs"} <= keys(Phase.FAILED)
    assert "stop" not in keys(Phase.STOPPED)


@pytest.mark.parametrize(
    "action", [action for action in on(ScreenKind.LIST) if action.keys and action.opens is not Opens.PROGRAM]
)
async def test_an_action_that_opens_something_says_so(running: Running, action: Action) -> None:
    """The bursts of `test_typeahead` are made from what it says."""
    async with running() as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, WorkspacesScreen)
        if (action.group is Group.PROGRAM and action.opens is None) or screen.why_not(action):
            pytest.skip("it leaves wsdash, or cannot be done to the first workspace")
        app = app_of(pilot)
        if action.id != "view.close":
            await pilot.press(action.keys[0])
            await until(pilot, lambda: app.typed.at_rest)
        opened = app.screen is not screen or isinstance(app.focused, Input)
        assert opened == (action.opens is not None)
