"""A workspace is entered as the user that its job runs as, whatever the user's own name is on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD, ConnectedJob, Running
from tests.backend.access.test_job_script import Job, ssh_into
from tests.ordinary_users import START_UP_FILES, as_user, change_users
from tests.waiting import until_sync
from wsdash.backend.access.keys import make_keys
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.files import renew, write_stanza

SOMEBODY = f"wsdash-{os.getpid()}"
OF_ITS_OWN = ("sh", "-c", 'WSDASH_JOB_PID=$$; export WSDASH_JOB_PID; "$@"', "sh")
"""The job's main process is of the same user, so that signals reach it."""
needs_users = pytest.mark.skipif(
    os.geteuid() != 0 or SSHD is None or not all(map(shutil.which, ("useradd", "userdel", "runuser"))),
    reason="another user needs root, useradd and sshd",
)


@pytest.fixture
def somebody() -> Iterator[str]:
    """An ordinary user of this machine, with a home."""
    change_users("useradd", "-m", SOMEBODY)
    try:
        look = [*as_user(SOMEBODY), sys.executable, "-c", "import wsdash.backend.access.relay"]
        done = subprocess.run(look, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"another user cannot run wsdash here: {done.stderr[-200:]}")
        yield SOMEBODY
    finally:
        subprocess.run(["pkill", "-KILL", "-u", SOMEBODY], check=False)
        change_users("userdel", "-r", "-f", SOMEBODY)


@pytest.fixture
def home(somebody: str) -> Path:
    return Path(pwd.getpwnam(somebody).pw_dir)


@pytest.fixture
def theirs(somebody: str, home: Path) -> Iterator[Running]:
    """Their relay, which runs as they do."""
    folder = AccessFolder(home / "with a blank/access")
    make_keys(folder)
    folder.log.touch()
    subprocess.run(["chown", "-R", f"{somebody}:", home, folder.sockets], check=True)
    running = Running(folder, within=as_user(somebody))
    running.start()
    yield running
    os.kill(running.pid, signal.SIGTERM)
    running.close()
    shutil.rmtree(folder.sockets, ignore_errors=True)


def run_as(user: str, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [*as_user(user), *argv]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, cwd="/"
    )


@needs_users
def test_an_ordinary_user_enters_a_job_that_runs_as_root(
    theirs: Running, somebody: str, home: Path, tmp_path: Path
) -> None:
    job = Job(theirs, tmp_path / "job", name="web")
    job.folder.mkdir()
    give = ("sh", "-c", f'chown -R {somebody}: "$1" && shift && exec "$@"', "sh", str(home))
    try:
        job.open_tunnel(*give)
        ssh = ssh_into(theirs, tmp_path)
        until_sync(lambda: ssh.relay_client.is_connected("w1"), timeout=60, what="the tunnel")
        done = run_as(somebody, ssh.relay_client.ssh("w1", "web", ("id", "-un")))
        assert (done.stdout, done.returncode) == ("root\n", 0), done.stderr
        write_stanza(theirs.folder)
        renew(theirs.folder)
        own = home / "ssh_config"
        own.write_text(
            f'Include "{theirs.folder.ssh_config}"\nHost *\n    User deploy\n    ForwardAgent yes\n'
        )
        subprocess.run(["chown", "-R", f"{somebody}:", home], check=True)
        done = run_as(somebody, ("ssh", "-F", str(own), "-o", "ControlPath=none", "web.wsdash", "id", "-un"))
        assert (done.stdout, done.returncode) == ("root\n", 0), done.stderr
    finally:
        job.close()


@needs_users
def test_root_enters_a_job_that_runs_as_an_ordinary_user(relay: Running, somebody: str, home: Path) -> None:
    folder = home / "job"
    job = Job(relay, folder, name="web")
    folder.mkdir()
    script = f'chown -R {somebody}: "$1" && shift && exec runuser -u {somebody} -- "$@"'
    try:
        job.open_tunnel("sh", "-c", script, "sh", str(folder), *OF_ITS_OWN)
        done = ssh_into(relay, folder)("id", "-un")
        assert (done.stdout, done.returncode) == (f"{somebody}\n", 0), (done.stderr, job.said)
    finally:
        job.close()


