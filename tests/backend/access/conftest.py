"""A relay in a process of its own, and jobs that connect to it with OpenSSH."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.waiting import until_sync
from wsdash.backend.access.grants import Grant, Grants
from wsdash.backend.access.keys import make_keys, public_key
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay_client import RelayClient
from wsdash.config.settings import Access
from wsdash.paths import Paths

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)


ASK = """#!/bin/sh
part=${1##*part }
part=${part%%:*}
cut -c $((part * 900 - 899))-$((part * 900)) FILE
"""


@dataclass
class Running:
    """The relay, and where it listens."""

    folder: AccessFolder
    bind: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    """A command before the relay's own, such as one that enters a network namespace."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def grants(self) -> Grants:
        return Grants(self.folder.grants)

    @property
    def port(self) -> int:
        return int(json.loads(self.folder.about.read_text())["port"])

    @property
    def log(self) -> str:
        return self.folder.log.read_text()

    def start(self, port: int = 0) -> None:
        self.folder.about.unlink(missing_ok=True)
        argv = [*self.within, sys.executable, "-m", "wsdash.backend.access.relay"]
        argv += [str(self.folder.root), self.bind, str(port), "127.0.0.1"]
        with self.folder.log.open("ab") as log:
            self.processes.append(subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        until_sync(self.folder.about.exists, 30, "the relay")

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(60)

    @property
    def pid(self) -> int:
        """The process that serves."""
        return int(json.loads(self.folder.about.read_text())["process"]["pid"])

    def job(
        self, folder: Path, workspace: str = "w1", number: int = 1, secret: str = "s3cret", name: str = ""
    ) -> ConnectedJob:
        """A job with its keys, whose attempt is let in by a secret."""
        grant = Grant(
            workspace,
            f"{workspace}.a{number}",
            number,
            name,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            not_after=time.time() + 3600,
        )
        self.grants.write(grant)
        return ConnectedJob(self, folder / f"{workspace}-{number}", grant, secret)


@dataclass
class ConnectedJob:
    """The programs and keys of a job: two key pairs, an ssh client, and an sshd."""

    relay: Running
    folder: Path
    grant: Grant
    secret: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        for name in ("job_key", "ssh_host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / name)],
                check=True,
            )
        host = public_key(self.relay.folder.host_key)
        (self.folder / "known_hosts").write_text(f"wsdash-relay {host}\n")

    def ssh(self, *arguments: str, user: str | None = None) -> list[str]:
        options = {
            "UserKnownHostsFile": str(self.folder / "known_hosts"),
            "GlobalKnownHostsFile": str(self.folder / "known_hosts"),
            "HostKeyAlias": "wsdash-relay",
            "StrictHostKeyChecking": "yes",
            "IdentityFile": str(self.folder / "job_key"),
            "IdentitiesOnly": "yes",
            "ExitOnForwardFailure": "yes",
            "ConnectTimeout": "10",
            "Ciphers": "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com",
        }
        named = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        name = user or self.grant.attempt_id
        return ["ssh", "-F", "/dev/null", *named, "-p", str(self.relay.port), *arguments, f"{name}@127.0.0.1"]

    def public(self, name: str) -> str:
        return ":".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def enrol(self, proof: str | None = None, user: str | None = None, more: str = "") -> bool:
        """Leave the keys with the proof, and what else a job tells; whether that was taken."""
        shown = self.secret if proof is None else proof
        password = f"{shown} {self.public('job_key')} {self.public('ssh_host_key')}{more}"
        ask = self.folder / "ask"
        (self.folder / "proof").write_text(f"{password}\n")
        ask.write_text(ASK.replace("FILE", str(self.folder / "proof")))
        ask.chmod(0o700)
        env = {
            **os.environ,
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        argv = self.ssh("-N", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", user=user)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
        _, given, certificate = done.stderr.partition("wsdash-host-certificate ")
        if given:
            (self.folder / "ssh_host_key-cert.pub").write_text(certificate.splitlines()[0] + "\n")
        return "Permission denied" not in done.stderr

    def open_tunnel(self, name: str | None = None, target: str = "127.0.0.1:1") -> subprocess.Popen[bytes]:
        """Hold the line, listening under a virtual name."""
        where = f"{name or self.grant.path}:{target}"
        argv = self.ssh("-N", "-R", where, "-o", "PasswordAuthentication=no", "-o", "BatchMode=yes")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def refused(self, *arguments: str, command: tuple[str, ...] = ()) -> str:
        """The message of ssh about a connection that does something else."""
        argv = [*self.ssh("-o", "BatchMode=yes", *arguments), *command]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode != 0
        return done.stderr

    def sshd(self, user_key: str) -> int:
        """The job's own SSH server, once it has enrolled; its port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        (self.folder / "authorized_keys").write_text(f"{user_key}\n")
        lines = [
            f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/ssh_host_key", "UsePAM no",
            f"HostCertificate {self.folder}/ssh_host_key-cert.pub", f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "PasswordAuthentication no", "StrictModes no",
            "PidFile none", "MaxStartups 100", "SetEnv SHLVL=1",
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        if SSHD is None:
            pytest.skip("sshd is not installed")
        Path("/run/sshd").mkdir(exist_ok=True)
        argv = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self.processes.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        return port

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(60)


def client_of(tmp_path: Path, port: int = 0, host: str = "127.0.0.1") -> RelayClient:
    return RelayClient(Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access(host, "127.0.0.1", port))


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    folder = AccessFolder(tmp_path / "access")
    make_keys(folder)
    running = Running(folder)
    running.start()
    yield running
    running.close()
    shutil.rmtree(folder.sockets)


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path, name="web")
    assert found.enrol()
    found.open_tunnel()
    until_sync(lambda: relay.folder.socket("w1").exists(), 30, "the tunnel")
    yield found
    found.close()
