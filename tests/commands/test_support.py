"""`wsdash support`: an archive that helps, and gives nothing away."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.repositories import make_repository
from wsdash.paths import Paths


def unpacked(file: Path) -> dict[str, str]:
    with tarfile.open(file) as tar:
        return {
            member.name.partition("/")[2]: stream.read().decode()
            for member in tar
            if (stream := tar.extractfile(member)) is not None
        }


def test_the_archive_has_the_facts_and_none_of_the_planted_secrets(
    wsdash: Command, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = {
        "variable": "m4rker-of-the-environment",
        "stored": "m4rker-of-a-token-file",
        "secret": "m4rker of a secret's value",
        "log": "glpat-m4rker00000000000000",
    }
    source = make_repository(tmp_path / "app")
    monkeypatch.setenv("MY_DEPLOY_TOKEN", planted["variable"])
    monkeypatch.setenv("DEMO_KEY", planted["secret"])
    created = wsdash("create", str(source), "--name", "demo", "--secret", "DEMO_KEY", "--yes")
    monkeypatch.delenv("DEMO_KEY")
    assert created.returncode == 0, created.stderr
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_text(
        '[contexts.work]\nprovider = "gitlab"\nurl = "https://gitlab.example.com"\nproject = "a/b"\n'
    )
    paths.credentials_file.write_text(f'[tokens]\n"https://gitlab.example.com" = "{planted["stored"]}"\n')
    paths.credentials_file.chmod(0o600)
    kept = "".join(file.read_text() for file in paths.contexts.glob("*/secrets/*"))
    assert "m4rker of a secret" in kept
    paths.crash_reports.mkdir(exist_ok=True)
    output = " ".join(planted.values())
    (paths.crash_reports / "20261130T000000Z-1-0.txt").write_text(f"Traceback: {output}")
    with paths.daemon_log.open("a") as log:
        log.write(f"a line that helps: {output} https://ann:m4rker-of-an-address@git.example.com/app.git\n")
    done = wsdash("support", "--output", str(tmp_path / "report.tar.gz"))
    assert done.returncode == 0, done.stderr
    file = Path(done.stdout.strip())
    assert file.stat().st_mode & 0o777 == 0o600
    found = unpacked(file)
    assert not [name for name, text in found.items() if "m4rker" in text]
    assert "a line that helps" in found["daemon.log"]
    assert [row["name"] for row in json.loads(found["workspaces.json"])] == ["demo"]
    assert any(one["subject"] == "database" for one in json.loads(found["doctor.json"]))
    assert {"versions.json", "events.json", "config.toml", "README.txt"} <= found.keys()


@pytest.mark.parametrize(
    "harm", [lambda p: p.config_file.write_text("[["), lambda p: p.database.write_bytes(b"no")]
)
def test_what_is_broken_is_told_in_it_and_hinders_nothing(
    wsdash: Command, paths: Paths, tmp_path: Path, harm: Callable[[Paths], object]
) -> None:
    paths.prepare()
    paths.config.mkdir(exist_ok=True)
    harm(paths)
    done = wsdash("support", "--output", str(tmp_path / "report.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert "doctor.json" in unpacked(tmp_path / "report.tar.gz")


def test_a_folder_that_is_not_there_is_named(wsdash: Command, tmp_path: Path) -> None:
    done = wsdash("support", "--output", str(tmp_path / "gone" / "report.tar.gz"))
    assert done.returncode == 1
    assert "gone/report.tar.gz cannot be written" in done.stderr
