"""Plain scalars have the value that the reference parser gives them, which is not always PyYAML's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.devfile.parse.scalars import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")),
        *((word, False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "OFF")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, word) for word in ("yEs", "tRUE", "nULL", "yes!", "None", "nil", "t", "f", "o")),
        ("1", 1),
        ("+1", 1),
        ("-0", 0),
        ("1_000", 1000),
        ("0x1F", 31),
        ("-0b101", -5),
        ("0o17", 15),
        ("0022", 18),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("08", 8.0),
        ("1e9", 1e9),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e999", "1e999"),
        ("9" * 500, "9" * 500),
        ("12:30", "12:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("=", "="),
        ("<<", "<<"),
        ("-", "-"),
        ("0x", "0x"),
        ("1.2.3", "1.2.3"),
        ("._5", "._5"),
        ("١", "١"),
    ],
)
def test_a_plain_scalar_has_the_reference_parsers_value(text: str, value: object) -> None:
    result = resolve(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan"])
def test_infinities_are_recognised_so_that_they_can_be_refused(text: str) -> None:
    value = resolve(text)
    assert isinstance(value, float)
    assert not math.isfinite(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_64_bits_is_read_as_itself(number: int) -> None:
    assert resolve(str(number)) == number
    assert resolve(hex(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read_as_itself(number: float) -> None:
    assert resolve(repr(number)) == number


@given(st.text())
def test_any_other_text_stays_as_it_is(text: str) -> None:
    value = resolve(text)
    assert not isinstance(value, str) or value == text
