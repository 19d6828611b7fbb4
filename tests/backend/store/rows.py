"""Workspaces in a state store by their names."""

from __future__ import annotations

from wsdash.backend.store import database
from wsdash.backend.store.reader import Reader
from wsdash.paths import Paths


def insert_workspace(paths: Paths, name: str) -> None:
    connection = database.connect(paths.database)
    connection.execute(
        "INSERT INTO workspace (id, name, context, desired, generation, policy, workload, created_at,"
        " desired_changed_at) VALUES (?, ?, 'local', 'stopped', 1, '{}', '{}', 1, 1)",
        (name, name),
    )
    connection.close()


def names(paths: Paths) -> list[str]:
    reader = Reader(paths)
    found = [row.workspace.name for row in reader.workspaces(0.0)]
    reader.close()
    return found
