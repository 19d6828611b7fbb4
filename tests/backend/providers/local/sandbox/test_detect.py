"""The detection of the kinds of isolation that work on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.providers.contract import attempt, workspace
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.local import LocalProvider
from wsdash.backend.providers.local.sandbox import detect
from wsdash.workload import Workload


def fake(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_program_on_the_path_that_cannot_run_anything_is_not_used(tmp_path: Path) -> None:
    for name in ("podman", "docker", "bwrap"):
        fake(tmp_path / "bin", name, f"echo {name} has no daemon >&2; exit 1")
    found = detect.find(tmp_path, {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert (found.best.kind, found.imageless.kind) == ("plain", "plain")
    notes = "\n".join(found.notes)
    assert "The devfile's image is not used" in notes
    assert (
        "podman does not work here: podman has no daemon. Where it works, jobs run in the devfile's image"
        in notes
    )
    assert "bubblewrap does not work here" in notes


def test_a_container_engine_whose_processes_may_stay_is_given_no_token(tmp_path: Path) -> None:
    fake(tmp_path, "podman", f"env >>{tmp_path}/seen; exit 1")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_HOST": "unix:///here"}
    detect.find(tmp_path, {**environ, "GITLAB_TOKEN": "glpat-planted", "AWS_SECRET_ACCESS_KEY": "planted"})
    seen = (tmp_path / "seen").read_text()
    assert "DOCKER_HOST=unix:///here" in seen
    assert "planted" not in seen


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    found = detect.find(tmp_path, {"PATH": str(tmp_path)})
    assert found.best.kind == "plain"
    assert [note for note in found.notes if "is not installed" in note]


def test_what_was_found_is_remembered_until_asked_again(tmp_path: Path) -> None:
    environ = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    fake(tmp_path / "bin", "podman", f"echo x >>{tmp_path}/asked; exit 1")
    (asked := tmp_path / "asked").touch()
    first = detect.find(tmp_path, environ)
    count = asked.read_text()
    assert count and detect.find(tmp_path, environ) == first
    assert asked.read_text() == count
    detect.find(tmp_path, environ, again=True)
    assert asked.read_text() > count


def test_a_kind_can_be_forced(tmp_path: Path) -> None:
    assert detect.find(tmp_path, {"PATH": "/usr/bin:/bin", detect.FORCE: "plain"}).best.kind == "plain"


@pytest.mark.parametrize(
    ("kind", "says"), [("chroot", "is not a kind of isolation"), ("docker", "is not installed")]
)
async def test_a_forced_kind_that_does_not_work_is_refused_with_the_reason(
    tmp_path: Path, kind: str, says: str
) -> None:
    provider = LocalProvider(tmp_path, environ={"PATH": str(tmp_path), detect.FORCE: kind})
    with pytest.raises(PermanentError, match=says):
        await provider.capabilities()
    with pytest.raises(PermanentError, match=says):
        await provider.launch(workspace(), attempt(), Workload())
