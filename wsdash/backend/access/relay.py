"""The SSH endpoint that jobs dial: `python -m wsdash.backend.access.relay`. It offers one thing.

A job proves once who it is and leaves the public keys that it has made: a keyboard-interactive login, which is closed
at once. (Answers have several parts, for OpenSSH takes at most a kilobyte at a prompt.) As the banner of that login it
is given the certificate of its SSH server's key.
With that key it may then listen under the virtual name of its own workspace; that becomes a Unix socket of this
user's. There is no session, no other name, no connection to anything here, and no older attempt.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncssh

from wsdash.backend.access.folders import AccessFolder
from wsdash.backend.access.grants import Grant, Grants
from wsdash.backend.access.keys import certify
from wsdash.backend.access.known_hosts import names_of, pin
from wsdash.backend.access.proofs import NotProven, Proofs
from wsdash.backend.processes import ProcessIdentity

log = logging.getLogger("wsdash.relay")

LOGIN_S = 10
KEEPALIVE_S = 10
MOST_CONNECTIONS = 500
MOST_FROM_ONE_HOST = 400
MOST_A_SECOND = 100
"""New connections from one host; jobs that are turned away dial again, each after a time of its own."""
FENCE_S = 1.0
"""Between two looks for attempts that may not dial in any more."""
PARTS = 8
AGAIN_S = 1.0
"""A relay that dies sooner than this after its start does not start again at once."""
CERTIFICATE = "wsdash-host-certificate"
"""The word before it in the banner."""
KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "ssh-rsa")


class Line(asyncssh.SSHServer):
    """One connection of a job. Whatever is not allowed here, asyncssh refuses by itself."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._connection: asyncssh.SSHServerConnection | None = None
        self._peer = "?"
        self._enrols = False
        self.grant: Grant | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._peer = str(conn.get_extra_info("peername", ("?",))[0])
        if not self._relay.admit(self, self._peer):
            log.warning("%s: refused, there are too many connections", self._peer)
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.forget(self, self._peer)

    def begin_auth(self, username: str) -> bool:
        self.grant = self._relay.grants.find(username)
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [(f"part {number}:", False) for number in range(1, PARTS + 1)]

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Enrol. The parts together are `PROOF JOB-KEY HOST-KEY`, the keys as `KIND:BASE64`; then `plain` for a
        server that knows no certificates.
        """
        if self.grant is None:
            log.warning("%s: refused, no attempt %.80r may dial in", self._peer, username)
            return False
        try:
            certificate = await self._relay.enrol(self.grant, "".join(responses))
        except NotProven as reason:
            log.warning("%s: %s refused, %s", self._peer, self.grant.attempt_id, reason)
            return False
        log.info("%s: %s has enrolled", self._peer, self.grant.attempt_id)
        if certificate:
            assert self._connection is not None
            self._connection.send_auth_banner(f"{CERTIFICATE} {certificate}\n")
        self._enrols = True
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        grant = self.grant
        if grant is None or not grant.job_key:
            return False
        return key.export_public_key("openssh").decode().split()[:2] == grant.job_key.split()[:2]

    def auth_completed(self) -> None:
        assert self._connection is not None
        if self._enrols:  # it has left its keys, and that is all that a proof is for
            asyncio.get_running_loop().call_soon(self._connection.close)

    async def unix_server_requested(self, listen_path: str) -> asyncssh.SSHListener | bool:
        assert self._connection is not None
        grant = self.grant
        if self._enrols or grant is None or listen_path != grant.path or not self._relay.is_current(grant):
            log.warning("%s: refused to listen under %.80r", self._peer, listen_path)
            return False
        log.info("%s: %s listens", self._peer, grant.attempt_id)
        return await self._relay.listen(grant, self._connection, listen_path)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        log.warning("%s: refused to listen at %.80r port %s", self._peer, listen_host, listen_port)
        return False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        log.warning("%s: refused a connection to %.80r port %s", self._peer, dest_host, dest_port)
        return False

    def unix_connection_requested(self, dest_path: str) -> bool:
        log.warning("%s: refused a connection to %.80r", self._peer, dest_path)
        return False

    def session_requested(self) -> bool:
        log.warning("%s: refused a session", self._peer)
        return False

    def tun_requested(self, unit: int | None) -> bool:
        log.warning("%s: refused a tunnel device", self._peer)
        return False

    def tap_requested(self, unit: int | None) -> bool:
        log.warning("%s: refused a tunnel device", self._peer)
        return False

    def end(self) -> None:
        if self._connection is not None:
            self._connection.abort()


class WorkspaceListener(asyncssh.SSHListener):
    """The Unix socket of a workspace, which leads to its job's end of the line."""

    def __init__(self, carrier: asyncssh.SSHListener, path: Path) -> None:
        self._carrier = carrier
        self._path = path
        self._inode = path.stat().st_ino

    def get_port(self) -> int:
        return 0

    def close(self) -> None:
        self._carrier.close()
        with suppress(OSError):  # a newer attempt may have its own there
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def wait_closed(self) -> None:
        await self._carrier.wait_closed()


