"""`wsdash relay`: the relay that jobs of a GitLab connect to."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.console import DONE, FAILED, instant, print_json
from wsdash.config.settings import load_config
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.access.relay_client import RelayClient


def relay(args: Namespace, paths: Paths) -> int:
    """Report the relay, or end it. Raises `UserError` and `ConfigError`."""
    from wsdash.backend.access.relay_client import RelayClient

    client = RelayClient(paths, load_config(paths.config_file).access)
    if args.stop:
        return _stop(args, client)
    if args.json:
        print_json(_plain(client))
    else:
        for line in _lines(client):
            print(one_line(line))
    return DONE if client.is_running() else FAILED


def _stop(args: Namespace, client: RelayClient) -> int:
    process = client.process.process() if client.is_running() else None
    if process is not None and not client.process.end():
        raise UserError(f"the relay (pid {process.pid}) did not end", f"`kill -9 {process.pid}` ends it.")
    if args.json:
        print_json(_plain(client))
    elif process is None:
        print("No relay is running.")
    else:
        print(
            f"The relay (pid {process.pid}) has ended; jobs keep running, and reconnect to the next one. A daemon or"
            " dashboard starts one while a workspace of a GitLab has a job, and so does `wsdash ssh`."
        )
    return DONE


def _lines(client: RelayClient) -> list[str]:
    host = client.process.host
    if not client.is_running():
        if not host:
            return ["No relay is running: [access] in config.toml names no host by which jobs could connect."]
        if (problem := client.process.problem()) is not None:
            return [f"No relay is running, and none can: {problem}", problem.hint]
        return ["No relay is running. It starts with the next job of a workspace of a GitLab."]
    about, process = client.process.about(), client.process.process()
    names = client.connected()
    lines = [
        f"The relay (pid {process.pid if process else '?'}) listens at {about.get('bind')} port {about.get('port')};"
        f" jobs connect to {about.get('host') or 'no name'}.",
        f"Connected: {', '.join(names) or 'no workspace'}.",
    ]
    if (problem := client.process.problem()) is not None:
        lines.append(f"It goes on with its settings of before: {problem}. {problem.hint}")
    elif reason := client.process.why_replace():
        lines.append(f"It is replaced when it is needed next: {reason}.")
    return lines


def _plain(client: RelayClient) -> dict[str, object]:
    is_running = client.is_running()
    about = client.process.about() if is_running else {}
    process = client.process.process() if is_running else None
    problem = client.process.problem()
    started_at = about.get("started_at")
    return {
        "running": is_running,
        "pid": process.pid if process else None,
        "host": about.get("host") or client.process.host or None,
        "bind": about.get("bind"),
        "port": about.get("port"),
        "started_at": instant(started_at if isinstance(started_at, float) else None),
        "connected": client.connected() if is_running else [],
        "problem": str(problem) if problem else client.process.why_replace() or None,
        "remedy": problem.hint if problem else None,
    }
