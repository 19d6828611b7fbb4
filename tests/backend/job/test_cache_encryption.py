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
from tests.backend.job.scripts import HERE
from wsdash.backend.providers.gitlab.tunnel.cache_keys import keys_of

SCRIPT = f"""
. {HERE}/common.sh
here={HERE} base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE run=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE/run
. {HERE}/gitlab_storage.sh
. {HERE}/cache_encryption.sh
"""
SECRET = bytes(range(32))

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


@dataclass
class Job:
    """One job after another of a workspace with the id w1, on runners that keep nothing but the cache."""

    shell: tuple[str, ...]
    folder: Path
    number: int = 0
    said: str = ""

    @property
    def base(self) -> Path:
        return self.folder / ".wsdash/w1"

    @property
    def sealed(self) -> list[Path]:
        return sorted((self.base / "cache").glob("*"))

    def sh(self, line: str, *, stdin: str = "", restores: str = "yes") -> int:
        env = {
            "PATH": os.environ["PATH"],
            "CI_PROJECT_DIR": str(self.folder),
            "WSDASH_WORKSPACE": "w1",
            "WSDASH_ATTEMPT": f"a.{self.number}.1",
            "WSDASH_RESTORE_FROM": restores,
            "WSDASH_ENCRYPT_CACHE": "yes",
            "WSDASH_RUN": str(self.base / "run"),
            "WSDASH_RECEIVE_S": "0",
        }
        argv = [*self.shell, "-c", f"{SCRIPT}\n{line}"]
        done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, check=False)
        self.said = done.stdout
        return done.returncode

    def take(self, keys: str) -> int:
        argv = [*self.shell, str(HERE / "receive_keys.sh")]
        env = {"PATH": os.environ["PATH"], "WSDASH_RUN": str(self.base / "run")}
        return subprocess.run(
            argv, env=env, input=keys, capture_output=True, text=True, check=False
        ).returncode

    def start(self, *, secret: bytes = SECRET, restores: str = "yes") -> None:
        """With the key there, as far as a job comes before anything runs in it."""
        for folder in ("run", "live"):
            shutil.rmtree(self.base / folder, ignore_errors=True)
        self.begin(secret=secret, restores=restores)

    def begin(self, *, secret: bytes | None = SECRET, restores: str = "yes") -> None:
        """On a runner that has kept what lay open."""
        self.number += 1
        shutil.rmtree(self.base / "run", ignore_errors=True)
        (self.base / "run").mkdir(parents=True)
        if secret is not None:
            assert self.take(" ".join(keys_of(secret, "w1")) + "\n") == 0
        assert self.sh("tunnel_pid=1; ended=; choose_root; restore_state", restores=restores) == 0

    def end(self) -> int:
        return self.sh('read -r root <"$run/root"; save_state; status=$?; remove_plaintext; exit "$status"')

    @property
    def facts(self) -> str:
        found = self.base / "run/facts"
        return found.read_text().strip() if found.exists() else ""

    @property
    def notes(self) -> Path:
        return self.base / "live/projects/notes.txt"


@pytest.fixture(params=SHELLS, ids=" ".join)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(request.param, tmp_path)


@pytest.fixture
def saved(job: Job) -> Job:
    """A job has ended before, and has kept a note."""
    job.start(restores="no")
    job.notes.write_text("precious\n" * 1000)
    job.notes.chmod(0o640)
    (job.base / "live/home/link").symlink_to("nowhere")
    assert job.end() == 0
    return job


def test_what_was_sealed_is_there_again_and_nothing_of_it_lies_open(saved: Job) -> None:
    (file,) = saved.sealed
    assert b"precious" not in file.read_bytes()
    assert sorted(path.name for path in saved.base.iterdir()) == ["cache", "run"]
    assert not (saved.base / "run/keys").exists()
    saved.start()
    assert saved.notes.read_text() == "precious\n" * 1000
    assert saved.notes.stat().st_mode & 0o777 == 0o640
    assert (saved.base / "live/home/link").readlink() == Path("nowhere")
    assert saved.facts == ""
    saved.notes.unlink()
    assert saved.end() == 0
    assert len(saved.sealed) == 1 and saved.sealed != [file]
    saved.start()
    assert not saved.notes.exists()


def test_another_key_opens_nothing_and_what_it_cannot_open_stays_beside_what_is_saved(saved: Job) -> None:
    (file,) = saved.sealed
    before = file.read_bytes()
    saved.start(secret=bytes(32))
    assert saved.facts == "cache=locked"
    assert "not made with this key" in saved.said
    assert not saved.notes.exists()
    saved.notes.write_text("other\n")
    assert saved.end() == 0
    assert file.read_bytes() == before
    assert len(saved.sealed) == 2
    # From then on it saves as usual.
    saved.start(secret=bytes(32))
    assert (saved.facts, saved.notes.read_text()) == ("", "other\n")
    assert saved.end() == 0
    assert file.read_bytes() == before
    assert len(saved.sealed) == 2
    # With the first key again the newer one is what is locked.
    saved.start()
    assert saved.facts == "cache=locked"
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
    other = file.with_name(f"state-1.1.{'0' * 64}")
    file.unlink()
    other.write_bytes(b"Salted__12345678whatever")
    saved.start()
    assert saved.facts == "cache=locked"


