"""Sessions in workspaces on a GitLab: their states, what they see of the job, and their return in the next job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.paths import Paths

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        SSHD is None or shutil.which("ssh") is None or shutil.which("tmux") is None,
        reason="OpenSSH or tmux is not installed",
    ),
]
AGENT = """
printf 'working\\n'
sleep 5
printf 'May I push? '
read -r answer
env >"$HOME/seen"
echo "you said $answer"
exec sleep 1000
"""
PROFILES = """
[helper]
start = "sh \\"$HOME/agent.sh\\" {prompt}"
resume = "echo resumed >\\"$HOME/resumed\\"; cat"
"""


@pytest.fixture
def work(tmp_path: Path, paths: Paths, leaves_nothing_running: None) -> Iterator[Work]:
    with working(tmp_path, paths, Runner) as found:
        found.paths.profiles_file.write_text(PROFILES)
        yield found


def states(work: Work) -> dict[str, str]:
    found = json.loads(work.run("session", "app", "list", "--json"))
    return {session["name"]: session["state"] for session in found}


def test_an_agent_waits_is_answered_sees_no_token_and_resumes_in_the_next_job(work: Work) -> None:
    work.create()
    work.run("ssh", "app", "--", "sh", "-c", f"cat >~/agent.sh <<'END'\n{AGENT}\nEND")
    work.run("session", "app", "start", "--profile", "helper", "--name", "one", "--prompt", "mend it")
    work.run("session", "app", "start", "--name", "two", "--", "sh", "-c", "sleep 1; exit 4")
    assert work.run("session", "app", "wait", "one", "--timeout", "60") == "waiting\n"
    assert work.run("session", "app", "wait", "two", "--timeout", "60", "--for", "failed") == "failed\n"
    assert states(work) == {"one": "waiting", "two": "failed"}
    work.run("session", "app", "send", "one", "yes")
    until_sync(
        lambda: "you said yes" in work.run("session", "app", "screen", "one"), PATIENCE_S, "the answer"
    )
    seen = work.run("ssh", "app", "--", "sh", "-c", "cat ~/seen")
    shell = work.run("ssh", "app", "--", "env")
    token = work.run("ssh", "app", "--", 'sed -n "s/^password=//p" "$WSDASH_RUN/job-token"').strip()
    assert len(token) > 10
    assert token not in seen and token not in shell
    assert "CI_PROJECT_PATH=" in seen and "CI_PIPELINE_ID=" in shell
    # Git has it all the same, in a session too.
    clone = 'git clone --quiet "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$HOME/again"'
    work.run("session", "app", "start", "--name", "clone", "--", "sh", "-c", clone)
    assert work.run("session", "app", "wait", "clone", "--timeout", "60", "--for", "done") == "done\n"

    work.run("restart", "app", "--wait")
    until_sync(
        lambda: states(work) == {"clone": "done", "one": "lost", "two": "failed"},
        PATIENCE_S,
        "the sessions to be lost",
    )
    work.run("session", "app", "start", "--name", "one")
    assert work.run("session", "app", "wait", "one", "--timeout", "60") == "waiting\n"
    assert work.run("ssh", "app", "--", "sh", "-c", "cat ~/resumed") == "resumed\n"
