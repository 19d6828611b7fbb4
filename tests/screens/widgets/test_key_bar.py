"""The keys at the bottom: as many as fit, muted where they do nothing, and buttons for a mouse."""

from __future__ import annotations

import pytest

from tests.screens.conftest import Running, until
from wsdash.screens.action import Action, ScreenKind
from wsdash.screens.actions import footer_actions
from wsdash.screens.help_page import HelpScreen
from wsdash.screens.text.spans import Line, Tone, width_of
from wsdash.screens.widgets.key_bar import KeyBar

FIRST = footer_actions(ScreenKind.LIST)[0]


def keys(width: int, *unavailable: Action) -> Line:
    bar = KeyBar(ScreenKind.LIST, lambda action: "not now" if action in unavailable else None)
    (line,) = bar._keys(width, 1)
    return line


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_keys_that_do_not_fit_are_left_out_and_help_stays(width: int) -> None:
    line = keys(width)
    text = "".join(words for words, _ in line)
    assert width_of(line) <= width
    assert "Help" in text


def test_the_key_of_an_action_that_is_not_available_is_muted() -> None:
    on, off = keys(200), keys(200, FIRST)
    assert [words for words, _ in on] == [words for words, _ in off]
    changed = [(new, old) for new, old in zip(off, on, strict=True) if new != old]
    assert [new for new, _ in changed] == [(changed[0][0][0], Tone.MUTED), (f" {FIRST.title}", Tone.MUTED)]


async def test_a_click_on_a_key_performs_its_action_and_one_beside_it_nothing(running: Running) -> None:
    async with running() as pilot:
        bar = pilot.app.screen.query_one(KeyBar)
        before = pilot.app.screen
        await pilot.click(KeyBar, offset=(bar.size.width - 1, 0))
        assert pilot.app.screen is before
        await pilot.click(KeyBar, offset=(bar.text.index("Help") + 1, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
