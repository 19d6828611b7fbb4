"""The command palette: actions with the reason why not, and workspaces by name."""

from __future__ import annotations

from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from tests.screens.conftest import Running, until
from wsdash.screens.detail import DetailScreen
from wsdash.screens.help_page import HelpScreen
from wsdash.screens.palette import nearest


async def test_the_palette_finds_actions_and_workspaces(running: Running) -> None:
    async with running() as pilot:
        for words, kind in (("Help", HelpScreen), ("Open frontend", DetailScreen)):
            await pilot.press("colon")
            await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
            pilot.app.screen.query_one(Input).value = words
            options = pilot.app.screen.query_one(OptionList)
            await until(pilot, lambda: options.option_count == 1)  # noqa: B023
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, kind))  # noqa: B023
            await pilot.press("q")


async def test_the_palette_says_why_an_action_is_not_available(running: Running) -> None:
    async with running() as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        pilot.app.screen.query_one(Input).value = "Start"
        options = pilot.app.screen.query_one(OptionList)
        why = "not now, api-gateway is running already"
        await until(pilot, lambda: any(why in str(option.prompt) for option in options.options))


def test_the_shortest_stretch_with_all_letters_in_order_comes_first() -> None:
    titles = ["Open application", "Open api", "Open a-p-i", "Open web"]
    assert nearest("API", titles, 9) == ["Open api", "Open a-p-i", "Open application"]
    assert nearest("a p", ["Open a-p-i", "Open api"], 1) == ["Open api"]
    assert len(nearest("", titles, 2)) == 2, "without letters some are listed"


def test_letters_that_mean_something_in_a_pattern_are_letters() -> None:
    assert nearest(".*", ["Open web", "Open a.b*c"], 9) == ["Open a.b*c"]
    assert nearest("[", ["Open web"], 9) == []
