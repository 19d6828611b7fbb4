"""The process of the relay, which jobs connect to: `python -m wsdash.backend.access.relay ROOT BIND PORT HOST`."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import re
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import asyncssh

from wsdash.backend.access.listening import BACKLOG, listen
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay import algorithms
from wsdash.backend.access.relay import code as relay_code
from wsdash.backend.access.relay.admission import Limits
from wsdash.backend.access.relay.code import Needed
from wsdash.backend.access.relay.lifetime import UNUSED_S, Lifetime
from wsdash.backend.access.relay.server import JobConnection, Relay
from wsdash.backend.access.ssh import files as ssh_files
from wsdash.backend.system.files import atomic
from wsdash.backend.system.files.bounded_log import log_to
from wsdash.backend.system.processes import ProcessIdentity

log = logging.getLogger("wsdash.relay")

LOGIN_S = 15
KEEPALIVE_S = 10
ABOUT_S = 2.0
_MAKING = re.compile(r"\.([\w.-]+\.)?\d+\.\d+", re.ASCII)
"""Names of unfinished sockets and links (`tunnel.py`)."""
AGAIN_S = 1.0
"""A relay that dies sooner than this after its start is restarted only after a pause, in seconds."""


async def serve(folder: AccessFolder, settings: Needed) -> None:
    """Serve until SIGTERM, or until the relay is unused for a while. Writes its description into the folder."""
    relay = Relay(folder, Limits.of(_raise_limit_of_files()))
    with listen(settings.bind, settings.port) as listener:
        acceptor = await asyncssh.listen(
            sock=listener,
            backlog=BACKLOG,
            server_factory=lambda: JobConnection(relay),
            server_host_keys=[str(folder.host_key)],
            kex_algs=algorithms.KEX,
            encryption_algs=algorithms.CIPHERS,
            mac_algs=algorithms.MACS,
            signature_algs=algorithms.SIGNATURES,
            compression_algs=None,
            gss_host=None,
            password_auth=False,
            host_based_auth=False,
            login_timeout=LOGIN_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=3,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            server_version="wsdash",
        )
        about = {**asdict(settings), "process": ProcessIdentity.own().record(), "started_at": time.time()}
        _write_about(folder, about)
        log.info("listening at %s port %s", settings.bind, settings.port)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        watching = [
            asyncio.create_task(relay.watch()),
            asyncio.create_task(_keep_about(folder, about)),
            asyncio.create_task(_end_when_unused(folder, relay, ended)),
        ]
        await ended.wait()
        for task in watching:
            task.cancel()
        acceptor.close()
        with suppress(OSError):
            relay.sightings.flush()


async def _end_when_unused(folder: AccessFolder, relay: Relay, ended: asyncio.Event) -> None:
    life = Lifetime(time.monotonic())
    while not life.is_over(time.monotonic()):
        await asyncio.sleep(ABOUT_S)
        mark = 0
        with suppress(OSError):
            mark = folder.needed.stat().st_mtime_ns
        life.look(time.monotonic(), has_tunnels=relay.has_tunnels, need=mark)
    log.info("no workspace of a GitLab has needed the relay for %.0f minutes, and it ends", UNUSED_S / 60)
    ended.set()


async def _keep_about(folder: AccessFolder, about: dict[str, object]) -> None:
    """Restore the file that describes this process if it is removed: without it the relay counts as stopped."""
    while True:
        await asyncio.sleep(ABOUT_S)
        with suppress(OSError):
            if not folder.about.exists():
                _write_about(folder, about)


def _write_about(folder: AccessFolder, about: dict[str, object]) -> None:
    atomic.write(folder.about, json.dumps(about).encode())


def _raise_limit_of_files() -> int:
    """Raise the limit of open files to the most that this user may have; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1_000_000


def remove_sockets(folder: AccessFolder) -> None:
    """Remove the sockets of a relay that was killed. Workspaces that still exist get theirs again when they connect.

    Blocks. Other files there, such as ssh's shared connections, are not the relay's and stay.
    """
    with suppress(OSError):
        for file in list(folder.sockets.iterdir()):
            if file.name.endswith(".sock") or _MAKING.fullmatch(file.name):
                file.unlink(missing_ok=True)


def main() -> None:
    """It leaves at once where another one runs."""
    root, bind, port, host = sys.argv[1:]
    os.umask(0o077)
    folder = AccessFolder(Path(root))
    folder.prepare()
    log_to(folder.log)
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    with suppress(OSError):
        ssh_files.renew(folder)
    with folder.lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        sys.exit(_keep_serving(folder, relay_code.needed(bind, int(port), host)))


def _keep_serving(folder: AccessFolder, settings: Needed) -> int:
    """In a child, which is followed by another one when it is killed. The child holds the lock too. The exit code."""
    if not settings.port:
        with listen(settings.bind, 0) as probe:
            settings = replace(settings, port=probe.getsockname()[1])
    while True:
        remove_sockets(folder)
        child = os.fork()
        if child == 0:
            os._exit(_serve(folder, settings))
        signal.signal(signal.SIGTERM, lambda *_, pid=child: os.kill(pid, signal.SIGTERM))
        began = time.monotonic()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return code
        log.warning("the relay was ended by signal %s, and starts again", -code)
        if time.monotonic() - began < AGAIN_S:
            time.sleep(AGAIN_S)


def _serve(folder: AccessFolder, settings: Needed) -> int:
    try:
        asyncio.run(serve(folder, settings))
    except OSError as error:
        log.error("the relay cannot listen at %s port %s: %s", settings.bind, settings.port, error)
        return 1
    return 0


if __name__ == "__main__":
    main()
