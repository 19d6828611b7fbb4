"""The job's own output in a log that GitLab Runner wrote, however its bytes arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.job.log_text import LogText
from wsdash.backend.job.runner_log import OwnOutput

ERASE = b"\r\x1b[0K"


def section(name: bytes, title: bytes, *lines: bytes) -> bytes:
    begin = b"section_start:1764515053:%s%s\x1b[0K\x1b[36;1m%s\x1b[0;m\n" % (name, ERASE, title)
    return begin + b"".join(line + b"\n" for line in lines) + b"section_end:1764515054:%s%s" % (name, ERASE)


BEFORE = (
    b"\x1b[0KRunning with gitlab-runner 19.4.0 (HEAD)\x1b[0;m\n",
    section(b"prepare_executor", b'Preparing the "docker" executor', b"Pulling docker image alpine ..."),
    section(b"restore_cache", b"Restoring cache", b"\x1b[0;33mFailed to extract cache\x1b[0;m"),
)
WORDS = b"wsdash: cloning\n\x1b[32;1mgreen is the job's\x1b[0;m\n  10 %\r 90 %\r100 %\nlast\n"
SCRIPT = section(
    b"step_script",
    b'Executing "step_script" stage of the job script',
    b"\x1b[0KUsing docker image sha256:1 for alpine with digest 2 ...\x1b[0;m",
    b"\x1b[32;1m$ cat >job.sh # collapsed multi-line command\x1b[0;m",
    b"\x1b[32;1m$ sh gitlab.sh start\x1b[0;m",
    WORDS[:-1],
)
AFTER = (
    section(
        b"after_script",
        b"Running after_script",
        b"\x1b[32;1mRunning after script...\x1b[0;m",
        b"\x1b[32;1m$ sh gitlab.sh after\x1b[0;m",
        b"wsdash: saved",
    ),
    section(b"archive_cache", b"Saving cache for failed job", b"\x1b[32;1mCreated cache\x1b[0;m"),
    b"\x1b[31;1mERROR: Job failed: execution took longer than 1h0m0s\n\x1b[0;m\n",
)
WHOLE = b"".join((*BEFORE, SCRIPT, *AFTER))
OWN = WORDS + b"wsdash: saved\nERROR: Job failed: execution took longer than 1h0m0s\n"


def stamped(log: bytes) -> bytes:
    """The same with FF_TIMESTAMPS: what follows a carriage return goes on in the next line of its stream."""
    out, goes_on = b"", False
    for line in log.splitlines(keepends=True):
        at = b"2026-11-30T15:04:13.212613Z 01O%s" % (b"+" if goes_on else b" ")
        out += at + line.rstrip(b"\n") + b"\n"
        goes_on = not line.endswith(b"\n")
    return out


def read(log: bytes, cuts: list[int], *, pauses: bool = False) -> bytes:
    text, out, start = LogText(), b"", 0
    for cut in [*sorted(cut % (len(log) + 1) for cut in cuts), len(log)]:
        out += text.feed(log[start:cut])
        if pauses and log[cut - 1 : cut] == b"\n":
            out += text.rest()
        start = cut
    return out + text.rest(ended=True)


cuts = st.lists(st.integers(0, 5000), max_size=12)


@given(cuts=cuts)
def test_only_what_the_job_wrote_and_why_it_failed_is_left(cuts: list[int]) -> None:
    assert read(WHOLE, cuts) == OWN


@given(cuts=cuts)
def test_a_runner_that_stamps_its_lines_changes_nothing(cuts: list[int]) -> None:
    assert read(stamped(WHOLE), cuts) == OWN


@given(cuts=cuts)
def test_who_waits_sees_what_prepares_the_job(cuts: list[int]) -> None:
    shown = read(WHOLE, cuts, pauses=True)
    assert shown.endswith(OWN)
    early = LogText()
    assert b"Pulling docker image" in early.feed(BEFORE[0] + BEFORE[1]) + early.rest()


def test_a_job_whose_script_never_began_has_the_runners_words() -> None:
    failed = b"".join(BEFORE) + b"\x1b[31;1mERROR: Job failed: failed to pull image\x1b[0;m\n"
    assert b"Failed to extract cache" in read(failed, [])
    assert read(failed, []).endswith(b"ERROR: Job failed: failed to pull image\x1b[0;m\n")


@given(log=st.lists(st.sampled_from([SCRIPT, *AFTER, *BEFORE, b"x\n", b"y"]), max_size=6), cuts=cuts)
def test_a_job_on_no_runner_keeps_what_looks_like_a_runners_output(log: list[bytes], cuts: list[int]) -> None:
    own = OwnOutput()
    text = b"mine\n" + b"".join(log)
    out, start = b"", 0
    for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        out += own.feed(text[start:cut])
        start = cut
    for name in (b"step_script", b"prepare_executor"):
        own.enter(name)
        out += own.leave(name)
    assert out + own.rest() == text


def test_a_log_that_its_runner_has_cut_ends_without_a_part_of_a_stamp() -> None:
    log = (
        b"2026-11-30T15:04:13.000001Z 01O line\n2026-11-30T15:04:\nJob's log exceeded limit of 65536 bytes.\n"
    )
    assert read(log, []) == b"line\nJob's log exceeded limit of 65536 bytes.\n"
    plain = b"line\n2026-11-30T15:04:\n"
    assert read(plain, []) == plain


def test_what_two_streams_write_is_not_joined() -> None:
    lines = (
        b"2026-11-30T15:04:13.000001Z 01O 10 %\r\n",
        b"2026-11-30T15:04:13.000002Z 01E a warning\n",
        b"2026-11-30T15:04:13.000003Z 01O+100 %\n",
    )
    assert read(b"".join(lines), []) == b"10 %\r\na warning\n100 %\n"
