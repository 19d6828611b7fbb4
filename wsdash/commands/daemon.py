"""`wsdash daemon`: the reconciler without a dashboard."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash import __version__
from wsdash.backend.errors import UserError
from wsdash.backend.store.lease import Lease
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.commands.console import DONE, FAILED
from wsdash.commands.open_reader import reading
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.service import Service

WAIT_S = 60.0
LOOK_S = 0.05


def daemon(args: Namespace, paths: Paths) -> int:
    """Run the reconciler, start it in the background, report it or stop it."""
    if args.status:
        return _status(paths)
    if args.stop:
        return _stop(paths)
    if args.detach:
        return _detach(paths)
    return _run(paths, args.idle_exit)


def holder(paths: Paths) -> Lease | None:
    """Return the lease if a process holds it now, that is, if a reconciler is running."""
    with reading(paths) as reader:
        lease = reader.lease()
    return lease if lease is not None and lease.is_held(boot_time()) else None


def _status(paths: Paths) -> int:
    lease = holder(paths)
    if lease is None:
        print(
            "No reconciler is running: stopped jobs are not restarted and commands are not executed."
            " `wsdash daemon --detach` starts one."
        )
        return FAILED
    version = "" if lease.version == __version__ else f" of wsdash {lease.version}"
    print(f"The reconciler is a {lease.owner}{version} (pid {lease.holder.pid}).")
    return DONE


def _stop(paths: Paths) -> int:
    """Stop the daemon, never a dashboard. Jobs keep running."""
    lease = holder(paths)
    if lease is None:
        print("No daemon is running.")
        return DONE
    if lease.owner != "daemon":
        raise UserError(
            f"the reconciler is a {lease.owner} (pid {lease.holder.pid}), not a daemon",
            "Quit that dashboard instead.",
        )
    try:
        os.kill(lease.holder.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise UserError(
            f"the daemon (pid {lease.holder.pid}) belongs to another user", "Ask that user."
        ) from None
    deadline = time.monotonic() + WAIT_S
    while lease.holder.is_alive():
        if time.monotonic() > deadline:
            raise UserError(
                f"the daemon (pid {lease.holder.pid}) did not end within {WAIT_S:g} s",
                f"`kill -9 {lease.holder.pid}` ends it; jobs keep running.",
            )
        time.sleep(LOOK_S)
    print(
        f"The daemon (pid {lease.holder.pid}) has ended. Jobs keep running, and stopped jobs are not restarted."
    )
    return DONE


def _detach(paths: Paths) -> int:
    from wsdash.backend.operations.daemon import spawn

    lease = holder(paths)
    if lease is None:
        child = ProcessIdentity.of(spawn(paths))
        deadline = time.monotonic() + WAIT_S
        while (lease := holder(paths)) is None:
            if child is None or not child.is_alive() or time.monotonic() > deadline:
                raise UserError(
                    f"the daemon did not start: {_last_line(paths.daemon_log)}", f"See {paths.daemon_log}."
                )
            time.sleep(LOOK_S)
    print(f"The reconciler is a {lease.owner} (pid {lease.holder.pid}).")
    return DONE


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    return lines[-1] if lines else "it printed nothing"


def _run(paths: Paths, idle_exit_s: float | None) -> int:
    """Reconcile in the foreground until a signal, or until there was nothing to do for that many seconds."""
    import asyncio
    import contextlib
    import logging

    from wsdash import __version__
    from wsdash.backend.operations.upgrades import code_changes
    from wsdash.backend.system import environments
    from wsdash.backend.system.files.bounded_log import FORMAT, log_to
    from wsdash.commands.run_service import with_service

    idle = [] if idle_exit_s is None else ["--idle-exit", f"{idle_exit_s:g}"]
    argv = [sys.executable, "-m", "wsdash", "daemon", *idle]
    if not environments.receive():
        environments.hide(argv)

    if _is_standard_error(paths.daemon_log):
        log_to(paths.daemon_log)
    else:
        logging.basicConfig(level=logging.INFO, format=FORMAT)
    log = logging.getLogger("wsdash.daemon")

    async def reconcile(service: Service) -> bool:
        work = asyncio.ensure_future(service.reconcile("daemon", idle_exit_s=idle_exit_s))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        log.info("wsdash %s, pid %d, state in %s", __version__, os.getpid(), paths.state)
        found = await service.daemon.reconciling()
        if found.by != "nobody":
            log.info("the reconciler is a %s already (pid %s)", found.by, found.pid)
        upgrade = asyncio.create_task(code_changes())
        await asyncio.wait([work, upgrade], return_when=asyncio.FIRST_COMPLETED)
        is_upgraded = upgrade.done() and not work.done()
        if is_upgraded:
            log.info("wsdash was upgraded: the daemon starts again with the new code; jobs keep running")
        upgrade.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        if not is_upgraded:
            log.info("ended; jobs keep running")
        return is_upgraded

    if with_service(paths, reconcile):
        environments.execute(argv)
    return DONE


def _is_standard_error(file: Path) -> bool:
    """Whether standard error is that file, as in a detached daemon."""
    try:
        return os.path.samestat(os.fstat(2), file.stat())
    except OSError:
        return False
