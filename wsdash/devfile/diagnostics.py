"""Diagnostics of a document: the problem, its place, the remedy."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from wsdash.devfile.limits import MAX_DIAGNOSTICS

Severity = Literal["error", "warning", "info"]
Profile = Literal["lenient", "library", "gitlab"]

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks as YAML 1.1 counts them (section 4.2), so that our lines are the parser's lines."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One remark about a document. `line` and `column` count from 1; a column is one character.

    `file` names the parent that the place is in, None for the document itself. `code` is stable
    (`wsdash.devfile.codes` lists them all): test on it, never on the texts. `message` and `hint` are one line each,
    with control characters made visible.
    """

    line: int
    column: int
    severity: Severity
    code: str
    message: str
    hint: str = ""
    file: str | None = None


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sort diagnostics by their place in the text, the document itself before its parents."""
    return sorted(
        diagnostics, key=lambda d: (d.file or "", d.line, d.column, d.severity, d.code, d.message, d.hint)
    )


class DevfileError(Exception):
    """The document is unusable; `diagnostics` say why."""

    def __init__(self, diagnostics: Iterable[Diagnostic], file: str = "devfile.yaml") -> None:
        self.diagnostics = tuple(in_order(diagnostics))
        self.file = file
        first = next((d for d in self.diagnostics if d.severity == "error"), None)
        where = f"{first.file or file}:{first.line}:{first.column}: {first.message}" if first else file
        super().__init__(where)


class FetchError(Exception):
    """The text could not be fetched. The message names the failure and the address, `hint` the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the document can become a job, and every remark about it in the order of the text."""

    file: str
    verdict: Literal["accept", "reject"]
    diagnostics: tuple[Diagnostic, ...] = ()


def bounded(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by place, drop repeats, and cut at `MAX_DIAGNOSTICS`, keeping errors first."""
    unique = in_order(set(diagnostics))
    if len(unique) <= MAX_DIAGNOSTICS:
        return tuple(unique)
    by_weight = sorted(unique, key=lambda d: ("error", "warning", "info").index(d.severity))
    kept = in_order(by_weight[:MAX_DIAGNOSTICS])
    left_out = len(unique) - MAX_DIAGNOSTICS
    last = kept[-1]
    message = f"{left_out} more remarks are left out"
    return (*kept, replace(last, severity="error", code="schema.too-many-problems", message=message, hint=""))


def visible(text: str) -> str:
    """Return the text with every character that could move a cursor or reorder a line made visible."""
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


# Texts of others may be made to keep a pattern busy: each of these reads a text once, whatever it holds.
_WORD = re.compile(r"[^\s'\"]++")
_BEFORE_A_HOST = re.compile(r"(?<=://)([^/?#]+|(?=[^/?#:]*+:\d*+[^/?#\d]).*)(?=@)")
"""In a word up to its last `@`: the user and the password of an address."""
_SECRETS = tuple(
    map(
        re.compile,
        (
            # Before the host of an address without its scheme; the digest of an image is none.
            r"(?<![^\s'\"{,=/])[\w.+-]{1,80}:([^\s'\"/@]{1,200})(?=@(?!sha\d)\w)",
            # In its query or its parameters: by the name, or without a name.
            r"(?i)[?&;#](?:(?=[^\s'\"=&;#]*?(?:token|secret|pass|auth|cred|key|sig))[^\s'\"=&;#]*+=([^\s'\"&;#]++)"
            r"|[^\s'\"=&;#]++)",
            r"[?#]([\w-]{20,}+)(?![^\s'\"])",
            # Tokens as GitLab, GitHub and Atlassian make them, wherever they stand.
            r"(?<![A-Za-z0-9])((?:gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rtr?|soat|wt)-|gh[a-z]_|github_pat_"
            r"|AT[A-Z]TT|ATBB)[\w-]{16,}+)",
        ),
    )
)


def without_secrets(text: str) -> str:
    """Return the text with each character that may belong to a user, a password or a token of an address replaced by a
    star.

    All other characters keep their columns.
    """
    if "://" in text:
        text = _WORD.sub(_without_a_user, text)
    for pattern in _SECRETS:
        text = pattern.sub(_stars, text)
    return text


def _without_a_user(word: re.Match[str]) -> str:
    before, at, host = word[0].rpartition("@")
    return _BEFORE_A_HOST.sub(_stars, before + at) + host


def _stars(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    begin, end = (place - found.start() for place in found.span(1))
    return f"{found[0][:begin]}{'*' * (end - begin)}{found[0][end:]}"


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char


def show(value: object, limit: int = 60) -> str:
    """Return an untrusted value for a message: quoted, on one line, cut at `limit` characters."""
    text = without_secrets(value if isinstance(value, str) else str(value))
    return f'"{visible(text[:limit])}{"..." if len(text) > limit else ""}"'


def caret(text: str, diagnostic: Diagnostic, width: int = 100) -> str:
    """Return the diagnostic's source line, with a caret below its column. `text` is that of the diagnostic's
    file.

    At most `width` characters of a long line are shown. Returns "" where the text has no such line.
    """
    start = 0
    for _ in range(diagnostic.line - 1):
        found = LINE_BREAK.search(text, start)
        if not found:
            return ""
        start = found.end()
    end = found.start() if (found := LINE_BREAK.search(text, start)) else len(text)
    column = min(diagnostic.column - 1, end - start)
    first = max(0, column - width * 3 // 4) if end - start > width else 0
    line = without_secrets(text[start:end])
    cut = line[first : first + width].replace("\t", " ")
    before = visible(cut[: column - first])
    return f"{visible(cut)}\n{' ' * _cells(before)}^"


def _cells(text: str) -> int:
    """Return the width in terminal cells: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
