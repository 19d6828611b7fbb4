"""The machine and the runner as hosts of their own: two network namespaces with one cable between them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD, Running
from tests.backend.access.test_job_script import Job, ssh_into
from tests.waiting import until_sync
from wsdash.backend.access.keys import make_keys
from wsdash.backend.access.paths import AccessFolder

MACHINE, RUNNER = "10.83.7.1", "10.83.7.2"


@dataclass
class Network:
    """`machine` and `runner` are the processes that hold the namespaces."""

    machine: subprocess.Popen[bytes]
    runner: subprocess.Popen[bytes]

    def on_machine(self, *argv: str) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.machine.pid), "-n", *argv)

    def on_runner(self, *argv: str) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.runner.pid), "-n", *argv)

    def plug(self, state: str) -> None:
        _run(*self.on_machine("ip", "link", "set", "wsd0", state))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=30)


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        pytest.skip("network namespaces need root and iproute2")
    hold = ["unshare", "-n", "sleep", "infinity"]
    network = Network(subprocess.Popen(hold), subprocess.Popen(hold))
    try:
        own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
        for holder in (network.machine, network.runner):
            until_sync(
                lambda pid=holder.pid: os.stat(f"/proc/{pid}/ns/net").st_ino != own,  # type: ignore[misc]  # noqa: PTH116
                what="the namespace",
            )
        cable = ["ip", "link", "add", "name", "wsd0", "type", "veth", "peer", "name", "wsd1"]
        try:
            _run(*network.on_machine(*cable, "netns", str(network.runner.pid)))
        except subprocess.CalledProcessError:
            pytest.skip("no cable can be made between network namespaces here")
        for enter, device, address in (
            (network.on_machine, "wsd0", MACHINE),
            (network.on_runner, "wsd1", RUNNER),
        ):
            _run(*enter("ip", "address", "add", f"{address}/30", "dev", device))
            _run(*enter("ip", "link", "set", device, "up"))
            _run(*enter("ip", "link", "set", "lo", "up"))
        yield network
    finally:
        for holder in (network.machine, network.runner):
            holder.kill()
            holder.wait()


@pytest.fixture
def relay(network: Network, tmp_path: Path) -> Iterator[Running]:
    folder = AccessFolder(tmp_path / "access")
    make_keys(folder)
    running = Running(folder, MACHINE, network.on_machine())
    running.start()
    yield running
    running.close()
    shutil.rmtree(folder.sockets)


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_a_job_on_another_host_is_entered_and_its_line_outlives_a_pulled_cable(
    relay: Running, network: Network, tmp_path: Path
) -> None:
    job = Job(relay, tmp_path / "job")
    job.folder.mkdir()
    ssh = ssh_into(relay, tmp_path)
    try:
        job.open_tunnel(*network.on_runner())
        done = ssh("grep", "-q", "wsd1", "/proc/net/dev")
        own = (tmp_path / "job/run/access/port").read_text().strip()
        assert _refuses(network.on_machine("ssh-keyscan", "-T", "3", "-p", own, RUNNER))
        network.plug("down")
        waiting = subprocess.Popen(
            ssh.words("sh", "-c", "echo again"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
        network.plug("up")
        said, _ = waiting.communicate(timeout=60)
        assert (done.returncode, said) == (0, "again\n"), (done.stderr, job.said)
        assert job.said.count("The job connects to your machine") == 1
    finally:
        job.close()


def _refuses(argv: tuple[str, ...]) -> bool:
    """Nobody can connect to the job: it listens to itself alone."""
    return subprocess.run(argv, capture_output=True, timeout=30, check=False).stdout == b""


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_a_runner_that_reaches_nothing_says_nothing_to_a_stranger_in_the_machines_place(
    relay: Running, network: Network, tmp_path: Path
) -> None:
    """Another host took the address, with an SSH server of its own that would let anybody in."""
    job = Job(relay, tmp_path / "job")
    job.folder.mkdir()
    port = relay.port
    relay.close()
    stranger = tmp_path / "stranger"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger))
    Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    options = ["-o", f"HostKey={stranger}", "-o", "PidFile=none", "-o", "UsePAM=no", "-p", str(port)]
    server = subprocess.Popen(
        network.on_machine(SSHD, "-D", "-e", "-f", "/dev/null", *options), stderr=subprocess.PIPE
    )
    try:
        job.open_tunnel(*network.on_runner(), port=port)
        until_sync(
            lambda: "The host that answers for your machine has another host key" in job.said,
            what="the refusal",
        )
        assert (job.folder / "run/access/enroll-token").read_text() == "s3cret"  # it was not shown
    finally:
        job.close()
        server.kill()
        said = server.communicate()[1]
    assert b"s3cret" not in said
    assert b"keyboard-interactive" not in said
