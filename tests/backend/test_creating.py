"""The devfile of a workspace, with its parents, looked at before the workspace is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import DEVFILE, make_repository
from wsdash.backend.creating import CreateRequest, Preview, look_and_translate
from wsdash.backend.errors import UserError
from wsdash.backend.providers.base import Capabilities

CHILD = "schemaVersion: 2.2.0\nparent: {uri: PARENT}\n"


async def preview(source: Path | None, devfile: str | None = None) -> Preview:
    request = CreateRequest(None if source is None else str(source), devfile=devfile)
    return await look_and_translate(request, "web", Capabilities("plain", False), lambda _: None)


@pytest.mark.parametrize("parent", ["stacks/base.yaml", "./stacks/../stacks/base.yaml"])
async def test_a_parent_is_read_from_the_same_repository(parent: str, tmp_path: Path) -> None:
    files = {"stacks/base.yaml": CHILD.replace("PARENT", "../common.yaml"), "common.yaml": DEVFILE}
    repository = make_repository(tmp_path / "demo", devfile=CHILD.replace("PARENT", parent), files=files)
    seen = await preview(repository)
    assert seen.devfile_path == "devfile.yaml"
    assert seen.workload.image == "docker.io/library/debian:12"
    assert len(seen.workload.post_start) == 1


async def test_a_devfile_in_a_folder_has_its_parent_beside_it(tmp_path: Path) -> None:
    files = {".devfile/web.yaml": CHILD.replace("PARENT", "base.yml"), ".devfile/base.yml": DEVFILE}
    repository = make_repository(tmp_path / "demo", devfile=None, files=files)
    assert (await preview(repository, ".devfile/web.yaml")).workload.image == "docker.io/library/debian:12"


@pytest.mark.parametrize("parent", ["../outside.yaml", "none.yaml", "stacks", "https://h/devfile.yaml"])
async def test_a_parent_that_cannot_be_read_is_told(parent: str, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(DEVFILE)
    repository = make_repository(
        tmp_path / "demo", devfile=CHILD.replace("PARENT", parent), files={"stacks/base.yaml": DEVFILE}
    )
    with pytest.raises(UserError, match=parent):
        await preview(repository)


async def test_what_is_wrong_in_a_parent_names_the_parents_file(tmp_path: Path) -> None:
    files = {"base.yaml": DEVFILE.replace("targetPort: 8080", "targetPort: 0")}
    repository = make_repository(tmp_path / "demo", devfile=CHILD.replace("PARENT", "base.yaml"), files=files)
    with pytest.raises(UserError, match=r"^base\.yaml:13:23: "):
        await preview(repository)


async def test_a_devfile_of_this_machine_has_its_parents_there(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(DEVFILE)
    (tmp_path / "child.yaml").write_text(CHILD.replace("PARENT", "base.yaml"))
    repository = make_repository(tmp_path / "demo", devfile=None)
    for source in (None, repository):
        seen = await preview(source, str(tmp_path / "child.yaml"))
        assert seen.workload.image == "docker.io/library/debian:12"


async def test_a_container_that_is_not_started_is_named_before_the_workspace_is_made(tmp_path: Path) -> None:
    database = "  - name: database\n    container:\n      image: docker.io/library/postgres:17\ncommands:"
    repository = make_repository(tmp_path / "demo", devfile=DEVFILE.replace("commands:", database))
    (remark,) = (d for d in (await preview(repository)).diagnostics if d.code == "provider.services")
    assert "database" in remark.message
    assert DEVFILE.replace("commands:", database).splitlines()[remark.line - 1] == "  - name: database"