def test_a_number_that_somebody_else_gave_it_does_not_count_and_hides_no_other(saved: Job) -> None:
    (file,) = saved.sealed
    shutil.copy(file, file.with_name(file.name.replace("state-1.1", "state-999.1")))
    saved.start()
    assert saved.facts == "cache=locked"
    assert saved.notes.read_text().startswith("precious")


def test_without_the_key_nothing_is_opened_and_at_the_end_nothing_is_sealed(saved: Job) -> None:
    before = [file.read_bytes() for file in saved.sealed]
    saved.begin(secret=None)
    assert saved.facts == "cache=locked"
    saved.notes.write_text("of this job\n")
    assert saved.end() == 1
    assert saved.facts == "cache=unsaved"
    assert [file.read_bytes() for file in saved.sealed] == before
    # What could not be encrypted is not thrown away either, where the runner keeps its folders.
    saved.begin()
    assert saved.notes.read_text().startswith("precious")
    (aside,) = (saved.base / "live/aside").iterdir()
    assert (aside / "projects/notes.txt").read_text() == "of this job\n"


def test_a_job_that_never_got_the_key_says_at_its_end_that_nothing_is_kept(job: Job) -> None:
    job.begin(secret=None, restores="no")
    assert job.facts == ""
    assert job.end() == 1
    assert job.facts == "cache=unsaved"
    assert job.sealed == []


def test_what_a_job_that_died_left_open_is_not_run_from_but_set_aside(saved: Job) -> None:
    (file,) = saved.sealed
    cached = file.read_bytes()
    saved.start()
    saved.notes.write_text("nine minutes later\n")
    file.parent.mkdir()  # as the runner unpacks its cache
    file.write_bytes(cached)
    saved.begin()
    assert saved.notes.read_text().startswith("precious")
    assert (saved.base / "live/aside/2.0/projects/notes.txt").read_text() == "nine minutes later\n"


def test_of_two_the_newer_counts_and_the_older_goes(saved: Job) -> None:
    (old,) = saved.sealed
    copy = old.read_bytes()
    saved.start()
    saved.notes.write_text("newer\n")
    assert saved.end() == 0
    old.write_bytes(copy)  # of a folder that the runner has kept
    os.utime(saved.sealed[-1], (1, 1))
    saved.start()
    assert saved.notes.read_text() == "newer\n"
    assert saved.end() == 0
    assert len(saved.sealed) == 1


def test_a_cache_that_did_not_come_is_noticed(job: Job) -> None:
    job.start()
    assert job.facts == "cache=missed"
    assert job.end() == 0
    assert len(job.sealed) == 1


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
    assert file.name == f"state-1.1.{hmac.digest(bytes.fromhex(mac_key), file.read_bytes(), 'sha256').hex()}"


def test_keys_are_two_words_of_the_right_length_or_are_not_taken(job: Job) -> None:
    (job.base / "run").mkdir(parents=True)
    for keys in ("", "a b", f"{'a' * 64}", f"{'a' * 64} {'g' * 64}", f"{'a' * 65} {'b' * 64}", "$(id) `id`"):
        assert job.take(f"{keys}\n") == 1
    assert list((job.base / "run").iterdir()) == []
    assert job.take(f"{'a' * 64} {'b' * 64}\n") == 0
    assert (job.base / "run/keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("version", ["this", "the one before"])
def test_an_open_cache_of_before_is_taken_along_and_sealed(job: Job, version: str) -> None:
    folder = job.base / ("cache/state-1.1" if version == "this" else "")
    for part in ("state", "projects", "home"):
        (folder / part).mkdir(parents=True)
    (folder / "packed").write_text("1.1\n")
    (folder / "state/saved").write_text("abc.1.1\n")
    (folder / "projects/notes.txt").write_text("open\n")
    job.start()
    assert (job.facts, job.notes.read_text()) == ("", "open\n")
    assert job.end() == 0
    job.start()
    assert job.notes.read_text() == "open\n"


def test_what_the_version_before_sealed_is_taken_over(saved: Job) -> None:
    saved.start()
    root = saved.base / "live"
    (root / "state/number").unlink()
    (root / "state/saved").write_text("abc.1.1\n")
    older = saved.base / "sealed/draft"
    older.parent.mkdir()
    pack = f"read_keys; tar -C {root} -cf - home projects volumes state | gzip -1 | cipher -out {older}"
    assert saved.sh(f'{pack} && mv {older} "{older.parent}/work-$(mac_of {older})"') == 0
    saved.start()
    assert (saved.facts, saved.notes.read_text()[:8]) == ("", "precious")
    assert saved.end() == 0
    assert len(saved.sealed) == 1
