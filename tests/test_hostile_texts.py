"""Texts that others make are read once: none keeps what hides secrets, or reads logs, busy for long.

A pattern that may begin at each of many places, and looks on to the end from each, would need hours for a megabyte.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

import pytest

from wsdash.backend.clone_address import BadAddress, redacted, shown, split
from wsdash.backend.git.hide_secrets import SecretHider
from wsdash.backend.git.source import cause
from wsdash.backend.job.log_text import LogText, last_words
from wsdash.backend.operations.support import Redactor
from wsdash.backend.providers.gitlab.observe import job_log
from wsdash.devfile.diagnostics import show
from wsdash.sanitize import printable

pytestmark = pytest.mark.slow

LENGTH = 60_000
MOST_S = 10.0

PIECES = (
    "a", "-", ".", ",", "?", "#", "&", ":", "@", "[", "{", "://", "a:", ":a", "a@", "a:b@", "http://", "https://a,",
    "?token", "&token", "token", "token=", "token ", "token='", "glpat-", "github_pat_", "://a:b", "://a:b/", "://@",
    "${A", "$(", "{{a", "bearer ", "\x1b[", "\x1b]", "\x1b ", "\r", "\n",
    "section_start:1:", "section_start:1:[", "section_start:1:script", "section_start:1:script\r\x1b[0K",
    "wsdash/1 beat ", "wsdash/1 step {",
)  # fmt: skip
AROUND = (("", ""), ("x http://host/?", "="), ("http://", "@host"), ("", "\rx"), ("", "\r"), ("", " ://"))


def _split(text: str) -> None:
    with contextlib.suppress(BadAddress):
        split(text)


def _feed(text: str) -> None:
    log = LogText()
    for start in range(0, len(text), 65536):
        log.feed(text[start : start + 65536].encode())
    log.rest(ended=True)


READERS: dict[str, Callable[[str], object]] = {
    "redacted": redacted,
    "shown": shown,
    "split": _split,
    "SecretHider": lambda text: SecretHider().of_devfile({"a": text, "remotes": {"origin": text}}),
    "Redactor": Redactor(["hunter2hunter2"]),
    "show": show,
    "cause": cause,
    "printable": printable,
    "LogText": _feed,
    "last_words": lambda text: last_words(text.encode()),
    "job_log": lambda text: job_log.read(text.encode()),
}


class _TooLong(Exception):
    pass


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `_TooLong` in the block after this time: `re` looks for signals as it goes."""

    def stop(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("reader", READERS)
def test_any_text_is_read_in_bounded_time(reader: str) -> None:
    for piece in PIECES:
        for begin, end in AROUND:
            text = begin + piece * (LENGTH // len(piece)) + end
            try:
                with _limit(MOST_S):
                    READERS[reader](text)
            except _TooLong:
                pytest.fail(f"{begin!r}, {len(text)} characters of {piece!r}, {end!r}")
