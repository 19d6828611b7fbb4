"""Finds words and docstrings that wsdash's texts do not use, and names a correction (docs/contributing/style.md).

python -m scripts.words   # prints FILE:LINE for each one; exit code 1 if there is any
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHERE = (
    "wsdash/*.py",
    "wsdash/*.sh",
    "wsdash/*.md",
    "wsdash/*.tcss",
    "docs/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
QUOTES_THEM = "docs/contributing/style.md"
"""The style page, which has to name the words that it is about."""

INSTEAD: Mapping[str, str] = {
    "strangers": "unknown, unmanaged or foreign",
    "wish(es)?|wished": "desired state, command or request",
    "keepers?": "leader, holder",
    "entrances?": "tunnel",
    "losses": "unsupported fields, or unsaved work",
    "told": "reported, printed or known",
    "shuts? out": "revoke",
    "anew": "again, or the prefix re-",
    "mend(s|ed|ing)?": "fix or correct",
    "nowhere else": "unsaved",
    "foretell(s|ing)?|foretold": "predict or compute",
    "amid": "during",
    "nobody (can )?tells?": "not known",
    "whomever|whatsoever": "any",
    "of its own accord": "by itself",
    "as one would( wish)?": "as expected",
    "who looks": "the reader or caller",
    "lets? go": "release",
    "takes? the place": "replace",
    "to be had": "available",
    "for want of": "for lack of",
    "leans? on": "need or use",
    "come(s)? whole|came whole": "complete",
    "the (version|wsdash) before": "the previous version",
    "heretofore|hitherto|thereof|therein|whereof|wherein|whence|thence|lest": "plain words",
}
"""A regular expression for whole words, whatever their case, and the words to use instead."""
RIDDLE = re.compile(r'"""(?:What|Whose|How|Where|When|Which|Why|Who) ')
"""The beginning of a docstring that asks a question, where it should say what the thing is or does."""


def findings(text: str, instead: Mapping[str, str] = INSTEAD) -> Iterator[tuple[int, str, str]]:
    """Line number, word and what to write instead, for each word of the list in the text."""
    patterns = [(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), use) for words, use in instead.items()]
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, use in patterns:
            yield from ((number, found[0], use) for found in pattern.finditer(line))
        if found := RIDDLE.search(line):
            yield number, found[0], "what it is (a noun) or does (an imperative verb)"


def files() -> list[Path]:
    """The tracked files that are checked."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *WHERE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and name != QUOTES_THEM]


def main() -> int:
    """Print every finding. Returns the exit code: 1 for any finding, and for a list of files that is empty."""
    checked = files()
    count = 0
    for file in checked:
        for number, word, use in findings(file.read_text(encoding="utf-8")):
            print(f"{file.relative_to(ROOT)}:{number}: {word!r}; write: {use}")
            count += 1
    print(f"{len(checked)} files, {count} words to replace", file=sys.stderr)
    return 1 if count or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
