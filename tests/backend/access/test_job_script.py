"""The script by which a job lets its user in, with the SSH servers that images have, against the real relay."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import pytest

from tests.backend.access.conftest import SSHD, Running
from tests.backend.job.scripts import install
from tests.waiting import until_sync
from wsdash.backend.access.keys import certify, public_key
from wsdash.backend.access.known_hosts import alias_of
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.job.render import render
from wsdash.config.settings import Access
from wsdash.paths import Paths
from wsdash.workload import Workload

SYSTEM_SSHD = "/usr/sbin/sshd"


def _container(*arguments: str) -> list[str]:
    """A container as runners make them: the home in it is the job's own. `arguments` change what the image has."""
    home = os.path.expanduser("~")  # noqa: PTH111 - the one of the password file, as dropbear has it
    return ["bwrap", "--dev-bind", "/", "/", "--tmpfs", home, *arguments]


needs_sshd = pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
needs_dropbear = pytest.mark.skipif(
    shutil.which("dropbear") is None
    or shutil.which("dropbearkey") is None
    or shutil.which("bwrap") is None
    or subprocess.run(_container("true"), check=False, capture_output=True).returncode != 0,
    reason="dropbear or bubblewrap cannot be used",
)
WITHOUT_OPENSSH = ("--ro-bind", "/dev/null", SYSTEM_SSHD) if Path(SYSTEM_SSHD).exists() else ()


@dataclass
class Job:
    """A job's folder with its scripts, and the script that opens the tunnel."""

    relay: Running
    folder: Path
    name: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text()

    def open_tunnel(
        self, *container: str, port: int | None = None, is_known: bool = True, **variables: str
    ) -> None:
        run = self.folder / "run"
        job = run / "job"
        job.mkdir(parents=True)
        install(job)
        (job / "workload.sh").write_text(render(Workload()))
        (run / "access").mkdir()
        (run / "access/enroll-token").write_text("s3cret")
        (self.folder / "root").mkdir()
        (run / "access/environment").write_text(f"export PROJECTS_ROOT={quote(f'{self.folder}/root')}\n")
        grant = self.relay.job(self.folder, name=self.name).grant
        if not is_known:
            self.relay.grants.remove(grant.workspace_id)
        env = {
            **os.environ,
            "WSDASH_RELAY": f"{self.relay.bind} {port or self.relay.port}",
            "WSDASH_RELAY_KEY": public_key(self.relay.folder.host_key),
            "WSDASH_USER_KEY": public_key(self.relay.folder.user_key),
            "WSDASH_ATTEMPT": grant.attempt_id,
            "WSDASH_WORKSPACE": grant.workspace_id,
            "WSDASH_RUN": str(run),
            "WSDASH_ENROLL_TOKEN_FILE": str(run / "access/enroll-token"),
            "WSDASH_JOB_PID": str(os.getpid()),
            **variables,
        }
        with (self.folder / "log").open("wb") as log:
            argv = [*container, "sh", str(job / "tunnel.sh"), "connect"]
            self.processes.append(
                subprocess.Popen(
                    argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )

    def run(self) -> Callable[[], list[dict[str, int]]]:
        """The workspace itself; what its heartbeats said."""
        run = self.folder / "run"
        env = {
            **os.environ,
            "PROJECTS_ROOT": f"{self.folder}/root",
            "WSDASH_RUN": str(run),
            "WSDASH_BEAT_S": "1",
        }
        argv = ["sh", str(run / "job/job.sh"), "run", str(run / "job/workload.sh")]
        output = self.folder / "output"
        with output.open("wb") as file:
            self.processes.append(
                subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=file, start_new_session=True)
            )
        printed = "wsdash/1 beat "
        return lambda: [
            json.loads(line.removeprefix(printed))
            for line in output.read_text().splitlines()
            if line.startswith(printed) and line.endswith("}")
        ]

    def close(self) -> None:
        for process in self.processes:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            process.wait(60)


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[Job]:
    found = Job(relay, tmp_path / "job")
    found.folder.mkdir()
    yield found
    found.close()


@dataclass
class UsersSsh:
    """The user's own ssh."""

    relay_client: RelayClient

    def words(self, *argv: str) -> tuple[str, ...]:
        until_sync(lambda: self.relay_client.is_connected("w1"), 60, "the line")
        return self.relay_client.ssh("w1", "w1", argv)

    def __call__(self, *argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*argv), input=given, capture_output=True, text=True, timeout=60, check=False
        )


def ssh_into(relay: Running, folder: Path) -> UsersSsh:
    relay_client = RelayClient(
        Paths(folder / "s", folder / "c", folder / "k"), Access("127.0.0.1", "127.0.0.1")
    )
    relay_client.folder = relay.folder
    return UsersSsh(relay_client)


@pytest.fixture
def ssh(relay: Running, tmp_path: Path) -> UsersSsh:
    return ssh_into(relay, tmp_path)


