"""The way into a workspace against direct ssh to the same sshd, and what many lines and a crash cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, medians_in_turn
from tests.backend.access.conftest import ConnectedJob, Running
from wsdash.backend.access.keys import make_keys, public_key
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay_client import RelayClient
from wsdash.config.settings import Access
from wsdash.paths import Paths


@dataclass(frozen=True)
class Sizes:
    runs: int
    lines: int
    mebibytes: int
    echoes: int


FULL = Sizes(runs=9, lines=200, mebibytes=256, echoes=300)
SMOKE = Sizes(runs=1, lines=3, mebibytes=1, echoes=100)


def measure(sizes: Sizes) -> list[Figure]:
    """Real OpenSSH on both ends, the relay in between."""
    with tempfile.TemporaryDirectory(prefix="wb-") as name:
        folder = Path(name)
        paths = Paths(folder / "state", folder / "config", folder / "cache")
        paths.prepare()
        access = AccessFolder(paths.state / "access")
        make_keys(access)
        relay = Running(access)
        relay.start()
        job = relay.job(folder)
        relay_client = RelayClient(paths, Access("127.0.0.1", "127.0.0.1"))
        relay_client.folder = access
        try:
            assert job.enrol()
            port = job.sshd(public_key(access.user_key))
            job.open_tunnel(target=f"127.0.0.1:{port}")
            _wait(lambda: relay_client.is_connected("w1"))
            return [
                *_ssh(job, relay_client, access, port, sizes.runs),
                *_bytes(job, relay_client, access, port, sizes),
                _echo(job, relay_client, access, sizes.echoes),
                _after_a_kill(job, relay, relay_client, port),
                _memory(relay, folder, sizes.lines),
            ]
        finally:
            job.close()
            for process in relay.processes:
                process.terminate()
                process.wait(10)


def _direct(job: ConnectedJob, access: AccessFolder, port: int, *options: str) -> list[str]:
    (job.folder / "direct").write_text(
        f"[127.0.0.1]:{port} {' '.join((job.folder / 'ssh_host_key.pub').read_text().split()[:2])}\n"
    )
    named = {
        "UserKnownHostsFile": str(job.folder / "direct"),
        "StrictHostKeyChecking": "yes",
        "IdentityFile": str(access.user_key),
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
    }
    words = [word for key, value in named.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "/dev/null", *words, *options, "-p", str(port), "127.0.0.1"]


def _by_tunnel(relay_client: RelayClient, command: str) -> list[str]:
    return [*relay_client._ssh("w1", "w1"), "-o", "BatchMode=yes", "w1.wsdash", command]


def _ssh(
    job: ConnectedJob, relay_client: RelayClient, access: AccessFolder, port: int, runs: int
) -> list[Figure]:
    def by_tunnel() -> float:
        return _time([*_by_tunnel(relay_client, "true")])

    def direct() -> float:
        return _time([*_direct(job, access, port), "true"])

    ours, floor = medians_in_turn(runs, by_tunnel, direct)
    return [
        Figure("ssh NAME true, more than direct ssh to the same sshd", (ours - floor) * 1000, "ms", 30),
    ]


def _bytes(
    job: ConnectedJob, relay_client: RelayClient, access: AccessFolder, port: int, sizes: Sizes
) -> list[Figure]:
    command = f"head -c {sizes.mebibytes * 1024 * 1024} /dev/zero"
    ours, floor = medians_in_turn(
        min(3, sizes.runs),
        lambda: _time(_by_tunnel(relay_client, command)),
        lambda: _time([*_direct(job, access, port), command]),
    )
    return [Figure("throughput of a line, against direct ssh", ours, "s", 1 / 0.8, floor, "direct")]


def _echo(job: ConnectedJob, relay_client: RelayClient, access: AccessFolder, echoes: int) -> Figure:
    """A key that comes back: through the relay to a program, less what the same program takes directly."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_echo_all, args=(server,), daemon=True).start()
    port = server.getsockname()[1]
    other = job.relay.job(job.folder, "w2")
    assert other.enrol()
    other.open_tunnel(target=f"127.0.0.1:{port}")
    _wait(lambda: relay_client.is_connected("w2"))
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(access.socket("w2")))
        ours = _p99(line, echoes)
    with socket.create_connection(("127.0.0.1", port)) as line:
        floor = _p99(line, echoes)
    other.close()
    return Figure("a keystroke's echo, p99, more than without the line", (ours - floor) * 1000, "ms", 1.0)


def _after_a_kill(job: ConnectedJob, relay: Running, relay_client: RelayClient, port: int) -> Figure:
    """Until `ssh NAME` works again; the job dials as its script does, at once and then every 0.3 s."""
    ended = threading.Event()

    def keep_dialling() -> None:
        while not ended.is_set():
            job.open_tunnel(target=f"127.0.0.1:{port}").wait()
            time.sleep(0.3)

    dialling = threading.Thread(target=keep_dialling, daemon=True)
    os.kill(relay.pid, signal.SIGKILL)
    began = time.perf_counter()
    dialling.start()
    while subprocess.run(_by_tunnel(relay_client, "true"), capture_output=True, check=False).returncode != 0:
        time.sleep(0.02)
    waited = time.perf_counter() - began
    ended.set()
    return Figure("from the relay's kill -9 to ssh NAME working again", waited, "s", 1.0)


def _memory(relay: Running, folder: Path, lines: int) -> Figure:
    """The load that idle connections add to the relay."""
    before = _resident(relay.pid)
    jobs = [relay.job(folder / "many", f"m{number}") for number in range(lines)]
    for job in jobs:
        assert job.enrol()
        job.open_tunnel()
    _wait(lambda: all(relay.folder.socket(job.grant.workspace_id).exists() for job in jobs))
    added = _resident(relay.pid) - before
    for job in jobs:
        job.close()
    return Figure(f"memory that {lines} idle lines add to the relay", added, "MB", 64)


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _p99(line: socket.socket, echoes: int) -> float:
    line.settimeout(30)
    times = []
    for _ in range(echoes):
        began = time.perf_counter()
        line.sendall(b"x")
        line.recv(1)
        times.append(time.perf_counter() - began)
    return sorted(times)[int(echoes * 0.99) - 1]


def _echo_all(server: socket.socket) -> None:
    while True:
        there, _ = server.accept()
        threading.Thread(target=_echo_one, args=(there,), daemon=True).start()


def _echo_one(there: socket.socket) -> None:
    while data := there.recv(4096):
        there.sendall(data)


def _time(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return time.perf_counter() - began


def _wait(condition) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
