"""The devfile of a repository, or the default one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import make_repository
from wsdash.backend.errors import UserError
from wsdash.backend.operations.create import CreateRequest
from wsdash.backend.service import Service


async def test_a_repository_without_a_devfile_gets_the_default_one(service: Service, tmp_path: Path) -> None:
    preview = await service.creation.preview(
        CreateRequest(str(make_repository(tmp_path / "plain", devfile=None)))
    )
    assert preview.devfile_path is None
    assert preview.workload.image


async def test_a_devfile_that_is_no_yaml_names_the_line(service: Service, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "demo", devfile="schemaVersion: 2.2.0\n  bad: [\n")
    with pytest.raises(UserError, match=r"devfile.yaml:\d+:\d+: ") as caught:
        await service.creation.preview(CreateRequest(str(source)))
    assert caught.value.field == "devfile"