class Relay:
    """What all lines share."""

    def __init__(self, folder: AccessFolder) -> None:
        self.folder = folder
        self.grants = Grants(folder.grants)
        self._proofs = Proofs()
        self._enrolling = asyncio.Lock()
        self._lines: set[Line] = set()
        self._from: Counter[str] = Counter()
        self._second = 0
        self._in_this_second: Counter[str] = Counter()

    def admit(self, line: Line, peer: str) -> bool:
        self._lines.add(line)
        self._from[peer] += 1
        if (second := int(time.monotonic())) != self._second:
            self._second = second
            self._in_this_second.clear()
        self._in_this_second[peer] += 1
        return (
            len(self._lines) <= MOST_CONNECTIONS
            and self._from[peer] <= MOST_FROM_ONE_HOST
            and self._in_this_second[peer] <= MOST_A_SECOND
        )

    def forget(self, line: Line, peer: str) -> None:
        if line in self._lines:
            self._lines.discard(line)
            self._from[peer] -= 1
            if not self._from[peer]:
                del self._from[peer]

    def is_current(self, grant: Grant) -> bool:
        """Whether this attempt is still the one that may listen for its workspace."""
        now = self.grants.of_workspace(grant.workspace_id)
        return now is not None and (now.attempt_id, now.job_key) == (grant.attempt_id, grant.job_key)

    async def enrol(self, grant: Grant, told: str) -> str:
        """Keep the job's keys, once; the certificate of its server's. Raises `NotProven`."""
        proof, _, keys = told.partition(" ")
        job_key, _, rest = keys.partition(" ")
        host_key, _, kind = rest.partition(" ")
        found = [_public_key(job_key), _public_key(host_key)]
        async with self._enrolling:
            now = self.grants.of_workspace(grant.workspace_id)
            if now is None or now.attempt_id != grant.attempt_id or now.job_key:
                raise NotProven("it has enrolled before, or is no more the newest")
            await asyncio.to_thread(self._proofs.check, now, proof)
            enrolled = replace(now, job_key=found[0])
            plain = kind == "plain"
            names = names_of(now.workspace_id, now.name)
            pinned = found[1] if plain else ""
            await asyncio.to_thread(pin, self.folder.known_hosts, now.workspace_id, pinned, now.name)
            await asyncio.to_thread(self.grants.write, enrolled)
            return (
                ""
                if plain
                else await asyncio.to_thread(certify, self.folder, found[1], names, now.attempt_id)
            )

    async def listen(
        self, grant: Grant, connection: asyncssh.SSHServerConnection, name: str
    ) -> WorkspaceListener:
        """A socket of mode 0600 in a folder of mode 0700, which takes the place of an older one at once."""
        path = self.folder.socket(grant.workspace_id)
        new = path.with_suffix(f".{os.getpid()}.{id(connection)}")
        with suppress(FileNotFoundError):
            new.unlink()
        carrier = await connection.forward_local_path(str(new), name)
        new.chmod(0o600)
        new.replace(path)
        if grant.name:
            named = self.folder.socket(f"{grant.name}.wsdash")
            link = named.with_suffix(f".{os.getpid()}.{id(connection)}")
            link.symlink_to(path.name)
            link.replace(named)
        return WorkspaceListener(carrier, path)

    async def fence(self) -> None:
        """End the lines of attempts that may not dial in any more."""
        while True:
            await asyncio.sleep(FENCE_S)
            for line in list(self._lines):
                if line.grant is not None and line.grant.job_key and not self.is_current(line.grant):
                    log.info("%s is superseded, and its line ends", line.grant.attempt_id)
                    line.end()


def _public_key(text: str) -> str:
    """`KIND BASE64` out of `KIND:BASE64`. Raises `NotProven`."""
    kind, _, data = text.partition(":")
    line = f"{kind} {data}"
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError):
        raise NotProven("what it leaves is no public key") from None
    if kind not in KEY_KINDS:
        raise NotProven("its key is of a kind that is not taken")
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


async def serve(folder: AccessFolder, bind: str, port: int) -> None:
    """Until TERM. Writes the process and the port into the folder."""
    relay = Relay(folder)
    acceptor = await asyncssh.listen(
        bind,
        port,
        server_factory=lambda: Line(relay),
        server_host_keys=[str(folder.host_key)],
        login_timeout=LOGIN_S,
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=3,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        server_version="wsdash",
        reuse_address=True,
    )
    about = {"process": ProcessIdentity.own().record(), "port": acceptor.get_port()}
    new = folder.about.with_suffix(".new")
    new.write_text(json.dumps(about))
    new.replace(folder.about)
    log.info("listening at %s port %s", bind, acceptor.get_port())
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    fencing = asyncio.create_task(relay.fence())
    await ended.wait()
    fencing.cancel()
    acceptor.close()


def main() -> None:
    """`relay ROOT SOCKETS BIND PORT`; it leaves at once where another one runs."""
    root, sockets, bind, port = sys.argv[1:]
    folder = AccessFolder(Path(root), Path(sockets))
    folder.prepare()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    with folder.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        _keep_serving(folder, bind, int(port))


def _keep_serving(folder: AccessFolder, bind: str, port: int) -> None:
    """In a child, which is followed by another one when it is killed. The child holds the lock too."""
    if not port:
        with socket.create_server((bind, 0)) as probe:
            port = probe.getsockname()[1]
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(serve(folder, bind, port))
            os._exit(0)
        signal.signal(signal.SIGTERM, lambda *_, pid=child: os.kill(pid, signal.SIGTERM))
        began = time.monotonic()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return
        log.warning("the relay was ended by signal %s, and starts again", -code)
        if time.monotonic() - began < AGAIN_S:
            time.sleep(AGAIN_S)


if __name__ == "__main__":
    main()
