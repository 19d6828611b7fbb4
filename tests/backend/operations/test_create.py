"""The devfile of a workspace, with its parents, looked at before the workspace is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import DEVFILE, make_repository
from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.operations.create import CreateRequest, Preview, look_and_translate
from wsdash.backend.providers.types import Capabilities

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
    with pytest.raises(WsdashError, match=parent):
        await preview(repository)


async def test_what_is_wrong_in_a_parent_names_the_parents_file(tmp_path: Path) -> None:
    files = {"base.yaml": DEVFILE.replace("targetPort: 8080", "targetPort: 0")}
    repository = make_repository(tmp_path / "demo", devfile=CHILD.replace("PARENT", "base.yaml"), files=files)
    with pytest.raises(UserError, match=r"^base\.yaml:13:23: ") as caught:
        await preview(repository)
    at = next(i for i, line in enumerate(caught.value.details) if line.startswith("base.yaml:13:23: error: "))
    assert (
        caught.value.details[at + 1].endswith("targetPort: 0}")
        or "targetPort: 0" in caught.value.details[at + 1]
    )
    assert caught.value.details[at + 2].strip() == "^"


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


COMPOSE = "services: {app: {image: 'python:3.12'}, db: {image: 'postgres:${PG}'}}\n"
CONTAINER = (
    '{"dockerComposeFile": "../compose.yml", "service": "app", "postCreateCommand": "make", } // ours\n'
)


@pytest.mark.parametrize("place", [".devcontainer/devcontainer.json", ".devcontainer/web/devcontainer.json"])
async def test_where_there_is_no_devfile_the_dev_container_says_how(place: str, tmp_path: Path) -> None:
    text = CONTAINER.replace("../", "../" * place.count("/"))
    files = {place: text, "compose.yml": COMPOSE, ".env": "PG=17\n"}
    repository = make_repository(tmp_path / "demo", devfile=None, files=files)
    seen = await preview(repository)
    assert seen.devfile_path == place
    assert seen.workload.image == "python:3.12"
    assert [service.image for service in seen.workload.services] == ["postgres:17"]
    assert "'make'" in seen.job or " make" in seen.job
    assert "provider.services" in {remark.code for remark in seen.diagnostics}


async def test_a_devfile_comes_before_a_dev_container_which_can_be_named(tmp_path: Path) -> None:
    files = {".devcontainer.json": '{"image": "python:3.12"}'}
    repository = make_repository(tmp_path / "demo", devfile=DEVFILE, files=files)
    assert (await preview(repository)).devfile_path == "devfile.yaml"
    assert (await preview(repository, ".devcontainer.json")).workload.image == "python:3.12"


async def test_several_dev_containers_are_listed_and_none_is_guessed(tmp_path: Path) -> None:
    files = {f".devcontainer/{name}/devcontainer.json": '{"image": "a"}' for name in ("api", "web")}
    repository = make_repository(tmp_path / "demo", devfile=None, files=files)
    with pytest.raises(UserError, match=r"several .*api.*web") as caught:
        await preview(repository)
    assert "--devfile" in caught.value.hint


async def test_a_dev_container_that_must_be_built_names_its_line_and_the_way_out(tmp_path: Path) -> None:
    files = {".devcontainer/devcontainer.json": '{\n  "build": {"dockerfile": "Dockerfile"}\n}'}
    repository = make_repository(tmp_path / "demo", devfile=None, files=files)
    with pytest.raises(UserError, match=r"devcontainer\.json:2:3: .* builds no image") as caught:
        await preview(repository)
    assert "--image" in caught.value.hint
    request = CreateRequest(str(repository), image="registry.example/dev:1")
    seen = await look_and_translate(request, "web", Capabilities("plain", False), lambda _: None)
    assert seen.workload.image == "registry.example/dev:1"


async def test_a_dev_container_of_this_machine_has_its_files_there(tmp_path: Path) -> None:
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer" / "devcontainer.json").write_text(CONTAINER)
    (tmp_path / "compose.yml").write_text(COMPOSE)
    (tmp_path / ".git").mkdir()
    seen = await preview(None, str(tmp_path / ".devcontainer" / "devcontainer.json"))
    assert seen.workload.image == "python:3.12"


@pytest.mark.parametrize(
    ("devfile", "image"),
    [
        (DEVFILE, "u:MARKER@reg/x"),
        (DEVFILE, "MARKER@reg/x:1"),
        (DEVFILE, "u:MARKER@reg/x@sha256:0123456789abcdef"),
        ("schemaVersion: 2.2.0\ncomponents: [{name: a, container: {image: 'u:MARKER@reg/x'}}]\n", None),
        ('{"image": "u:MARKER@reg/x"}', None),
    ],
)
async def test_an_image_with_a_password_is_refused_without_being_told(
    devfile: str, image: str | None, tmp_path: Path
) -> None:
    name = ".devcontainer.json" if devfile.startswith("{") else "devfile.yaml"
    repository = make_repository(tmp_path / "demo", devfile=None, files={name: devfile})
    with pytest.raises(UserError) as refused:
        request = CreateRequest(str(repository), image=image)
        await look_and_translate(request, "web", Capabilities("plain", False), lambda _: None)
    error = refused.value
    assert error.field == ("image" if image else "devfile")
    assert "cannot contain a user or a password" in str(error)
    assert "MARKER" not in " ".join((str(error), error.hint, *error.details, repr(request)))


@pytest.mark.parametrize("ref", ["HEAD", "@"])
async def test_gits_own_name_of_the_default_branch_is_no_branch(ref: str, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "demo")
    request = CreateRequest(str(repository), ref=ref)
    seen = await look_and_translate(request, "web", Capabilities("plain", False), lambda _: None)
    assert seen.ref is None
    assert seen.workload.source is not None and seen.workload.source.ref is None


@pytest.mark.parametrize("image", ["debian", "reg:5000/a/b:1", f"reg/x:1@sha256:{'0a' * 32}", "$REGISTRY/x"])
async def test_an_image_is_taken_as_it_is_named(image: str) -> None:
    request = CreateRequest(None, image=image)
    seen = await look_and_translate(request, "web", Capabilities("plain", False), lambda _: None)
    assert seen.workload.image == image
