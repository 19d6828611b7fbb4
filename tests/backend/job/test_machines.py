"""Jobs on machines as they are: each works as far as it can, and says at its start what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.job.machines import BSD, NEEDED, Machine, can_be_made, job_on
from tests.waiting import until_sync

pytestmark = pytest.mark.skipif(not can_be_made(), reason="bubblewrap does not work here")

NO_PROC = "This machine has no /proc: no ports are listed, and forwarded ports and computing are no activity."
NO_HTTP = "The image has no curl, wget, python3 or node: heartbeats go through the job log"
MACHINES = [
    Machine("a read-only root"),
    Machine("busybox alone", ("busybox", "sh"), (*NEEDED, "stat", "ps"), notices=(NO_HTTP,)),
    Machine(
        "BSD", programs=(*NEEDED, "curl", "git", *BSD, "ps"), is_bsd=True, has_proc=False, notices=(NO_PROC,)
    ),
    Machine("no uptime", programs=(*NEEDED, "curl", "ps"), has_proc=False, notices=(NO_PROC,)),
    Machine("a user without a name", user=(1_000_620_000, 0)),
    Machine("POSIX and curl", programs=(*NEEDED, "curl")),
    Machine("IPv6 alone", has_ipv4=False),
]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_job_runs_sends_heartbeats_is_entered_and_ends(machine: Machine, tmp_path: Path) -> None:
    with job_on(machine, tmp_path, ["echo set up >~/done"]) as job:
        job.until_state("ready")
        if machine.sends_names:
            until_sync(lambda: {beat.state for beat in job.beats()} >= {"ready"}, 60.0, "a name")
            first = job.beats()[-1]
            until_sync(lambda: job.beats()[-1].seq >= first.seq + 2, 60.0, "more heartbeats")
            assert 1 <= job.beats()[-1].at - first.at <= 60
            assert int(job.beats()[-1].facts["active"]) <= job.beats()[-1].at
        else:
            count = len(job.running.messages("beat"))
            until_sync(lambda: job.log.count("wsdash/1 beat") >= count + 2, 60.0, "heartbeats in the log")
        assert job.enter("cat", str(job.base / "live/home/done")) == "set up\n"
        for notice in machine.notices:
            assert notice in job.log
        assert "not found" not in job.log and "rror" not in job.log, job.log
        assert job.stop() == 0
        assert (job.base / "run/state").read_text() == "cancelled\n"
        assert "wsdash: ending: cancelled" in job.log
        assert "not found" not in job.end()
        assert (job.base / "run/stored").read_text() == "1.1\n", "its state is in the cache"


@pytest.mark.slow
def test_a_job_whose_disk_fills_goes_on_and_says_so_until_there_is_room(tmp_path: Path) -> None:
    full = Machine("a full disk", disk=16 << 20)
    fill = ["dd if=/dev/zero of=$HOME/big bs=1M count=64", "sleep 6", "rm ~/big", "sleep 600"]
    with job_on(full, tmp_path, fill) as job:
        is_full = ("run", "unwritable")
        until_sync(
            lambda: is_full in job.beats()[-1].facts.items() if job.beats() else False, 60.0, "the word"
        )
        first = job.beats()[-1]
        until_sync(lambda: job.beats()[-1].seq >= first.seq + 2, 60.0, "heartbeats without a disk")
        until_sync(lambda: is_full not in job.beats()[-1].facts.items(), 60.0, "room")
        assert job.running.process.poll() is None


class TestGit:
    """What a project, a group or a runner has Git do stays in force beside what the job needs."""

    SHOW = "git config --get-regexp '^(http|safe|url|credential)\\.' >~/git; echo $GIT_CONFIG_COUNT >~/count"

    def settings(self, tmp_path: Path, **more: str) -> tuple[str, str]:
        with job_on(Machine("dash"), tmp_path, [self.SHOW], **more) as job:
            job.until_state("ready")
            home = job.base / "live/home"
            return (home / "git").read_text(), job.log

    def test_settings_of_others_are_kept(self, tmp_path: Path) -> None:
        own = {"GIT_CONFIG_KEY_0": "http.https://github.com.proxy", "GIT_CONFIG_VALUE_0": "http://proxy:3128"}
        own |= {"GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*", "GIT_CONFIG_COUNT": "2"}
        found, _ = self.settings(tmp_path, **own)
        assert "http.https://github.com.proxy http://proxy:3128\n" in found and "safe.directory *\n" in found
        assert ".insteadof git@" in found

    @pytest.mark.parametrize("count", ["3", "many", "-1", "99999"])
    def test_a_count_of_settings_that_are_not_there_breaks_no_git(self, tmp_path: Path, count: str) -> None:
        own = {"GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "GIT_CONFIG_COUNT": count}
        found, log = self.settings(tmp_path, **own)
        assert ".insteadof git@" in found
        assert ("GIT_CONFIG_COUNT is 3, but the setting 1 is not there" in log) is (count == "3")
        assert ("safe.directory *\n" in found) is (count == "3")

    def test_the_authority_of_gitlab_is_for_gitlab_alone(self, tmp_path: Path) -> None:
        authority = tmp_path / "ca.pem"
        authority.write_text("-")
        found, _ = self.settings(tmp_path, CI_SERVER_TLS_CA_FILE=str(authority))
        (line,) = [line for line in found.splitlines() if "sslcainfo" in line]
        assert line.startswith("http.http://127.0.0.1:") and line.endswith(str(authority))
        found, _ = self.settings(
            tmp_path / "again", CI_SERVER_TLS_CA_FILE=str(authority), GIT_SSL_CAINFO="/own.pem"
        )
        assert "sslcainfo" not in found
