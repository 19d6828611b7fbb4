"""A lack of memory is what the job's cgroup counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.backend.providers.local.supervisor.memory import OomKills


@pytest.mark.parametrize(
    ("name", "own", "text"),
    [
        ("user.slice/memory.events", "0::/user.slice\n", "low 0\noom 3\noom_kill {}\n"),
        ("memory.events", "0::/outside/of/the/container\n", "oom_kill {}\n"),
        (
            "memory/a/memory.oom_control",
            "9:cpu:/x\n4:memory,hugetlb:/a\n0::/init\n",
            "under_oom 0\noom_kill {}\n",
        ),
        ("unified/x/memory.events", "0::/x\n", "oom_kill {}\n"),
    ],
)
def test_a_lack_of_memory_is_what_the_cgroup_counts(tmp_path: Path, name: str, own: str, text: str) -> None:
    counter = tmp_path / "cgroup" / name
    counter.parent.mkdir(parents=True)
    counter.write_text(text.format(7))
    (tmp_path / "own").write_text(own)
    kills = OomKills(tmp_path / "cgroup", tmp_path / "own")
    assert not kills.has_grown()
    counter.write_text(text.format(8))
    assert kills.has_grown()
    kills.begin()
    assert not kills.has_grown()


def test_without_a_cgroup_that_counts_nothing_is_called_a_lack_of_memory(tmp_path: Path) -> None:
    assert not OomKills(tmp_path / "nowhere", tmp_path / "none").has_grown()
