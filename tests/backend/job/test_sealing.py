"""A sealed cache: one file that only a job with the workspace's own key can open, or could have made."""

from __future__ import annotations

import hmac
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS
from wsdash.backend.providers.gitlab.cache_keys import keys_of

HERE = Path(__file__).parents[3] / "wsdash/backend/job"
SCRIPT = f"""
have() {{ command -v "$1" >/dev/null 2>&1; }}
say() {{ printf 'wsdash: %s\\n' "$1"; }}
base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE run=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE/run
. {HERE}/gitlab_root.sh
. {HERE}/gitlab_sealing.sh
"""
SECRET = bytes(range(32))

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


@dataclass
class Job:
    """One job after another of a workspace with the id w1, on runners that keep nothing but the cache."""

    shell: tuple[str, ...]
    folder: Path
    said: str = ""

    @property
    def base(self) -> Path:
        return self.folder / ".wsdash/w1"

    @property
    def sealed(self) -> list[Path]:
        return sorted((self.base / "sealed").glob("*"))

    def sh(self, line: str, *, stdin: str = "", restores: str = "yes") -> int:
        env = {
            "PATH": os.environ["PATH"],
            "CI_PROJECT_DIR": str(self.folder),
            "WSDASH_WORKSPACE": "w1",
            "WSDASH_ATTEMPT": "a.1.1",
            "WSDASH_RESTORES": restores,
            "WSDASH_SEALED": "yes",
            "WSDASH_RUN": str(self.base / "run"),
            "WSDASH_RECEIVE_S": "0",
        }
        argv = [*self.shell, "-c", f"{SCRIPT}\n{line}"]
        done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, check=False)
        self.said = done.stdout
        return done.returncode

    def take(self, keys: str) -> int:
        argv = [*self.shell, str(HERE / "gitlab_sealing.sh"), "take"]
        env = {"PATH": os.environ["PATH"], "WSDASH_RUN": str(self.base / "run")}
        return subprocess.run(
            argv, env=env, input=keys, capture_output=True, text=True, check=False
        ).returncode

    def start(self, *, secret: bytes = SECRET, restores: str = "yes") -> None:
        """With the key there, as far as a job comes before anything runs in it."""
        for folder in ("run", "home", "projects", "volumes", "state"):
            shutil.rmtree(self.base / folder, ignore_errors=True)
        (self.base / "run").mkdir(parents=True)
        assert self.take(" ".join(keys_of(secret, "w1")) + "\n") == 0
        assert self.sh("dialler=1; ended=; choose_root; open_sealed", restores=restores) == 0

    def end(self) -> int:
        return self.sh('read -r root <"$run/root"; seal; status=$?; forget_open; exit "$status"')

    @property
    def facts(self) -> str:
        found = self.base / "run/facts"
        return found.read_text().strip() if found.exists() else ""

    @property
    def notes(self) -> Path:
        return self.base / "projects/notes.txt"


@pytest.fixture(params=SHELLS, ids=" ".join)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(request.param, tmp_path)


@pytest.fixture
def saved(job: Job) -> Job:
    """A job has ended before, and has kept a note."""
    job.start(restores="no")
    job.notes.write_text("precious\n" * 1000)
    job.notes.chmod(0o640)
    (job.base / "home/link").symlink_to("nowhere")
    assert job.end() == 0
    return job


def test_what_was_sealed_is_there_again_and_nothing_of_it_lies_open(saved: Job) -> None:
    (file,) = saved.sealed
    assert b"precious" not in file.read_bytes()
    assert sorted(path.name for path in saved.base.iterdir()) == ["run", "sealed"]
    assert not (saved.base / "run/keys").exists()
    saved.start()
    assert saved.notes.read_text() == "precious\n" * 1000
    assert saved.notes.stat().st_mode & 0o777 == 0o640
    assert (saved.base / "home/link").readlink() == Path("nowhere")
    assert saved.facts == ""
    saved.notes.unlink()
    assert saved.end() == 0
    assert len(saved.sealed) == 1 and saved.sealed != [file]
    saved.start()
    assert not saved.notes.exists()


def test_another_key_opens_nothing_and_nothing_is_saved_over_it(saved: Job) -> None:
    before = saved.sealed[0].read_bytes()
    saved.start(secret=bytes(32))
    assert saved.facts == "cache=locked"
    assert "not made with this key" in saved.said
    assert not saved.notes.exists()
    saved.notes.write_text("other\n")
    assert saved.end() == 0
    assert saved.sealed[0].read_bytes() == before
    saved.start()
    assert saved.notes.read_text().startswith("precious")


