"""The relay's SSH server. It offers a job one thing: a reverse tunnel for its own workspace.

A job first enrols: it proves its identity once and registers its public keys, in a keyboard-interactive login that is
closed at once. (The answer has several parts, because OpenSSH sends at most a kilobyte at a prompt.) The banner of that
login gives the job the certificate for the key of its SSH server.
With its key the job may then listen under the virtual name of its own workspace, which becomes a Unix socket of this
user. The relay refuses sessions, other names, connections to this machine, and older attempts.

A job can harm only itself: each attempt has one tunnel, each tunnel one socket and a limited number of requests, and
logins have budgets (`admission.py`). An error on this side, such as a full disk, ends a login in progress, which the
job
tries again, and never a tunnel.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import asyncssh

from wsdash.backend.access.grants import Grant, Grants, GrantStatus
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay.admission import Limits, LoginRate, Logins
from wsdash.backend.access.relay.enrolment import Enrolment
from wsdash.backend.access.relay.issuer_keys import NoKeys
from wsdash.backend.access.relay.token_verifier import NotProven
from wsdash.backend.access.relay.tunnel import Tunnel
from wsdash.backend.access.sightings import Sightings
from wsdash.backend.access.ssh import files as ssh_files
from wsdash.paths import PathError

log = logging.getLogger("wsdash.relay")

LISTEN_S = 15.0
"""Longest time, in seconds, between a login and the request for the socket."""
MOST_REQUESTS = 20
"""Number of refused or repeated requests after which a connection is closed."""
MOST_BUFFERED = 64 * 1024 * 1024
"""Bytes that may wait here for a job that does not read: more than ssh's windows for dozens of sessions."""
WATCH_S = 1.0
"""Seconds between two checks for superseded attempts and removed sockets."""
PARTS = 8
CERTIFICATE = "wsdash-host-certificate"
"""The word before the certificate in the banner."""
ENROLLED = "wsdash-enrolled"
"""The banner for a server that does not use certificates."""


