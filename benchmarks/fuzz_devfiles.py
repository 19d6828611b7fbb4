"""Looks for a text that breaks what reads devfiles: `python -m benchmarks.fuzz_devfiles --minutes 10`.

The same properties as in the tests, on many more examples. It stops at the first one that fails, and prints it.
"""

from __future__ import annotations

import argparse
import time

from hypothesis import HealthCheck, Phase, given, settings

from tests.devfile import hostile


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--examples", type=int, default=2_000, help="of each property, in each round")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    count = 0
    while count == 0 or time.monotonic() < end:
        for examples, holds in hostile.PROPERTIES:
            found = settings(
                max_examples=options.examples,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )(given(examples)(holds))
            found()
            count += options.examples
        print(f"{count} texts, none of which breaks anything", flush=True)


if __name__ == "__main__":
    main()
