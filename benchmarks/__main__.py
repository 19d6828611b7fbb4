"""Measure what the project claims: `python -m benchmarks [--smoke] [NAME...]`, all of them where none is named.

Every module of this package that has a function `measure` is a benchmark. It has two sizes, `FULL` and `SMOKE`.
A smoke run takes seconds and shows that the benchmark still works: its figures say nothing.

Every figure is printed with its goal, and where the goal is a ratio with the baseline of the same run.
The exit code is 1 when a goal was missed, which a smoke run does not look at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path


def names() -> list[str]:
    """The benchmarks' names. Their modules are read and not imported, which takes a second."""
    modules = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return [module.stem for module in modules if "\ndef measure(" in module.read_text()]


def main(argv: Sequence[str]) -> int:
    there = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--smoke", action="store_true", help="small sizes; goals are not looked at")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(there))
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in there]
    if unknown:
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(there)}")
    missed = 0
    for name in options.names or there:
        module = import_module(f"benchmarks.{name}")
        for figure in module.measure(module.SMOKE if options.smoke else module.FULL):
            print(f"smoke  {figure.name}" if options.smoke else figure.line(), flush=True)
            missed += not figure.is_met
    return 1 if missed and not options.smoke else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
