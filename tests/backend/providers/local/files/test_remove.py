"""Removal of folders with hostile content."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wsdash.backend.providers.local.files import remove


def test_a_hostile_folder_is_removed_and_nothing_outside_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = tmp_path / "w"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "read-only").write_text("x")
    (folder / "out").symlink_to(outside)
    (folder / "a" / "b" / "file").symlink_to(outside / "kept")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "a" / "-rf").write_text("")
    (folder / os.fsdecode(b"\xff\n\x1b")).write_text("")
    os.mkfifo(folder / "pipe")
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0o500)
    trash = tmp_path / "trash"
    remove.remove(folder, trash, "w1")
    remove.remove(folder, trash, "w1")
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "home") == ["outside", "trash"]
    assert list(trash.iterdir()) == []
    assert (outside / "kept").read_text() == "kept"


def test_a_folder_deeper_than_any_path_may_be_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "w"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=at)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    remove.remove(top, tmp_path / "trash", "w1")
    assert not top.exists() and list((tmp_path / "trash").iterdir()) == []


def test_a_link_in_the_folders_own_place_is_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "w").symlink_to(outside)
    remove.remove(tmp_path / "w", tmp_path / "trash", "w1")
    remove.empty(tmp_path / "w")
    assert outside.is_dir() and not (tmp_path / "w").is_symlink()


def test_what_was_left_in_the_trash_goes_with_the_next_removal_of_its_owner(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    for name in ("w1.0123", "w1.x.0123", "w2.0123"):
        (trash / name / "a").mkdir(parents=True)
    remove.remove(tmp_path / "w", trash, "w1")
    assert sorted(entry.name for entry in trash.iterdir()) == ["w1.x.0123", "w2.0123"]
    remove.purge(trash)
    assert list(trash.iterdir()) == []


def test_several_may_remove_the_same_folder_at_once(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    for number in range(300):
        (trash / "w1.0123" / f"{number % 7}" / f"{number % 11}" / f"{number}").mkdir(parents=True)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: remove.purge(trash), range(4)))
    assert list(trash.iterdir()) == []