class JobConnection(asyncssh.SSHServer):
    """One connection of a job. asyncssh refuses every request that no method here allows."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._connection: asyncssh.SSHServerConnection | None = None
        self._enrols = False
        self._requests = 0
        self._listening = asyncio.Lock()
        self.host = "?"
        self.grant: Grant | None = None
        self.tunnel: Tunnel | None = None

    @property
    def progress(self) -> int:
        """The number of login steps that are done."""
        if self._connection is None:
            return 0
        steps = [
            self._connection.get_extra_info(name) is not None for name in ("client_version", "recv_cipher")
        ]
        return sum(steps) + (self.grant is not None) + self._enrols

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Record the peer's address, and count the connection as a login in progress."""
        self._connection = conn
        self.host = str(conn.get_extra_info("peername", ("?",))[0])
        self._relay.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the connection's tunnel, and free its slot."""
        self._relay.forget(self)

    # --- login ----------------------------------------------------------------------------------

    async def begin_auth(self, username: str) -> bool:
        """Find the attempt's grant. If it cannot be read, close the connection without an answer: jobs give up at
        a refusal."""
        with self._nothing_read():
            try:
                self.grant = await asyncio.to_thread(self._relay.grants.find, username)
            except OSError as error:
                self._put_off(error)
                return True
        if self.grant is not None and self._relay.login_rate.too_many(
            self.grant.attempt_id, time.monotonic()
        ):
            log.warning("%s: %s connects too often, and waits", self.host, self.grant.attempt_id)
            self._note_refusal("it connects too often")
            self.end()
        return True

    def password_auth_supported(self) -> bool:
        """Refuse passwords."""
        return False

    def kbdint_auth_supported(self) -> bool:
        """Offer keyboard-interactive logins, by which jobs enrol."""
        return True

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        """Ask for the parts of the enrolment."""
        return "", "", "", [(f"part {number}:", False) for number in range(1, PARTS + 1)]

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Enrol. The parts together are `PROOF JOB-KEY HOST-KEY`, the keys as `KIND:BASE64`; then `plain` for a
        server that knows no certificates, and `user=NAME` for the name of the user that the job runs as.
        """
        if self.grant is None:
            log.warning("%s: refused, no attempt %.80r may connect", self.host, username)
            return False
        try:
            with self._nothing_read():
                certificate = await self._relay.enrolment.enrol(self.grant, "".join(responses))
        except NotProven as reason:
            log.warning("%s: %s refused, %s", self.host, self.grant.attempt_id, reason)
            self._note_refusal(reason)
            return False
        except NoKeys:
            self._put_off(f"{self.grant.issuer} does not return its keys")
            return False
        except OSError as error:
            self._put_off(error)
            return False
        log.info("%s: %s has enrolled", self.host, self.grant.attempt_id)
        if self._connection is not None:
            banner = f"{CERTIFICATE} {certificate}" if certificate else ENROLLED
            self._connection.send_auth_banner(f"{banner}\n")
        self._enrols = True
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer logins by key, for enrolled jobs."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Accept only the key that the job enrolled."""
        grant = self.grant
        if grant is None or not grant.job_key:
            return False
        is_right = key.export_public_key("openssh").decode().split()[:2] == grant.job_key.split()[:2]
        if not is_right:
            self._note_refusal("its key is not the one that it has enrolled with")
        return is_right

    def auth_completed(self) -> None:
        """Close the connection after an enrolment; after a login by key, the job must listen within `LISTEN_S`."""
        assert self._connection is not None
        if self._enrols:  # its keys are registered; a proof allows nothing else
            asyncio.get_running_loop().call_soon(self._connection.close)
            return
        self._relay.logged_in(self)
        asyncio.get_running_loop().call_later(LISTEN_S, self._end_unless_listening)

    def _end_unless_listening(self) -> None:
        if self.tunnel is None:
            self.end()

    def _put_off(self, why: object) -> None:
        log.error("%s: its login is put off: %s", self.host, why)
        self._note_refusal(f"this machine cannot check it now: {why}")
        self.end()

    def _note_refusal(self, why: object) -> None:
        if self.grant is not None:
            self._relay.sightings.note(self.grant, refused_at=time.time(), refusal=str(why), host=self.host)

    # --- what it asks for -----------------------------------------------------------------------

    async def unix_server_requested(self, listen_path: str) -> asyncssh.SSHListener | bool:
        """Open the tunnel under the workspace's virtual name; a further request replaces it."""
        if self.grant is None or self._enrols or listen_path != self.grant.path:
            return self._refuse("to listen under %.80r", listen_path)
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            return self._refuse("to listen once more")
        async with self._listening:
            try:
                return await self._relay.listen(self, self.grant)
            except (OSError, PathError) as error:
                log.error("%s: no socket for %s: %s", self.host, self.grant.workspace_id, error)
                self._note_refusal(f"its socket cannot be made: {error}")
                return False

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """Refuse to listen at a TCP port."""
        return self._refuse("to listen at %.80r port %s", listen_host, listen_port)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """Refuse a TCP connection."""
        return self._refuse("a connection to %.80r port %s", dest_host, dest_port)

    def unix_connection_requested(self, dest_path: str) -> bool:
        """Refuse a connection to a Unix socket."""
        return self._refuse("a connection to %.80r", dest_path)

    def session_requested(self) -> bool:
        """Refuse a session."""
        return self._refuse("a session")

    def tun_requested(self, unit: int | None) -> bool:
        """Refuse a tun device."""
        return self._refuse("a tunnel device")

    def tap_requested(self, unit: int | None) -> bool:
        """Refuse a tap device."""
        return self._refuse("a tunnel device")

    def _refuse(self, what: str, *arguments: object) -> bool:
        self._requests += 1
        log.warning(f"%s: refused {what}", self.host, *arguments)
        if self._requests > MOST_REQUESTS:
            log.warning("%s: too many requests, and its connection ends", self.host)
            self.end()
        return False

    # --- the connection -------------------------------------------------------------------------

    @property
    def connection(self) -> asyncssh.SSHServerConnection | None:
        """The asyncssh connection, None once it has ended."""
        return None if self._connection is None or self._connection.is_closed() else self._connection

    def end(self) -> None:
        """Close the connection without a message, so that the job takes it for a network fault and reconnects."""
        if self._connection is not None:
            self._connection.abort()

    def buffered(self) -> int:
        """Bytes that wait for the job to read."""
        transport = self._transport()
        return 0 if transport is None else transport.get_write_buffer_size()

    @contextmanager
    def _nothing_read(self) -> Iterator[None]:
        """Pause reading: while asyncssh answers a packet, it buffers arriving data without bound."""
        transport = self._transport()
        if transport is None:
            yield
            return
        transport.pause_reading()
        try:
            yield
        finally:
            with suppress(RuntimeError):  # it has ended meanwhile
                transport.resume_reading()

    def _transport(self) -> asyncio.Transport | None:
        """The connection's transport, which asyncssh exposes under a private name only."""
        return getattr(self._connection, "_transport", None)


