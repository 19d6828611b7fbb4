"""The protocol's reader: takes messages out of a log, and is not impressed by anything else."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsdash
from wsdash.backend.job.protocol import KINDS, LINE_LIMIT, MARK, Message, Splitter, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda x: st.lists(x, max_size=2),
)
messages = st.builds(
    Message,
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(["at", "exit", "phase", "x"]), json_values),
)
output = st.binary(max_size=60) | st.lists(
    st.sampled_from([MARK, MARK[:4], b"\n", b"beat {}", b" ", b"x", b"step {\n"]), max_size=8
).map(b"".join)


def encode(message: Message) -> bytes:
    return MARK + message.kind.encode() + b" " + json.dumps(message.fields).encode() + b"\n"


def split(chunks: list[bytes]) -> tuple[bytes, list[Message]]:
    splitter = Splitter()
    parts = [part for chunk in chunks for part in splitter.feed(chunk)]
    log = b"".join(part for part in parts if isinstance(part, bytes)) + splitter.flush()
    return log, [part for part in parts if isinstance(part, Message)]


@given(message=messages)
def test_a_message_is_read_back(message: Message) -> None:
    line = encode(message)
    assert parse(line[:-1]) == (message if len(line) <= LINE_LIMIT else None)


@given(line=st.binary(max_size=300) | output)
def test_no_line_makes_the_reader_fail(line: bytes) -> None:
    found = parse(line)
    assert found is None or found.kind in KINDS


@given(data=st.binary(max_size=400) | output, cuts=st.lists(st.integers(0, 400), max_size=5))
def test_how_output_is_cut_into_chunks_changes_nothing(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    assert split([data[a:b] for a, b in itertools.pairwise(edges)]) == split([data])


@given(before=st.binary(max_size=50), message=messages, after=st.binary(max_size=50))
def test_a_message_is_taken_out_and_all_else_stays(before: bytes, message: Message, after: bytes) -> None:
    before, after = before.replace(b"w", b""), after.replace(b"w", b"")
    line = encode(message)
    log, found = split([before + line + after])
    expected = (before + after, [message]) if len(line) <= LINE_LIMIT else (before + line + after, [])
    assert (log, found) == expected


def test_an_unfinished_message_is_held_no_longer_than_a_message_can_be() -> None:
    splitter = Splitter()
    assert splitter.feed(MARK + b"beat {") == []
    assert b"".join(p for p in splitter.feed(b"x" * LINE_LIMIT) if isinstance(p, bytes)).startswith(MARK)


@pytest.mark.parametrize("value", [True, -1, 2**63, float("inf"), float("nan"), "7", None, [1]])
def test_a_number_is_a_sensible_one_or_none(value: object) -> None:
    assert Message("beat", {"load": value}).number("load") is None


def test_the_reader_loads_little() -> None:
    """Every job's supervisor imports it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import wsdash.backend.job.protocol; "
        "print(*sys.modules, sep='\\n')"
    )
    root = str(Path(wsdash.__file__).parents[1])
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, root], capture_output=True, text=True, check=True
    )
    assert not {"dataclasses", "asyncio", "typing", "pathlib", "pydantic", "psutil"} & set(
        shown.stdout.split()
    )
