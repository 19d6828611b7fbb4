"""A workspace's record in the message of its branch's commit. Untrusted when read."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.clone_address import taken_out
from wsdash.backend.providers.gitlab.ci.record import SIGN, Record, RecordError, message_of, record_of
from wsdash.backend.providers.gitlab.ci.record import Volume as RunnerVolume
from wsdash.model import Policy
from wsdash.workload import Command, EnvVar, Parallel, Sequential, Source, Volume, Workload

NOW = 1_800_000_000.0


commands = st.builds(Command, st.text(max_size=5), st.text(max_size=9), st.none() | st.text(max_size=5))


steps = st.recursive(
    commands,
    lambda inner: (
        st.builds(Sequential, st.text(max_size=3), st.lists(inner, max_size=2).map(tuple))
        | st.builds(Parallel, st.text(max_size=3), st.lists(inner, max_size=2).map(tuple))
    ),
    max_leaves=4,
)


workloads = st.builds(
    Workload,
    image=st.none() | st.text(max_size=9),
    env=st.lists(st.builds(EnvVar, st.text(max_size=5), st.text(max_size=9)), max_size=3).map(tuple),
    source=st.none() | st.builds(Source, st.text(max_size=9)),
    post_start=st.lists(steps, max_size=3).map(tuple),
    volumes=st.lists(st.builds(Volume, st.text(max_size=5), st.text(max_size=5)), max_size=2).map(tuple),
)


RECORD = Record(
    id="w1",
    name="demo",
    source_url="https://gitlab.example.com/group/app.git",
    ref="main",
    devfile_path="devfile.yaml",
    policy=Policy(max_hours=3.0),
    created_at=NOW,
    user="ada",
    host="jump",
    store="0a0a0a0a",
    workload=Workload(),
)


ELSEWHERE = json.dumps(
    {"format": 1, **asdict(replace(RECORD, volume=RunnerVolume("/x/../$HOME", ("t",))))}
).encode()


@given(workloads)
def test_a_record_comes_back_whole(workload: Workload) -> None:
    workload, _ = taken_out(workload)
    record = replace(RECORD, workload=workload, volume=RunnerVolume("/wsdash", ("big",)), image="debian")
    message = message_of(record)
    assert "[skip ci]" in message.splitlines()[0]
    assert record_of(message) == record


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("", "incomplete"),
        ("!!!", "incomplete"),
        ("AAAA", "damaged"),
        (base64.urlsafe_b64encode(zlib.compress(b"[]")).decode(), "another version"),
        (base64.urlsafe_b64encode(zlib.compress(b'{"format": 2}')).decode(), "another version"),
        (base64.urlsafe_b64encode(zlib.compress(b'{"format": 1}')).decode(), "missing or wrong"),
        (base64.urlsafe_b64encode(zlib.compress(bytes(50_000_000))).decode(), "larger"),
        (base64.urlsafe_b64encode(zlib.compress(ELSEWHERE)).decode(), "invalid path"),
        ("x" * 300_000, "longer"),
    ],
)
def test_a_record_that_is_none_says_why(payload: str, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        record_of(f"x\n\n{SIGN}{payload}\n")


@given(st.binary(max_size=300))
def test_no_record_does_harm(data: bytes) -> None:
    packed = base64.urlsafe_b64encode(zlib.compress(data)).decode()
    with pytest.raises(RecordError):
        record_of(f"{SIGN}{packed}")


def test_the_record_is_one_line_of_json_that_others_can_read() -> None:
    line = message_of(RECORD).splitlines()[2].removeprefix(SIGN)
    values = json.loads(zlib.decompress(base64.urlsafe_b64decode(line)))
    assert (values["name"], values["user"], values["host"]) == ("demo", "ada", "jump")
