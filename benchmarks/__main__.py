"""Measure what the project claims: `python -m benchmarks [NAME...]`, all of `NAMES` where none is named.

Every figure is printed with its goal, and where the goal is a ratio with the baseline of the same run.
The exit code is 1 when a goal was missed.
"""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("startup", "recovery", "resting", "gitlab", "devfiles", "access", "checkpoints")


def main(names: list[str]) -> int:
    missed = 0
    for name in names or NAMES:
        if name not in NAMES:
            print(f"no benchmark {name}; there are {', '.join(NAMES)}", file=sys.stderr)
            return 2
        for figure in import_module(f"benchmarks.{name}").measure():
            print(figure.line(), flush=True)
            missed += not figure.is_met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
