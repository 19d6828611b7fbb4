"""`wsdash support`: writes an archive for a bug report, with secrets removed."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from wsdash import __version__
from wsdash.backend.errors import UserError
from wsdash.backend.operations import support as bundle
from wsdash.backend.store.errors import DatabaseError
from wsdash.backend.system.files import atomic
from wsdash.commands.console import DONE
from wsdash.commands.doctor import findings_json
from wsdash.commands.json_output import event_json, row_json
from wsdash.commands.open_reader import reading
from wsdash.config.settings import Config, ConfigError, load_config
from wsdash.paths import PathError, Paths

MOST_EVENTS = 200
"""The number of newest events of each workspace that the archive has."""
_LIBRARIES = ("aiosqlite", "asyncssh", "pydantic", "python-gitlab", "pyyaml", "textual")
_README = """\
Facts about wsdash on one machine, for a bug report: versions, the findings of `wsdash doctor`, the configuration,
workspaces and their events, the logs of the daemon and the relay, crash reports. Logs of jobs and files of workspaces
are not included. Known secrets, and texts that look like one, were replaced by ***. Read it before you send it.
"""


def support(args: Namespace, paths: Paths) -> int:
    """Write the archive for a bug report."""
    now = time.time()
    name = f"wsdash-support-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
    file = Path(args.output or f"{name}.tar.gz")
    try:
        config: Config | None = load_config(paths.config_file)
    except ConfigError:
        config = None  # doctor says so
    redact = bundle.Redactor(bundle.known_secrets(paths, config, os.environ))
    data = bundle.archive(_entries(paths, now), redact, name, now)
    try:
        atomic.write(file, data)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror}", "Name another file with --output."
        ) from error
    print(file)
    print(
        "Known secrets were removed. Read it before you send it: `tar -tzf` lists its files.",
        file=sys.stderr,
    )
    return DONE


def _entries(paths: Paths, now: float) -> Iterator[tuple[str, str]]:
    yield "README.txt", _README
    yield "versions.json", _json(_versions())
    yield "doctor.json", _json(findings_json(paths))
    yield from _of_store(paths, now)
    yield from bundle.texts(paths)


def _of_store(paths: Paths, now: float) -> Iterator[tuple[str, str]]:
    try:
        with reading(paths) as reader:
            rows = reader.workspaces(now, deleted=True)
            events = {row.workspace.id: reader.events(row.workspace.id, limit=MOST_EVENTS) for row in rows}
    except (DatabaseError, PathError, sqlite3.Error) as error:
        yield "workspaces.txt", f"The state store cannot be read: {error}\n"
        return
    yield "workspaces.json", _json([row_json(row, paths) for row in rows])
    yield "events.json", _json({key: [event_json(event) for event in found] for key, found in events.items()})


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "wsdash": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        **found,
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
