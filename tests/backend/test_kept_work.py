"""Work that is kept before its workspace is deleted: all of it is on the disk, or nothing is said to be kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsdash.backend.errors import UserError
from wsdash.backend.kept_work import END, Kept, keep


def answer(bundle: bytes, patch: bytes) -> bytes:
    return f"{len(bundle)} {len(patch)}\n".encode() + bundle + patch + END


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=99), st.binary(max_size=99), st.floats(1e9, 2e9))
def test_both_are_kept_as_they_came(tmp_path: Path, bundle: bytes, patch: bytes, now: float) -> None:
    folder = tmp_path / f"{hash((bundle, patch, now))}"
    kept = keep(answer(bundle, patch), "web", folder, now)
    assert (kept.bundle.read_bytes() if kept.bundle else b"") == bundle
    assert (kept.patch.read_bytes() if kept.patch else b"") == patch


@given(st.binary(max_size=50), st.binary(max_size=50), st.data())
def test_an_answer_that_was_cut_off_keeps_nothing(bundle: bytes, patch: bytes, data: st.DataObject) -> None:
    whole = answer(bundle, patch)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UserError, match=r"cannot be kept|did not come whole"):
        keep(whole[:length], "web", Path("/nowhere"), 0.0)


def test_where_there_is_nothing_no_folder_is_made(tmp_path: Path) -> None:
    assert keep(answer(b"", b""), "web", tmp_path / "kept", 0.0) == Kept(None, None)
    assert not (tmp_path / "kept").exists()


def test_what_was_kept_before_is_never_written_over(tmp_path: Path) -> None:
    keep(answer(b"first", b""), "web", tmp_path, 0.0)
    with pytest.raises(UserError, match="cannot be written"):
        keep(answer(b"second", b""), "web", tmp_path, 0.0)