class Relay:
    """The state that all connections share: grants, logins in progress, tunnels."""

    def __init__(self, folder: AccessFolder, limits: Limits) -> None:
        self.folder = folder
        self.grants = Grants(folder.grants)
        self.login_rate = LoginRate()
        self._limits = limits
        self._logins = Logins(limits)
        self.enrolment = Enrolment(folder, self.grants)
        self.sightings = Sightings(folder.seen, folder.reached, self.grants)
        self._connections: set[JobConnection] = set()

    @property
    def has_tunnels(self) -> bool:
        """Whether a job holds a tunnel."""
        return bool(self._connections)

    # --- who is here ----------------------------------------------------------------------------

    def admit(self, connection: JobConnection) -> None:
        """Add a login in progress; end the one that must make room, whose slot is free at once."""
        must_end = self._logins.begin(connection, time.monotonic())
        if isinstance(must_end, JobConnection):
            log.warning("%s: too many logins are in progress; a stalled one was ended", must_end.host)
            self._logins.end(must_end)
            must_end.end()

    def logged_in(self, connection: JobConnection) -> None:
        """Count the connection as a tunnel. It replaces an earlier connection of the same attempt."""
        assert connection.grant is not None
        self._logins.end(connection)
        attempt_id = connection.grant.attempt_id
        self.login_rate.note(attempt_id, time.monotonic())
        for other in list(self._connections):
            if other.grant is not None and other.grant.attempt_id == attempt_id:
                self._leave(other)
                other.end()
        if len(self._connections) >= self._limits.tunnels:
            log.error("the limit of %s tunnels is reached", len(self._connections))
            connection.end()
            return
        self._connections.add(connection)

    def forget(self, connection: JobConnection) -> None:
        """Remove a connection that has ended, and close its tunnel."""
        self._logins.end(connection)
        self._leave(connection)

    def _leave(self, connection: JobConnection) -> None:
        if connection.tunnel is not None:
            connection.tunnel.close()
            if connection in self._connections:
                self.sightings.note(connection.tunnel.grant, ended_at=time.time())
        self._connections.discard(connection)

    # --- tunnels --------------------------------------------------------------------------------

    async def listen(self, connection: JobConnection, grant: Grant) -> Tunnel | bool:
        """Open the attempt's tunnel; False if it may not listen or has ended. Raises `OSError` and `PathError`."""
        if await asyncio.to_thread(self.grants.standing, grant) is GrantStatus.SUPERSEDED:
            log.warning("%s: refused %s, a newer attempt may listen", connection.host, grant.attempt_id)
            return False
        carrier = connection.connection
        if carrier is None or connection not in self._connections:
            return False
        tunnel = Tunnel(self.folder, grant, carrier, self._limits.sessions, connection.end)
        await asyncio.to_thread(self.folder.prepare_sockets)
        await tunnel.listen()
        if connection.connection is None or connection not in self._connections:
            tunnel.close()
            return False
        before, connection.tunnel = connection.tunnel, tunnel
        if before is not None:
            before.close()
        log.info("%s: %s listens", connection.host, grant.attempt_id)
        self.sightings.note(grant, connected_at=time.time(), host=connection.host, socket_problem="")
        return tunnel

    async def watch(self) -> None:
        """End the tunnels of superseded attempts, and listen again where a socket was removed."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self._look()
            except Exception:
                log.exception("the tunnels could not be checked")

    async def _look(self) -> None:
        connections = [one for one in self._connections if one.grant is not None]
        try:
            await asyncio.to_thread(self.sightings.flush)
        except OSError as error:
            log.warning("what is seen of jobs cannot be recorded: %s", error)
        seen = await asyncio.to_thread(lambda: [self._state_of(one) for one in connections])
        for connection, (standing, has_socket) in zip(connections, seen, strict=True):
            assert connection.grant is not None
            if standing is GrantStatus.SUPERSEDED:
                log.info("%s is superseded, and its tunnel ends", connection.grant.attempt_id)
                connection.end()
            elif connection.buffered() > MOST_BUFFERED:
                log.warning("%s: it does not read, and its connection ends", connection.host)
                connection.end()
            elif not has_socket:
                await self._listen_again(connection)
            if standing is GrantStatus.UNKNOWN:
                log.error("the grants cannot be read, so tunnels stay as they are")

    def _state_of(self, connection: JobConnection) -> tuple[GrantStatus, bool]:
        assert connection.grant is not None
        tunnel = connection.tunnel
        has_socket = tunnel is None or tunnel.is_closed or tunnel.is_there()
        return self.grants.standing(connection.grant), has_socket

    async def _listen_again(self, connection: JobConnection) -> None:
        tunnel = connection.tunnel
        if tunnel is None or tunnel.is_closed:
            return
        try:
            await asyncio.to_thread(self.folder.prepare_sockets)
            await tunnel.listen()
            await asyncio.to_thread(ssh_files.renew, self.folder)
            log.info("%s: its socket was removed, and is there again", tunnel.grant.workspace_id)
            self.sightings.note(tunnel.grant, socket_problem="")
        except (OSError, PathError) as error:
            log.error("%s: no socket: %s", tunnel.grant.workspace_id, error)
            self.sightings.note(tunnel.grant, socket_problem=str(error))
