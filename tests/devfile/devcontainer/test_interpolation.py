"""Variables of compose files, and files of variables."""

from __future__ import annotations

import pytest

from wsdash.devfile.devcontainer.interpolation import dotenv, interpolate


@pytest.mark.parametrize(
    ("text", "value", "missing"),
    [
        ("$A ${A}", "1 1", []),
        ("${B:-x} ${B-x} ${EMPTY:-x} ${EMPTY-x}", "x x x ", []),
        ("${A:+set}${B:+set}", "set", []),
        ("$$A", "$A", []),
        ("${B}", "", ["B"]),
        ("100$ ${", "100$ ${", []),
    ],
)
def test_variables_are_replaced_as_compose_does(text: str, value: str, missing: list[str]) -> None:
    assert interpolate(text, {"A": "1", "EMPTY": ""}) == (value, missing)


def test_a_dotenv_file_has_one_variable_a_line() -> None:
    text = b"# c\nexport A=1\nB = 'two words'\nC=\"x#y\"\nD=v # why\nnonsense\n\xff=1\n"
    assert dotenv(text) == {"A": "1", "B": "two words", "C": "x#y", "D": "v"}
