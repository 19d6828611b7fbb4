"""The server as a fixture: import it into a conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitlab_server.server import GitLabServer


@pytest.fixture
def gitlab_server(tmp_path: Path) -> Iterator[GitLabServer]:
    with GitLabServer(tmp_path / "gitlab") as server:
        yield server
