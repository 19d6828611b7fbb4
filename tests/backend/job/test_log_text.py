"""The text of a log: without protocol, runner's timestamps and marks, however its bytes arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.job.log_text import LogText, Unstamped, last_words

STAMPED = (
    b"2026-11-30T15:04:13.212613Z 00O Running with gitlab-runner 19.4.0\n"
    b"2026-11-30T15:04:13.212700Z 01O section_start:1764515053:step_script\r\x1b[0K\n"
    b"2026-11-30T15:04:13.212701Z 01O+$ sh .wsdash/gitlab.sh start\n"
    b'2026-11-30T15:04:14.000001Z 01O wsdash/1 step {"phase":"fetch","state":"start","at":1}\r\x1b[0K\n'
    b"2026-11-30T15:04:14.000002Z 01O+\n"
    b"2026-11-30T15:04:14.100000Z 01E npm warn old\n"
    b"2026-11-30T15:04:14.200000Z 01O  10 %\r 90 %\r\n"
    b"2026-11-30T15:04:14.300000Z 01O+100 %\n"
)
PLAIN = b"\nnpm warn old\n 10 %\r 90 %\r100 %\n"


def read(log: bytes, cuts: list[int]) -> bytes:
    text, out, start = LogText(), b"", 0
    for cut in [*sorted(cut % (len(log) + 1) for cut in cuts), len(log)]:
        out += text.feed(log[start:cut])
        start = cut
    return out + text.rest()


@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_a_runners_timestamps_and_marks_are_left_out_however_the_log_is_cut(cuts: list[int]) -> None:
    assert read(STAMPED, cuts) == PLAIN


@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_messages_of_the_protocol_are_left_out_also_those_that_are_none(cuts: list[int]) -> None:
    log = b'one\nwsdash/1 beat {"at":1,"active":}\ntwo 50 %wsdash/1 ready {}\n'
    log += b"section of text\nwsdash/1 is our protocol\nend"
    assert read(log, cuts) == b"one\ntwo 50 %section of text\nwsdash/1 is our protocol\nend"


@given(log=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_a_log_of_no_runner_and_no_protocol_is_byte_for_byte_what_the_job_wrote(
    log: bytes, cuts: list[int]
) -> None:
    assert read(log, cuts) == log


def test_what_a_user_waits_for_is_shown_before_its_line_ends() -> None:
    text = LogText()
    assert text.feed(b"Password of a host that is known: ") == b"Password of a host that is known: "


def test_places_in_the_text_lead_to_places_in_the_log() -> None:
    found = Unstamped(STAMPED)
    for word in (b"Running", b"step_script", b"$ sh", b"npm", b"100 %"):
        assert found.position(found.text.index(word)) == STAMPED.index(word)


@pytest.mark.parametrize(
    ("log", "own_error", "words"),
    [
        (b'wsdash: cloning x\nwsdash/1 beat {"at":,}\nfatal: no such host\n', True, "fatal: no such host"),
        (b"wsdash: cloning x\nfatal: a\nwsdash: no ref b.\n", True, "fatal: a\nno ref b."),
        (b"out\nwsdash: postStart one failed with exit code 3; the workspace continues.\n", False, "out"),
        (b"wsdash: ending: cancelled\n", False, ""),
        (b"\x1b[31mred\x1b[0m\n\n  50 %\r100 %\r\n", False, "red\n100 %"),
        (b"", True, ""),
    ],
)
def test_the_last_words_are_the_jobs_own(log: bytes, own_error: bool, words: str) -> None:
    assert last_words(log, own_error=own_error) == words