@needs_sshd
def test_openssh_shows_a_certificate_and_no_key_is_pinned(relay: Running, job: Job, ssh: UsersSsh) -> None:
    job.open_tunnel()
    done = ssh("sh", "-c", 'echo "$1"', "-", "it's $HOME")
    assert (done.stdout, done.returncode) == ("it's $HOME\n", 0), (done.stderr, job.said)
    assert relay.folder.known_hosts.read_text() == (
        f"@cert-authority wsdash-*,*.wsdash {public_key(relay.folder.host_authority)}\n"
    )
    assert not (job.folder / "run/access/enroll-token").exists()
    assert "s3cret" not in job.said


@needs_sshd
def test_the_builds_folder_of_a_runner_may_have_any_name(
    relay: Running, tmp_path: Path, ssh: UsersSsh
) -> None:
    job = Job(relay, tmp_path / "a runner's 50%h $folder")
    job.folder.mkdir()
    try:
        job.open_tunnel()
        assert ssh("echo", "inside").stdout == "inside\n", job.said
    finally:
        job.close()


@needs_sshd
def test_a_tunnel_whose_ssh_was_killed_is_reopened_with_the_same_key(
    relay: Running, job: Job, ssh: UsersSsh
) -> None:
    job.open_tunnel()
    assert ssh("true").returncode == 0
    (line,) = _running(f"ssh .*-p {relay.port} .*-R /wsdash/w1:.*@{relay.bind}$")
    os.kill(int(line), signal.SIGKILL)
    until_sync(lambda: job.said.count("The job connects to your machine") == 2, what="the next line")
    until_sync(lambda: ssh("true").returncode == 0, what="the way in")
    assert relay.log.count("has enrolled") == 1


@needs_sshd
def test_a_job_that_is_not_let_in_yet_asks_again_until_it_is(
    relay: Running, job: Job, ssh: UsersSsh, tmp_path: Path
) -> None:
    job.open_tunnel(is_known=False)
    until_sync(lambda: "Your machine rejects this job" in job.said, what="the refusals")
    relay.job(tmp_path / "again", name=job.name)
    until_sync(lambda: ssh("echo", "in").stdout == "in\n", 120, "the way in")
    assert job.said.count("Your machine rejects this job") == 1


@needs_sshd
def test_a_server_outlives_no_job_that_was_killed_with_the_script_that_dials(job: Job, ssh: UsersSsh) -> None:
    with subprocess.Popen(["sleep", "600"]) as main:
        job.open_tunnel(WSDASH_JOB_PID=str(main.pid))
        assert ssh("true").returncode == 0
        server = int((job.folder / "run/access/pid").read_text())
        job.processes[0].kill()
        main.kill()
    until_sync(lambda: not Path(f"/proc/{server}").exists(), what="its end")


