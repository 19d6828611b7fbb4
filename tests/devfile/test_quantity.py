"""Kubernetes quantities."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.devfile import format_quantity, parse_quantity
from wsdash.devfile.quantity import bytes_of, cores_of

UNITS = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
    "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512Mi", 512 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("500M", 500 * 10**6),
        ("134217728", 2**27),
        ("1e9", 10**9),
        ("1E3", 1000),
        ("1E", 10**18),
        ("500m", Fraction(1, 2)),
        ("+1Gi", 2**30),
        ("0", 0),
        ("-1", -1),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("100u", Fraction(1, 10**4)),
        ("1e-3", Fraction(1, 1000)),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "512MB",
        "512mb",
        "1gi",
        "64ki",
        "1 Gi",
        " 1",
        "1\n",
        "1,5Gi",
        "lots",
        "Gi",
        ".",
        "1e",
        "0x10",
        "1Kii",
        "١",
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


def test_a_huge_exponent_is_refused_instead_of_computed() -> None:
    with pytest.raises(ValueError, match="exponent"):
        parse_quantity("1e999999999")
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity("9" * 10_000)


def test_memory_is_in_whole_bytes_and_cpu_in_cores() -> None:
    assert bytes_of("1.5") == 2
    assert cores_of("250m") == 0.25


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_number_and_unit_are_multiplied(number: int, unit: str) -> None:
    assert parse_quantity(f"{number}{unit}") == number * UNITS[unit]


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(UNITS)))
def test_what_is_formatted_reads_as_the_same_value(number: int, unit: str) -> None:
    value = number * UNITS[unit]
    assert parse_quantity(format_quantity(value)) == value


@given(st.integers(1, 1023), st.sampled_from(["Ki", "Mi", "Gi", "Ti"]))
def test_binary_sizes_are_formatted_as_people_write_them(number: int, unit: str) -> None:
    assert format_quantity(number * UNITS[unit]) == f"{number}{unit}"
