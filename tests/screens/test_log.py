"""The log: it follows, finds, hides, wraps, and never obeys what a job has written."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from tests.screens.conftest import Running, notifications, until
from tests.screens.stub import StubService, attempt
from wsdash.screens.log import LogScreen
from wsdash.screens.widgets.find_input import FindInput
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.widgets.log_view import TraceView


def numbered(count: int) -> bytes:
    return b"".join(
        b"line %d%s\n" % (number, b" ERROR" if number % 10 == 7 else b"") for number in range(count)
    )


def log_of(pilot: Pilot[None]) -> LogScreen:
    assert isinstance(pilot.app.screen, LogScreen)
    return pilot.app.screen


def shown(pilot: Pilot[None]) -> list[str]:
    """The log as it is drawn."""
    view = log_of(pilot).query_one(TraceView)
    return [strip.text.strip() for strip in view.render_lines(view.outer_size.region)]


def state(pilot: Pilot[None]) -> str:
    return log_of(pilot).query_one("#counts", LineView).text


async def opened(pilot: Pilot[None], text: str) -> None:
    await pilot.press("l")
    await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
    await until(pilot, lambda: text in shown(pilot))


async def find(pilot: Pilot[None], words: str) -> None:
    await pilot.press("slash")
    await until(pilot, lambda: log_of(pilot).query(FindInput))
    log_of(pilot).query_one(FindInput).value = words
    await pilot.press("enter")
    await until(pilot, lambda: f"/{words}" in state(pilot) and "+" not in state(pilot))


async def test_it_opens_at_the_end_and_follows(stub: StubService, running: Running) -> None:
    stub.logs[1] = numbered(500)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 499")
        assert "following" in state(pilot)
        stub.logs[1] += b"one more\n"
        await until(pilot, lambda: "one more" in shown(pilot))


async def test_a_log_that_is_cut_is_read_again(stub: StubService, running: Running) -> None:
    stub.logs[1] = numbered(500)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 499")
        stub.logs[1] = numbered(100) + b"wsdash: output was removed here\nthe end\n"
        await until(pilot, lambda: "the end" in shown(pilot))
        assert "line 499" not in shown(pilot)
        assert "following" in state(pilot)


async def test_who_scrolls_up_stays_there_until_f(stub: StubService, running: Running) -> None:
    stub.logs[1] = numbered(500)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 499")
        await pilot.press("g")
        await until(pilot, lambda: shown(pilot)[0] == "line 0")
        stub.logs[1] += b"one more\n"
        await until(pilot, lambda: "501 lines" in state(pilot))
        assert shown(pilot)[0] == "line 0"
        await pilot.press("f")
        await until(pilot, lambda: "one more" in shown(pilot))


async def test_a_line_that_is_not_finished_is_shown_and_grows(stub: StubService, running: Running) -> None:
    stub.logs[1] = b"progress: 10 %"
    async with running((80, 24)) as pilot:
        await opened(pilot, "progress: 10 %")
        stub.logs[1] += b", 20 %"
        await until(pilot, lambda: "progress: 10 %, 20 %" in shown(pilot))


async def test_find_goes_to_the_next_match_and_n_and_capital_n_walk(
    stub: StubService, running: Running
) -> None:
    stub.logs[1] = numbered(500)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 499")
        await pilot.press("g")
        await find(pilot, "error")
        view = log_of(pilot).query_one(TraceView)
        await until(pilot, lambda: view.here == 7)
        assert "50 match" in state(pilot)
        await pilot.press("n", "n")
        assert view.here == 27
        await pilot.press("N")
        assert view.here == 17
        await pilot.press("N", "N")
        assert notifications(pilot) == ["no match for error above"]


async def test_matches_in_what_arrives_later_count_too(stub: StubService, running: Running) -> None:
    stub.logs[1] = numbered(100)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 99")
        await find(pilot, "error")
        await until(pilot, lambda: "10 match" in state(pilot))
        stub.logs[1] += b"a late ERROR\n"
        await until(pilot, lambda: "11 match" in state(pilot))


async def test_lines_that_do_not_match_can_be_hidden(stub: StubService, running: Running) -> None:
    stub.logs[1] = numbered(500)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 499")
        await find(pilot, "error")
        await pilot.press("ampersand", "g")
        await until(pilot, lambda: shown(pilot)[:3] == ["line 7 ERROR", "line 17 ERROR", "line 27 ERROR"])
        assert "50 shown" in state(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "line 8" in shown(pilot) or "line 1" in shown(pilot))
        assert "/error" not in state(pilot)


async def test_attempts_are_chosen_with_brackets(stub: StubService, running: Running) -> None:
    stub.logs = {1: b"the first attempt\n", 2: b"the second attempt\n"}
    attempts = (attempt("api-gateway", 2), attempt("api-gateway", 1))
    stub.attempts["api-gateway"] = attempts
    stub.rows[0] = replace(stub.rows[0], attempt=attempts[0])
    async with running((80, 24)) as pilot:
        await opened(pilot, "the second attempt")
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "the first attempt" in shown(pilot))
        await pilot.press("left_square_bracket")
        assert notifications(pilot) == ["there is no older attempt"]
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "the second attempt" in shown(pilot))


async def test_a_new_attempt_is_followed_without_a_key(stub: StubService, running: Running) -> None:
    stub.logs = {1: b"the first attempt\n"}
    async with running((80, 24)) as pilot:
        await opened(pilot, "the first attempt")
        stub.logs[2] = b"the second attempt\n"
        second = attempt("api-gateway", 2)
        stub.attempts["api-gateway"] = (second, attempt("api-gateway", 1))
        stub.change([replace(stub.rows[0], attempt=second), *stub.rows[1:]])
        await until(pilot, lambda: "the second attempt" in shown(pilot))


async def test_an_empty_log_says_so(stub: StubService, running: Running) -> None:
    stub.log_ended = True
    async with running((80, 24)) as pilot:
        await pilot.press("l")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, LogScreen) and "the log is empty" in state(pilot)
        )


async def test_a_log_of_many_megabytes_is_read_by_chunks_and_kept_as_an_index(
    stub: StubService, running: Running
) -> None:
    stub.logs[1] = numbered(400_000)
    async with running((80, 24)) as pilot:
        await opened(pilot, "line 399999")
        view = log_of(pilot).query_one(TraceView)
        assert view.index.count == 400_000
        assert sum(len(lines) for _, lines in view._blocks.values()) < 10_000
        await pilot.press("g")
        await until(pilot, lambda: shown(pilot)[0] == "line 0")
