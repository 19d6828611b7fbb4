"""State stores on real files."""

from __future__ import annotations

import pytest

from wsdash.backend.store import database
from wsdash.paths import Paths


@pytest.fixture
def store_with_a_workspace(paths: Paths) -> Paths:
    database.prepare(paths)
    connection = database.connect(paths.database)
    connection.execute(
        "INSERT INTO workspace (id, name, context, desired, generation, policy, workload, created_at,"
        " desired_changed_at) VALUES ('demo', 'demo', 'local', 'stopped', 1, '{}', '{}', 1, 1)"
    )
    connection.close()
    return paths
