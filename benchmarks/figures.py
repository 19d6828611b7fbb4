"""A measured figure beside its baseline and its goal, all from one run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` and `baseline` in `unit`; `goal` is the largest value, or the largest ratio to the baseline."""

    name: str
    value: float
    unit: str
    goal: float
    baseline: float | None = None
    baseline_name: str = ""

    @property
    def measured(self) -> float:
        """The value that the goal is about: the ratio if there is a baseline."""
        return self.value if self.baseline is None else self.value / self.baseline

    @property
    def is_met(self) -> bool:
        return self.measured <= self.goal

    def line(self) -> str:
        text = f"{self.name}: {self.value:.4g} {self.unit}"
        if self.baseline is not None:
            text += (
                f", {self.measured:.2f} times {self.baseline_name} ({self.baseline:.4g} {self.unit});"
                f" goal at most {self.goal:g} times"
            )
        else:
            text += f"; goal at most {self.goal:g} {self.unit}"
        return f"{'met   ' if self.is_met else 'MISSED'} {text}"


def medians_in_turn(runs: int, *measures: Callable[[], float]) -> list[float]:
    """Run the measures one after the other, `runs` times over, so that a slow spell hits all of them alike."""
    for measure in measures:
        measure()
    values = [[measure() for measure in measures] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*values, strict=True)]