LOGIN_SHELLS = ("bash", "zsh", "fish", "dash", "tcsh", "busybox sh")
HOSTILE = {
    "speak and never end": "echo Welcome, the quota is 3 GB\nsleep 3600\n",
    "become another program": "exec /bin/false\n",
    "leave": "exit 3\n",
}
"""The words of start-up files in each shell's language."""


@pytest.mark.long
@needs_users
@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_no_login_shell_and_no_start_up_file_of_the_jobs_user_has_a_part_in_a_session(
    relay: Running, somebody: str, home: Path, tmp_path: Path, shell: str
) -> None:
    program = shutil.which(shell.split()[0])
    if program is None:
        pytest.skip(f"{shell} is not installed")
    login_shell = Path(program)
    if len(shell.split()) > 1:
        login_shell = home / "sh"
        login_shell.symlink_to(program)
    change_users("usermod", "-s", str(login_shell), somebody)
    job = Job(relay, home / "job", name="web")
    job.folder.mkdir()
    script = f'chown -R {somebody}: "$1" && shift && exec runuser -u {somebody} -- "$@"'
    try:
        job.open_tunnel("sh", "-c", script, "sh", str(job.folder), *OF_ITS_OWN)
        ssh = ssh_into(relay, tmp_path)
        for how, words in HOSTILE.items():
            for name in START_UP_FILES:
                file = home / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(words)
            subprocess.run(["chown", "-R", f"{somebody}:", home], check=True)
            done = ssh("sh", "-c", "cat; id -un; exit 5", given="bytes\n")
            assert (done.stdout, done.returncode) == (f"bytes\n{somebody}\n", 5), (how, done.stderr)
            copied = tmp_path / "copied"
            *options, host = ssh.words()
            scp = [
                "scp",
                "-q",
                *options[options.index("-F") :][:-1],
                f"{host}:{job.folder}/marker",
                str(copied),
            ]
            (job.folder / "marker").write_text(how)
            subprocess.run(
                scp,
                env={**os.environ, "SHELL": "/bin/sh"},  # which starts the proxy command
                check=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
            assert copied.read_text() == how
    finally:
        job.close()


@needs_users
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize("may_write", [True, False], ids=["that may be written to", "that may not"])
def test_a_job_whose_uid_is_in_no_password_file(relay: Running, tmp_path: Path, *, may_write: bool) -> None:
    """As pods of OpenShift: a uid of their own, group 0, and a password file that may be written to, or may not."""
    job = Job(relay, tmp_path / "job", name="web")
    job.folder.mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    # All of /etc: a mount on the file alone ends when another process of this machine changes a user.
    etc = tmp_path / "etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    (etc / "passwd").chmod(0o664 if may_write else 0o644)
    uid = ["setpriv", "--reuid", "1000620000", "--regid", "0", "--clear-groups"]
    script = 'chmod -R a+rwX "$1" && shift && exec "$@"'
    try:
        job.open_tunnel(
            "sh", "-c", script, "sh", str(job.folder),
            "bwrap", "--dev-bind", "/", "/", "--bind", str(etc), "/etc", *uid, *OF_ITS_OWN,
        )  # fmt: skip
        if not may_write:
            until_sync(lambda: (job.folder / "run/unreachable").exists(), timeout=60, what="the reason")
            assert "The job's user 1000620000 has no name in the image (/etc/passwd)" in job.said
            return
        done = ssh_into(relay, tmp_path)("id", "-u")
        assert (done.stdout, done.returncode) == ("1000620000\n", 0), (done.stderr, job.said)
    finally:
        job.close()


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path, name="web")
    yield found
    found.close()


def test_a_job_of_before_that_tells_no_name_is_entered_as_before(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    assert job.enrol()
    assert not any(
        word.startswith("User=") for word in ssh_into(relay, tmp_path).relay_client.ssh("w1", "web", ())
    )
    assert "User" not in relay.folder.ssh_users.read_text()


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "a\nHost", "a'b", "$(id)", "%h", "x" * 65, ""])
def test_a_name_that_a_shell_or_ssh_could_take_for_something_else_is_not_believed(
    relay: Running, job: ConnectedJob, name: str
) -> None:
    assert job.enrol(more=f" user={name}")
    grant = relay.grants.of_workspace("w1")
    assert grant is not None
    assert grant.login in ("", "a")
    assert grant.login == "" or relay.folder.ssh_users.read_text().endswith("    User a\n")
