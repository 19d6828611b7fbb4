"""Checkpoints that are kept on this machine: the newest, whole or not at all; none that could be missed is dropped."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.gitlab.tunnel.checkpoints import offer_of
from wsdash.backend.store import checkpoint_files as module
from wsdash.backend.store.checkpoint_files import Checkpoint, CheckpointId, CheckpointStore, NoRoom


def one(text: str, data: bytes = b"work") -> Checkpoint:
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return Checkpoint(CheckpointId.of(text), 1000, len(data), digest)


def keep(kept: CheckpointStore, text: str, base: str, data: bytes = b"work") -> None:
    with kept.draft("w", one(text, data)) as draft:
        draft.write(data)
        kept.keep("w", one(text, data), CheckpointId.of(base), draft)


def name(kept: CheckpointStore) -> str:
    newest = kept.newest("w")
    return "none" if newest is None else str(newest.id)


@pytest.fixture
def kept(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def files(tmp_path: Path) -> list[str]:
    return sorted(file.name for file in (tmp_path / "checkpoints/w").iterdir())


def test_the_newest_takes_the_place_of_the_one_before(kept: CheckpointStore, tmp_path: Path) -> None:
    assert name(kept) == "none"
    keep(kept, "1.1", "0.0")
    keep(kept, "1.2", "1.1", b"more work")
    assert name(kept) == "1.2"
    assert files(tmp_path) == ["1.2.bundle", "kept.json"]
    assert (tmp_path / "checkpoints/w/1.2.bundle").read_bytes() == b"more work"
    assert (tmp_path / "checkpoints/w").stat().st_mode & 0o777 == 0o700


def test_other_bytes_than_were_named_change_nothing(kept: CheckpointStore, tmp_path: Path) -> None:
    keep(kept, "1.1", "0.0")
    with kept.draft("w", one("1.2")) as draft, pytest.raises(ValueError, match="arrived incomplete"):
        draft.write(b"wo")
        kept.keep("w", one("1.2"), CheckpointId(1, 1), draft)
    assert name(kept) == "1.1"
    keep(kept, "1.3", "1.1")
    assert files(tmp_path) == ["1.3.bundle", "kept.json"]


def test_an_older_one_never_takes_the_place_of_a_newer(kept: CheckpointStore) -> None:
    keep(kept, "2.1", "0.0")
    with pytest.raises(ValueError, match="not newer"):
        keep(kept, "1.9", "0.0")
    assert name(kept) == "2.1"


def test_one_that_a_later_job_did_not_get_is_set_aside(kept: CheckpointStore) -> None:
    keep(kept, "1.4", "0.0", b"precious")
    keep(kept, "2.1", "0.0", b"afresh")
    keep(kept, "2.2", "2.1", b"afresh again")
    assert name(kept) == "2.2"
    assert [file.read_bytes() for file in kept.superseded("w")] == [b"precious"]
    keep(kept, "3.1", "2.2")
    assert [file.name for file in kept.superseded("w")] == ["1.4.bundle"]
    for number in range(4, 9):
        keep(kept, f"{number}.1", "0.0")
    assert len(kept.superseded("w")) == module.SUPERSEDED_KEPT
    kept.drop("w")
    assert name(kept) == "none"


def test_one_that_is_too_large_is_refused_before_a_byte_is_written(
    kept: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(kept, "1.1", "0.0")
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    with pytest.raises(NoRoom):
        kept.draft("w", one("1.2"))
    assert files(tmp_path) == ["1.1.bundle", "kept.json"]


def test_what_stands_in_the_record_is_not_trusted(kept: CheckpointStore, tmp_path: Path) -> None:
    keep(kept, "1.1", "0.0")
    record = tmp_path / "checkpoints/w/kept.json"
    for text in (
        "",
        "[]",
        "{}",
        "[1]",
        '[{"id": {"number": 1}}]',
        '[{"id": null, "at": 0, "size": 1, "hash": ""}]',
    ):
        record.write_text(text)
        assert name(kept) == "none"
        assert kept.superseded("w") == []
    keep(kept, "1.2", "0.0")
    assert name(kept) == "1.2"


@given(st.lists(st.text(max_size=12), max_size=7))
def test_an_offer_is_taken_whole_or_refused(words: list[str]) -> None:
    try:
        offer = offer_of(["new", *words], 3)
    except ValueError:
        return
    assert offer.one.id.number == 3
    assert offer.one.size >= 0
    assert offer.one.hash.isalnum()


def test_an_offer_of_another_attempt_is_refused() -> None:
    assert offer_of(["new", "3.7", "3.6", "1000", "5", "abc"], 3).base == CheckpointId(3, 6)
    with pytest.raises(ValueError, match="offers"):
        offer_of(["new", "4.1", "3.6", "1000", "5", "abc"], 3)
    with pytest.raises(ValueError, match="not a checkpoint"):
        offer_of(["new", "../x", "3.6", "1000", "5", "abc"], 3)
