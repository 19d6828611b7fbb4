"""The values that settings of config.toml accept, and the words for those that they do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsdash.config import values
from wsdash.config.values import WrongValue


@pytest.mark.parametrize(
    ("check", "given", "value"),
    [
        (values.flag, True, True),
        (values.number, 1, 1.0),
        (values.number, 0.5, 0.5),
        (values.count, 1, 1),
        (values.numbers, [1, 2.5], (1.0, 2.5)),
        (values.texts, ["a", "b"], ("a", "b")),
        (values.placement, "own", "own"),
        (values.url, "https://gitlab.example.com/", "https://gitlab.example.com"),
        (values.url, "http://[::1]:8080/gitlab", "http://[::1]:8080/gitlab"),
        (values.home_files, [".bash_history", "a/.b"], (".bash_history", "a/.b")),
        (values.process_names, ["make", "x" * 15], ("make", "x" * 15)),
        (values.volume, "/srv/wsdash.d", "/srv/wsdash.d"),
    ],
)
def test_a_value_that_is_right_is_taken(
    check: Callable[[object], object], given: object, value: object
) -> None:
    assert check(given) == value


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (values.flag, [0, 1, "true", None]),
        (values.text, ["", "a\nb", "\x1b[2J", 1]),
        (values.number, [0, -1, float("inf"), float("nan"), True, "1"]),
        (values.count, [0, 1.0, True, "1"]),
        (values.numbers, [[0], 1, "12", [True]]),
        (values.texts, ["a", [1], [""]]),
        (values.placement, ["", "Source", 1]),
        (
            values.url,
            [
                "gitlab.example.com",
                "ftp://host",
                "https://",
                "https://user@host",
                "https://user:secret@host",
                "https://host?private_token=x",
                "https://host#x",
                "https://host:0",
                "https://host:99999",
                "https://[::1",
                1,
            ],
        ),
        (values.home_files, [["/etc/passwd"], ["../x"], ["a/../../x"], ".bashrc"]),
        (values.process_names, [["x" * 16], ["a b"], "make"]),
        (values.volume, ["srv", "/", "/a/", "/a//b", "/a b", "/../x", "/a/$HOME", "/.hidden"]),
        (values.table, [[], "x", 1]),
    ],
)
def test_a_value_that_is_wrong_is_refused_with_what_is_accepted(
    check: Callable[[object], object], wrong: list[object]
) -> None:
    for value in wrong:
        with pytest.raises(WrongValue) as refused:
            check(value)
        assert str(refused.value), value
