"""The positions of a log's lines, whatever its bytes are and however they arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.screens.widgets.log_index import BLOCK, LONGEST, LineIndex, Matches, split_lines

DATA = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.just(b"\n"),
        st.just(b"line\n" * 40),
        st.just("漢".encode() * (LONGEST // 2)),
        st.just(b"x" * LONGEST),
    ),
    max_size=8,
).map(b"".join)


def lines_of(data: bytes) -> list[bytes]:
    lines, rest = split_lines(data)
    return [*lines, rest] if rest else lines


@given(DATA)
def test_lines_hold_every_byte_and_are_never_too_long(data: bytes) -> None:
    lines = lines_of(data)
    assert b"".join(lines) == data
    assert all(len(line) <= LONGEST + 1 for line in lines)


@given(DATA, st.lists(st.integers(1, 3000), max_size=10))
def test_chunks_make_no_difference(data: bytes, sizes: list[int]) -> None:
    index, whole, at = LineIndex(), [], 0
    for size in [*sizes, len(data)]:
        whole += index.feed(data[at : at + size])
        at = min(len(data), at + size)
    assert whole == split_lines(data)[0]
    assert (index.size, index.count) == (len(data), len(lines_of(data)))


@given(DATA)
def test_a_block_holds_the_lines_that_it_stands_for(data: bytes) -> None:
    index = LineIndex()
    index.feed(data)
    lines = lines_of(data)
    for number, line in enumerate(lines):
        start, end = index.span(index.block_of(number))
        assert lines_of(data[start:end])[number % BLOCK] == line
    spans = [index.span(block) for block in range(index.block_of(max(0, len(lines) - 1)) + 1)]
    assert all(first[1] == second[0] for first, second in pairwise(spans))


def test_a_long_line_is_cut_between_characters() -> None:
    lines = lines_of("漢".encode() * 1000)
    assert all(line.decode() for line in lines)


@given(
    st.lists(st.sampled_from(["warning", "ERROR", "error: x", "\x1b[31merr\x1b[0mor", "fine"]), max_size=60)
)
def test_matches_are_the_lines_that_a_reader_would_see_them_in(texts: list[str]) -> None:
    matches = Matches("error")
    matches.feed(10, [text.encode() + b"\n" for text in texts])
    assert list(matches.lines) == [
        number
        for number, text in enumerate(texts, 10)
        if text in ("ERROR", "error: x", "\x1b[31merr\x1b[0mor")
    ]


def test_capitals_count_when_there_are_any() -> None:
    matches = Matches("ERROR")
    matches.feed(0, [b"error\n", b"ERROR\n"])
    assert list(matches.lines) == [1]


@pytest.mark.parametrize(("line", "after", "before"), [(0, 3, None), (3, 7, None), (5, 7, 3), (7, None, 3)])
def test_next_and_previous_match(line: int, after: int | None, before: int | None) -> None:
    matches = Matches("x")
    matches.lines.extend([3, 7])
    assert (matches.after(line), matches.before(line)) == (after, before)
    assert (3 in matches, 4 in matches) == (True, False)


def test_places_of_a_match_in_a_line() -> None:
    assert Matches("ab").places("ab xAB") == [(0, 2), (4, 6)]
