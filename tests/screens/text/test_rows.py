"""From the store's rows to the list, and the difference between two lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.screens.stub import NOW, every_phase, row
from wsdash.model import Phase
from wsdash.screens.text.glyphs import ASCII, TONES, UNICODE
from wsdash.screens.text.rows import (
    RowView,
    age_words,
    count_words,
    matches,
    next_age_change,
    patch,
    row_view,
    time_words,
)
from wsdash.screens.text.spans import Tone
from wsdash.screens.widgets.workspace_table import widths

VIEWS = st.lists(
    st.builds(
        RowView,
        key=st.sampled_from("abcdefgh"),
        status=st.sampled_from(["running", "stopped"]),
        name=st.just("n"),
        project=st.just("p"),
        health=st.just(""),
        age=st.just("3 h"),
        event=st.just(""),
        tone=st.just(Tone.PLAIN),
    ),
    unique_by=lambda view: view.key,
    max_size=8,
)


@given(VIEWS)
def test_nothing_differs_between_a_list_and_itself(views: list[RowView]) -> None:
    assert patch(views, views).nothing


@given(VIEWS, VIEWS)
def test_rows_that_the_patch_does_not_name_are_the_same_on_the_same_line(
    old: list[RowView], new: list[RowView]
) -> None:
    patched = patch(old, new)
    named = patched.added | patched.removed | patched.moved | patched.changed
    for place, view in enumerate(new):
        if view.key not in named:
            assert old[place] == view
    assert {view.key for view in old} - patched.removed | patched.added == {view.key for view in new}


def test_a_changed_status_stays_in_place() -> None:
    old = [row_view(row("api"), NOW, UNICODE), row_view(row("web"), NOW, UNICODE)]
    new = [old[0], replace(old[1], status="x failed")]
    patched = patch(old, new)
    assert (patched.in_place, patched.changed) == (True, frozenset({"id-web"}))


def test_a_row_says_status_name_project_health_age_and_event() -> None:
    view = row_view(row("api"), NOW, UNICODE)
    assert view == RowView(
        "id-api",
        "● running",
        "api",
        "api@main",
        "healthy",
        "3 h",
        "on disk",
        "ready: postStart is done",
        Tone.GOOD,
    )


def test_a_row_shows_no_control_sequences_of_others() -> None:
    evil = row("api", latest_event="\x1b[2Jgone\x07", ref="\x1b]0;x\x07main")
    view = row_view(evil, NOW, UNICODE)
    assert (view.event, view.project) == ("gone", "api@main")


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_phase_has_a_sign_of_one_cell_and_a_tone(glyphs: object) -> None:
    from wsdash.screens.text.glyphs import Glyphs

    assert isinstance(glyphs, Glyphs)
    assert set(glyphs.phases) == set(TONES) == set(Phase)
    assert all(len(sign) == 1 for sign in glyphs.phases.values())
    assert glyphs is not ASCII or all(sign.isascii() for sign in glyphs.phases.values())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "< 1 min"), (59, "< 1 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (200000, "2 d")],
)
def test_ages_are_coarse(seconds: float, words: str) -> None:
    assert age_words(seconds) == words


@given(st.integers(0, 10**7))
def test_an_age_says_the_same_until_its_next_change(seconds: int) -> None:
    wait = next_age_change(seconds)
    assert wait > 0
    assert age_words(seconds + wait) != age_words(seconds)
    assert age_words(seconds + wait - 1) == age_words(seconds)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("billing", ["billing"]),
        ("FRONT unhealthy", ["frontend"]),
        ("backing-off", ["ml-pipeline"]),
        ("checkout-redesign", ["frontend"]),
        ("no such thing", []),
    ],
)
def test_the_filter_finds_all_its_words_in_any_case(words: str, names: list[str]) -> None:
    assert [found.workspace.name for found in every_phase() if matches(found, words)] == names


def test_counts_name_the_worst_first() -> None:
    text = "".join(text for text, _ in count_words(every_phase()[:6]))
    assert text == "6 workspaces  1 failed  1 unhealthy  1 starting  2 running  1 stopped"


def test_a_time_of_another_day_has_its_date() -> None:
    assert time_words(NOW, NOW) == "15:06:40"
    assert time_words(NOW - 86400, NOW) == "06-14 15:06"


def test_one_that_runs_in_trouble_does_not_look_healthy() -> None:
    healthy = row("api")
    for condition in ("degraded", "crash-loop"):
        view = row_view(replace(healthy, status=replace(healthy.status, condition=condition)), NOW, UNICODE)
        calm = row_view(healthy, NOW, UNICODE)
        assert (view.status, view.health, view.tone) == ("▲ running", condition, Tone.WARN)
        assert all(getattr(view, part) != getattr(calm, part) for part in ("status", "health", "tone"))
        assert len(condition) < widths(80).health
