"""Parses text or bytes of a devfile to a tree; detects the encoding, checks the size, chooses YAML or JSON."""

from __future__ import annotations

import codecs
import re

from wsdash.devfile.diagnostics import LINE_BREAK, DevfileError, Diagnostic
from wsdash.devfile.limits import MAX_BYTES
from wsdash.devfile.parse.tree import START, Mark, Tree, diagnostic

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that YAML 1.1 section 4.1.1 does not allow in a stream, including lone surrogates."""


def decode(data: str | bytes) -> str:
    """Return the text without a byte order mark. Raises `DevfileError` for its size, encoding or control
    characters.
    """
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the file has {size} bytes, more than the {MAX_BYTES} that a devfile may have"
        raise DevfileError([diagnostic("text.too-large", START, message)])
    text = data if isinstance(data, str) else _text(data)
    text = text.removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        name = f"U+{ord(found[0]):04X}"
        message = f"the control character {name} is not allowed in a devfile"
        hint = f'write it as an escape in double quotes, "\\u{ord(found[0]):04x}", if it is meant'
        raise DevfileError([diagnostic("text.control-character", _mark(text, found.start()), message, hint)])
    return text


def _text(data: bytes) -> str:
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-16" if utf16 else "utf-8", "replace")
        mark = _mark(before, len(before))
        message = f"the file is not {'UTF-16' if utf16 else 'UTF-8'} text: {error.reason}"
        raise DevfileError([diagnostic("text.encoding", mark, message, "save the file as UTF-8")]) from None


def _mark(text: str, at: int) -> Mark:
    start, line = 0, 1
    for found in LINE_BREAK.finditer(text, 0, at):
        start, line = found.end(), line + 1
    return Mark(line, at - start + 1)


def read(text: str) -> tuple[Tree, list[Diagnostic]]:
    """Return the tree of a decoded text, and diagnostics of problems that did not prevent reading.

    Raises `DevfileError` where nothing can be read.
    """
    if text.lstrip().startswith("{"):
        from wsdash.devfile.parse.json_reader import read_json

        return read_json(text)
    from wsdash.devfile.parse.yaml_reader import read_yaml

    tree, diagnostics = read_yaml(text)
    if tree is None or tree.root is None:
        message = "the file is empty"
        hint = "a devfile begins with its schemaVersion, for example: schemaVersion: 2.2.0"
        raise DevfileError([*diagnostics, diagnostic("text.empty", START, message, hint)])
    return tree, diagnostics
