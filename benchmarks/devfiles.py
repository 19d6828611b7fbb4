"""Devfiles read, checked, flattened and translated, against reading their YAML alone; and memory over many.

The files are those of the folder that WSDASH_BENCH_DEVFILES names, else some that are made up here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.figures import Figure, medians_in_turn
from wsdash.devfile import DevfileError, check, flatten, load, translate


@dataclass(frozen=True)
class Sizes:
    runs: int
    few: int
    many: int


FULL = Sizes(runs=7, few=1_000, many=10_000)
SMOKE = Sizes(runs=1, few=10, many=20)


def measure(sizes: Sizes) -> list[Figure]:
    """The ratio of CPU times, and how much more memory ten times as many files take."""
    files = _files()

    def ours() -> float:
        return _cpu_time(lambda text: _all(text), files)

    def yaml_alone() -> float:
        return _cpu_time(lambda text: yaml.load(text, Loader=yaml.CSafeLoader), files)

    whole, floor = medians_in_turn(sizes.runs, ours, yaml_alone)
    print(f"       {len(files) / whole:.0f} devfiles a second, {len(files)} files")
    return [
        Figure(
            "load, check, flatten and translate devfiles",
            whole / len(files) * 1000,
            "ms a file",
            3.0,
            floor / len(files) * 1000,
            "yaml.load with the C loader",
        ),
        _memory(files, sizes),
    ]


def _memory(files: list[str], of: Sizes) -> Figure:
    sizes = []
    for count in (of.few, of.many):
        for number in range(count):
            _all(files[number % len(files)])
        sizes.append(_resident())
    name = f"resident memory after {of.many} more files"
    return Figure(name, sizes[1], "MB", 1.05, sizes[0], f"after {of.few}")


def _all(text: str) -> None:
    with contextlib.suppress(DevfileError):
        flat = flatten(load(text), read_parent=lambda _: None)
        check(flat)
        translate(flat)


def _cpu_time(read: Callable[[str], object], files: list[str]) -> float:
    before = time.process_time()
    for text in files:
        with contextlib.suppress(yaml.YAMLError):
            read(text)
    return time.process_time() - before


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _files() -> list[str]:
    folder = os.environ.get("WSDASH_BENCH_DEVFILES")
    if folder:
        return [path.read_text() for path in sorted(Path(folder).rglob("*.yaml"))]
    return [_typical(number) for number in range(50)]


def _typical(number: int) -> str:
    """One container, endpoints, four commands with their groups: what most repositories have."""
    commands = "\n".join(
        f"- id: {kind}\n  exec:\n    component: tools\n    commandLine: make {kind} N={number}\n"
        f"    workingDir: ${{PROJECT_SOURCE}}\n    group:\n      kind: {kind}\n      isDefault: true"
        for kind in ("build", "run", "test", "debug")
    )
    return f"""schemaVersion: 2.2.0
metadata:
  name: example-{number}
  version: 1.0.0
  language: go
starterProjects:
- name: example
  git:
    remotes:
      origin: https://git.example/example-{number}.git
components:
- name: tools
  container:
    image: registry.example/tools:{number}
    memoryLimit: 1Gi
    mountSources: true
    env:
    - name: MODE
      value: "{number}"
    endpoints:
    - name: http
      targetPort: 8080
    volumeMounts:
    - name: cache
      path: /home/user/.cache
- name: cache
  volume:
    size: 1Gi
commands:
{commands}
events:
  postStart: [build]
"""
