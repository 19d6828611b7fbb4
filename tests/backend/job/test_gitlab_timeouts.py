"""A job on GitLab ends by itself before the earliest limit that it can know."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from tests.backend.job.conftest import SHELLS
from tests.backend.job.scripts import HERE

SCRIPT = HERE / "gitlab_timeouts.sh"


def ask(shell: tuple[str, ...], line: str, **env: object) -> list[str]:
    script = f". {HERE}/common.sh; . {SCRIPT}; say() {{ :; }}; {line}"
    settings = {name: str(value) for name, value in env.items()}
    done = subprocess.run(
        [*shell, "-c", script],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def deadline(shell: tuple[str, ...], **env: object) -> tuple[int, int]:
    """Seconds of running, and of the last checkpoint."""
    end, save = ask(shell, 'set_limits; echo "$WSDASH_DEADLINE" "$WSDASH_SAVE_S"', **env)
    return int(end), int(save)


def started(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


def test_the_runner_s_own_limit_counts_where_it_is_earlier_than_the_context_s(shell: tuple[str, ...]) -> None:
    context = {"WSDASH_DEADLINE": 2880, "WSDASH_SAVE_S": 60}
    assert deadline(shell, **context) == (2880, 60)
    assert deadline(shell, CI_JOB_TIMEOUT=36_000, **context) == (2880, 60)
    # A twentieth each for what came before, preStop, after_script and the upload of the cache.
    assert deadline(shell, CI_JOB_TIMEOUT=600, **context) == (480, 15)


@pytest.mark.parametrize(
    ("seconds_ago", "expected"),
    [(200, 310), (-600, 480), (100_000, 210)],
    ids=["images took long", "a clock that is behind", "a clock that is days ahead"],
)
def test_what_came_before_the_script_counts_as_far_as_the_clocks_can_be_right(
    shell: tuple[str, ...], seconds_ago: float, expected: int
) -> None:
    found, _ = deadline(
        shell, WSDASH_DEADLINE=2880, CI_JOB_TIMEOUT=600, CI_JOB_STARTED_AT=started(seconds_ago)
    )
    assert expected - 60 <= found <= expected  # this test may be slow


@pytest.mark.parametrize("nonsense", ["", "soon", "-1", "99999999999999999999"])
def test_a_limit_that_is_none_changes_nothing(shell: tuple[str, ...], nonsense: str) -> None:
    (found,) = ask(
        shell, 'set_limits; echo "$WSDASH_DEADLINE"', WSDASH_DEADLINE=2880, CI_JOB_TIMEOUT=nonsense
    )
    assert found == "2880"


def test_what_restoring_and_fetching_took_is_no_time_to_run(shell: tuple[str, ...]) -> None:
    line = 'set_limits; limits_from=$((limits_from - 100)); deduct_elapsed; echo "$WSDASH_DEADLINE"'
    (found,) = ask(shell, line, WSDASH_DEADLINE=2880)
    assert 2700 <= int(found) <= 2780
    (found,) = ask(shell, line, WSDASH_DEADLINE=50)
    assert found == "1"


@pytest.mark.parametrize(
    "instant",
    ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2026-08-09T08:09:08Z", "2100-03-01T00:00:00.123Z"],
)
def test_instants_are_read_without_the_image_s_date(shell: tuple[str, ...], instant: str) -> None:
    expected = datetime.fromisoformat(instant).timestamp()
    assert ask(shell, f"PATH=; seconds_of {instant}") == [str(int(expected))]


def test_what_is_no_instant_is_refused(shell: tuple[str, ...]) -> None:
    for text in ("", "yesterday", "2026-08-09", "$(id)T00:00:00Z"):
        assert ask(shell, f"seconds_of '{text}' || echo none") == ["none"]