@pytest.mark.parametrize("where", [0, 8, 20, -1])
def test_a_changed_byte_is_noticed_before_anything_is_unpacked(saved: Job, where: int) -> None:
    (file,) = saved.sealed
    data = bytearray(file.read_bytes())
    data[where] ^= 1
    file.write_bytes(data)
    saved.start()
    assert saved.facts == "cache=locked"
    assert not saved.notes.exists()
    assert not (saved.base / "run/opened").exists()


def test_a_cut_file_and_one_that_somebody_else_made_are_noticed(saved: Job) -> None:
    (file,) = saved.sealed
    file.write_bytes(file.read_bytes()[:-100])
    saved.start()
    assert saved.facts == "cache=locked"
    other = file.with_name(f"work-{'0' * 64}")
    file.unlink()
    other.write_bytes(b"Salted__12345678whatever")
    saved.start()
    assert saved.facts == "cache=locked"


def test_without_the_key_nothing_is_opened_and_at_the_end_nothing_is_sealed(saved: Job) -> None:
    before = [file.read_bytes() for file in saved.sealed]
    shutil.rmtree(saved.base / "run")
    (saved.base / "run").mkdir()
    assert saved.sh("dialler=; ended=; choose_root; open_sealed") == 0
    assert saved.facts == "cache=locked"
    assert saved.end() == 0
    assert [file.read_bytes() for file in saved.sealed] == before


def test_a_job_that_never_got_the_key_says_at_its_end_that_nothing_is_kept(job: Job) -> None:
    (job.base / "run").mkdir(parents=True)
    assert job.sh("dialler=; ended=; choose_root; open_sealed", restores="no") == 0
    assert job.facts == ""
    assert job.end() == 1
    assert job.facts == "cache=unsaved"
    assert job.sealed == []


def test_of_two_the_newer_counts_and_the_older_goes(saved: Job) -> None:
    (old,) = saved.sealed
    copy = old.read_bytes()
    saved.start()
    saved.notes.write_text("newer\n")
    assert saved.end() == 0
    old.write_bytes(copy)  # a job died before it had removed it
    os.utime(old, (1, 1))
    saved.start()
    assert saved.notes.read_text() == "newer\n"


def test_a_cache_that_did_not_come_is_noticed(job: Job) -> None:
    job.start()
    assert job.facts == "cache=missed"
    assert job.end() == 0
    assert job.sealed == []


def test_the_keys_are_no_argument_of_a_process(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of the runner's host can read the arguments of every process there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("openssl", "cat", "sed", "tar", "gzip", "mv", "mkdir", "rm", "ls", "head"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/arguments\nexec {shutil.which(name)} "$@"\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    job.start(restores="no")
    assert job.end() == 0
    job.start()
    assert job.facts == ""
    seen = (tmp_path / "arguments").read_text()
    assert "openssl dgst" in seen and "openssl enc" in seen
    assert not [key for key in keys_of(SECRET, "w1") if key in seen]


def test_the_name_of_what_is_sealed_is_its_hmac_sha256(saved: Job) -> None:
    _, mac_key = keys_of(SECRET, "w1")
    (file,) = saved.sealed
    assert file.name == f"work-{hmac.digest(bytes.fromhex(mac_key), file.read_bytes(), 'sha256').hex()}"


def test_keys_are_two_words_of_the_right_length_or_are_not_taken(job: Job) -> None:
    (job.base / "run").mkdir(parents=True)
    for keys in ("", "a b", f"{'a' * 64}", f"{'a' * 64} {'g' * 64}", f"{'a' * 65} {'b' * 64}", "$(id) `id`"):
        assert job.take(f"{keys}\n") == 1
    assert list((job.base / "run").iterdir()) == []
    assert job.take(f"{'a' * 64} {'b' * 64}\n") == 0
    assert (job.base / "run/keys").stat().st_mode & 0o777 == 0o600


def test_an_open_cache_of_before_is_taken_along_and_sealed(job: Job) -> None:
    (job.base / "run").mkdir(parents=True)
    (job.base / "state").mkdir()
    (job.base / "state/saved").touch()
    (job.base / "projects").mkdir()
    job.notes.write_text("open\n")
    assert job.take(" ".join(keys_of(SECRET, "w1")) + "\n") == 0
    assert job.sh("dialler=1; ended=; choose_root; open_sealed") == 0
    assert (job.facts, job.notes.read_text()) == ("", "open\n")
    assert job.end() == 0
    job.start()
    assert job.notes.read_text() == "open\n"
