"""Kubernetes resource quantities, such as `512Mi`, `500m` and `1e9`.

Source: devfile section 2.2.0 (memoryLimit, cpuLimit, volume.size) names the Kubernetes notation; the syntax is
that of k8s.io/apimachinery, pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[-+]?[0-9]+))?"
)
_FACTORS: dict[str, Fraction] = {
    "": Fraction(1),
    **{s: Fraction(1, 1000**i) for i, s in enumerate("mun", 1)},
    **{s: Fraction(1000**i) for i, s in enumerate("kMGTPE", 1)},
    **{f"{s}i": Fraction(1024**i) for i, s in enumerate("KMGTPE", 1)},
}
_LONGEST = 64
_LARGEST_EXPONENT = 64
"""Far beyond any machine, but small enough to compute with."""

EXAMPLES = "write it as, for example, 512Mi, 2Gi or 1500M"
CPU_EXAMPLES = "write it as, for example, 500m, 0.5 or 2"


def parse_quantity(text: str) -> Fraction:
    """Return the exact value. Raises `ValueError` if the text is not a quantity.

    >>> parse_quantity("1.5Gi"), parse_quantity("500m"), parse_quantity("1e3")
    (Fraction(1610612736, 1), Fraction(1, 2), Fraction(1000, 1))
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        raise ValueError(
            "it is not a quantity: a number, optionally with a unit such as m, k, M, G, Ki, Mi, Gi"
        )
    number = Fraction(found["number"].rstrip("."))
    exponent = int(found["exponent"] or 0)
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError(f"its exponent is larger than {_LARGEST_EXPONENT}")
    power = Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)
    return number * _FACTORS[found["suffix"] or ""] * power


def format_quantity(value: Fraction) -> str:
    """Return the shortest exact notation: binary units where they divide evenly, else decimal ones.

    Values finer than a billionth are rounded up to one, as Kubernetes does.
    """
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "k", "", "m", "u"):
        scaled = value / _FACTORS[suffix]
        if scaled.denominator == 1 and (scaled or suffix == ""):
            return f"{scaled.numerator}{suffix}"
    return f"{math.ceil(value / _FACTORS['n'])}n"


def bytes_of(text: str) -> int:
    """Return a memory or volume size in whole bytes, rounded up. Raises `ValueError` as `parse_quantity` does."""
    return math.ceil(parse_quantity(text))


def cores_of(text: str) -> float:
    """Return a CPU quantity in cores. Raises `ValueError` as `parse_quantity` does."""
    return float(parse_quantity(text))
