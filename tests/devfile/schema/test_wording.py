"""Messages name an element and a value."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile, remarks
from wsdash.devfile.parse.reader import read
from wsdash.devfile.parse.tree import Array, KeyPath, Object, Value
from wsdash.devfile.schema.wording import describe, kind_of


def test_messages_name_the_element() -> None:
    [found] = remarks(devfile(container="endpoints: [{name: web, targetPort: x}]"))
    assert found.message == 'targetPort of endpoint "web" must be an integer, not the string "x"'


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((), "the devfile"),
        (("components", 0), 'component "dev"'),
        (("components", 0, "container", "env", 0), 'environment variable "A"'),
        (("components", 0, "container", "args", 1), "item of args 2"),
        (("components", 0, "container"), "container"),
    ],
)
def test_an_element_is_called_by_its_name_or_its_number(path: KeyPath, words: str) -> None:
    tree, _ = read(devfile(container="env: [{name: A, value: b}]\nargs: [x, z]"))
    assert describe(path, tree.get(path)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing (null)"),
        (True, "the boolean true"),
        (3, "the number 3"),
        (1.50, "the number 1.5"),
        ("3", 'the string "3"'),
        (Array(), "a list"),
        (Object(), "a mapping"),
    ],
)
def test_a_value_is_called_by_its_type(value: Value, words: str) -> None:
    assert kind_of(value) == words
