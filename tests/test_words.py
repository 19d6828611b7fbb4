"""The word list finds what it is for, and looks at every text that a user or a contributor reads."""

from __future__ import annotations

import pytest

from scripts import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("No wish is forgotten.", ["wish"]),
        ("Wishes, and what the relay was told.", ["Wishes", "told"]),
        ("The desired state is written first.", []),
        ("Losses and lossless copies", ["Losses"]),
    ],
)
def test_whole_words_are_found_in_any_case(text: str, found: list[str]) -> None:
    assert sorted(word for _, word, _ in words.findings(text)) == sorted(found)


def test_a_finding_has_its_line_and_a_replacement() -> None:
    assert list(words.findings("one\ntold", {"told": "reported"})) == [(2, "told", "reported")]


@pytest.mark.parametrize("first", ["What", "Whose", "How", "Where", "When", "Which", "Why", "Who"])
def test_a_docstring_that_begins_with_a_question_is_found(first: str) -> None:
    assert [line for line, _, _ in words.findings(f'text = ""\n"""{first} it is."""\n')] == [2]


def test_a_docstring_that_states_is_not_found() -> None:
    assert not list(words.findings('"""Whether it exists."""\n"""Return the name, whatever it is."""\n'))


def test_code_job_scripts_and_pages_are_looked_at() -> None:
    names = {str(file.relative_to(words.ROOT)) for file in words.files()}
    assert {"wsdash/cli.py", "wsdash/backend/job/sh/bin/job.sh", "docs/gitlab.md", "README.md"} <= names


def test_no_text_uses_a_word_of_the_list() -> None:
    assert words.main() == 0