@needs_sshd
def test_a_server_that_was_killed_comes_back_and_its_sessions_and_the_line_stand(
    relay: Running, job: Job, ssh: UsersSsh
) -> None:
    job.open_tunnel()
    assert ssh("true").returncode == 0
    with subprocess.Popen(ssh.words("cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdin is not None and session.stdout is not None
        session.stdin.write(b"before\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"before\n"
        for count in (1, 2):
            os.kill(int((job.folder / "run/access/pid").read_text()), signal.SIGKILL)
            until_sync(lambda: job.said.count("the job restarts it") == count, what="the next server")  # noqa: B023
            until_sync(lambda: ssh("echo", "again").stdout == "again\n", what="the way in")
        session.stdin.write(b"after\n")
        session.stdin.close()
        assert session.stdout.read() == b"after\n"
    assert job.said.count("The job connects to your machine") == 1


@needs_sshd
def test_the_language_and_the_colours_of_the_terminal_come_along(
    job: Job, ssh: UsersSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("SECRET_OF_MINE", "stays here")
    job.open_tunnel()
    done = ssh("sh", "-c", 'echo "$LANG $LC_TIME $COLORTERM ${SECRET_OF_MINE-none}"')
    assert done.stdout == "C.UTF-8 C.UTF-8 truecolor none\n", done.stderr


@needs_sshd
@pytest.mark.skipif(
    shutil.which("bwrap") is None
    or subprocess.run(_container("true"), check=False, capture_output=True).returncode != 0,
    reason="bubblewrap cannot be used",
)
def test_what_bash_reads_for_ssh_neither_speaks_nor_waits_in_what_is_asked(
    relay: Running, job: Job, ssh: UsersSsh
) -> None:
    """Some images wait for a lock in ~/.bashrc, or greet."""
    noise = job.folder / "bashrc"
    noise.write_text(f"echo Welcome; touch {job.folder}/was-read\n")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - the one of the password file
    job.open_tunnel(*_container("--ro-bind", str(noise), str(home / ".bashrc")))
    assert ssh("echo", "hi").stdout == "hi\n"
    assert not (job.folder / "was-read").exists()


@needs_sshd
def test_bytes_through_a_forwarded_port_are_activity_and_a_port_at_rest_is_none(
    relay: Running, job: Job, ssh: UsersSsh
) -> None:
    job.open_tunnel()
    assert ssh("true").returncode == 0
    beats = job.run()
    sock = job.folder / "here.sock"
    with socket.create_server(("127.0.0.1", 0)) as server:
        argv = ssh.relay_client.forward("w1", "w1", str(sock), server.getsockname()[1])
        job.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True))
        until_sync(sock.exists, what="the forwarded port")
        with socket.socket(socket.AF_UNIX) as user:
            user.connect(str(sock))
            there, _ = server.accept()
            until_sync(lambda: len(beats()) >= 3, what="beats")
            at_rest = beats()[-1]["active"]
            seen = len(beats())
            until_sync(lambda: len(beats()) >= seen + 3, what="more beats")
            assert beats()[-1]["active"] == at_rest
            until_sync(lambda: beats()[-1]["at"] > at_rest + 2, what="time to pass")
            user.sendall(b"x" * 50_000)
            received = b""
            while len(received) < 50_000:
                received += there.recv(65536)
            until_sync(lambda: beats()[-1]["active"] > at_rest, what="the activity")
            there.close()


@needs_sshd
def test_a_user_whose_ssh_was_killed_leaves_nothing_that_stands_in_the_way(job: Job, ssh: UsersSsh) -> None:
    job.open_tunnel()
    session = subprocess.Popen(ssh.words("sleep", "61"), stdin=subprocess.DEVNULL)
    until_sync(lambda: _running("^sleep 61$"), what="the session")
    session.kill()
    session.wait()
    assert ssh("echo", "again").stdout == "again\n"


@needs_sshd
@pytest.mark.parametrize("names", [[alias_of("w2")], []], ids=["of another workspace", "of nobody"])
def test_a_host_without_a_certificate_for_its_own_name_is_refused(
    relay: Running, job: Job, ssh: UsersSsh, names: list[str]
) -> None:
    job.open_tunnel()
    assert ssh("true").returncode == 0
    access = job.folder / "run/access"
    server = next(int(p) for p in _pids(str(access / "sshd_config")))
    (access / "host_key").unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(access / "host_key")], check=True
    )
    stranger = " ".join((access / "host_key.pub").read_text().split()[:2])
    certificate = certify(relay.folder, stranger, names, "stranger") if names else ""
    (access / "host_key-cert.pub").write_text(certificate + "\n")
    os.kill(server, 1)  # it reads its configuration anew
    until_sync(lambda: ssh("true").returncode != 0, what="the refusal")
    assert "Host key verification failed" in ssh("true").stderr


def _running(words: str) -> list[str]:
    return subprocess.run(["pgrep", "-f", words], capture_output=True, text=True, check=False).stdout.split()


def _pids(words: str) -> list[str]:
    return subprocess.run(
        ["pgrep", "-f", f"sshd.*{words}"], capture_output=True, text=True, check=False
    ).stdout.split()


@needs_dropbear
def test_dropbear_takes_its_place_in_a_container_and_its_key_is_pinned(
    relay: Running, job: Job, ssh: UsersSsh
) -> None:
    job.open_tunnel(*_container(*WITHOUT_OPENSSH), CI_DISPOSABLE_ENVIRONMENT="true")
    done = ssh("sh", "-c", 'cat; echo "$1"', "-", "it's $HOME")
    assert (done.stdout, done.returncode) == ("it's $HOME\n", 0), (done.stderr, job.said)
    assert f"\n{alias_of('w1')} ssh-ed25519 " in relay.folder.known_hosts.read_text()
    text = relay.folder.known_hosts.read_text()
    relay.folder.known_hosts.write_text(
        text.replace(text.split()[-1], public_key(relay.folder.user_key).split()[1])
    )
    assert "Host key verification failed" in ssh("true").stderr


@needs_dropbear
def test_an_old_dropbear_outside_of_a_container_leaves_the_home_alone(job: Job) -> None:
    job.open_tunnel(*_container(*WITHOUT_OPENSSH))
    until_sync(lambda: (job.folder / "run/unreachable").exists(), what="the end")
    assert "too old to log in to outside of a container: install openssh-server" in job.said


@needs_dropbear
def test_an_image_without_an_ssh_server_says_so(job: Job) -> None:
    dropbear = shutil.which("dropbear")
    assert dropbear is not None
    job.open_tunnel(*_container(*WITHOUT_OPENSSH, "--ro-bind", "/dev/null", dropbear))
    until_sync(lambda: (job.folder / "run/unreachable").exists(), what="the end")
    assert "The image has no SSH server (openssh-server or dropbear)" in job.said
