"""The members of an untrusted archive that become files."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.entries import FOLDERS, entry_of
from wsdash.backend.archive.tar import Member

PARTS = st.sampled_from(["", ".", "..", "a", "é", "\0", "\n", "\ud800", "\udcff", *FOLDERS]) | st.text(
    max_size=5
)
PATHS = st.lists(PARTS, max_size=6).map("/".join)
GOOD_PATHS = st.builds(
    lambda top, rest: "/".join((top, *rest)),
    st.sampled_from(["projects", "home"]),
    st.lists(st.sampled_from(["a", "b.c", "-", "...", " ", "\\", "é", "\udcff"]), min_size=1, max_size=5),
)
KINDS = st.sampled_from(["file", "folder", "symlink", "hardlink", "special", "other"])
ANY = st.builds(
    Member, PATHS, KINDS, st.integers(), st.integers(), st.integers(0, 9), target=PATHS | st.text(max_size=9)
)


def lies_below(parts: tuple[str, ...]) -> bool:
    path = "/".join(parts)
    inside = posixpath.normpath(path) == path and not path.startswith(("/", "../"))
    return inside and bool(parts) and parts[0] in FOLDERS and "\0" not in path and ".." not in parts


@given(member=ANY)
def test_an_entry_lies_below_the_folders_of_a_workspace_whatever_the_archive_says(member: Member) -> None:
    try:
        entry = entry_of(member)
    except ArchiveError:
        return
    if entry is None:
        assert member.kind == "folder"
        return
    assert lies_below(entry.parts)
    assert entry.kind in ("file", "folder", "symlink", "hardlink")
    assert entry.mode == member.mode & 0o777
    assert entry.mtime_ns >= 0
    if entry.kind == "hardlink":
        assert lies_below(entry.link)
    if len(entry.parts) == 1 or (entry.parts[0] == "volumes" and len(entry.parts) == 2):
        assert entry.kind == "folder"


@given(path=GOOD_PATHS, target=st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_ordinary_members_are_kept_and_links_stay_as_they_are_written(path: str, target: str) -> None:
    for kind in ("file", "folder"):
        entry = entry_of(Member(path, kind, 0o4755))
        assert entry is not None
        assert (entry.path, entry.kind, entry.mode) == (path, kind, 0o755)
    link = entry_of(Member(path, "symlink", target=target))
    assert link is not None and (link.path, link.target) == (path, target)
    hard = entry_of(Member(path, "hardlink", target=path))
    assert hard is not None and "/".join(hard.link) == path


def test_a_repository_may_hold_a_link_to_anywhere() -> None:
    for target in ("/etc/passwd", "../../../../etc", "."):
        entry = entry_of(Member("projects/app/link", "symlink", target=target))
        assert entry is not None and entry.target == target


def test_a_leading_dot_as_tar_writes_it_is_nothing() -> None:
    assert entry_of(Member("./", "folder")) is None
    entry = entry_of(Member("./projects/app/", "folder"))
    assert entry is not None and entry.parts == ("projects", "app")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (Member("/etc/passwd", "file"), "absolute"),
        (Member("projects/../../x", "file"), "outside"),
        (Member("projects/..", "folder"), "outside"),
        (Member("etc/passwd", "file"), "none of projects, home, volumes"),
        (Member("tmp/x", "file"), "none of projects, home, volumes"),
        (Member("", "file"), "none of projects, home, volumes"),
        (Member("projects", "symlink", target="/etc"), "must be a folder"),
        (Member("home", "file"), "must be a folder"),
        (Member("home", "hardlink", target="home/x"), "must be a folder"),
        (Member("volumes/data", "symlink", target="/etc"), "must be a folder"),
        (Member("volumes/.hidden/x", "file"), "volume"),
        (Member("projects/x", "hardlink", target="/etc/shadow"), "absolute"),
        (Member("projects/x", "hardlink", target="../x"), "outside"),
        (Member("projects/x", "hardlink", target="workspace.json"), "none of"),
        (Member("projects/x", "special"), "device"),
        (Member("projects/x", "symlink", target=""), "nowhere"),
        (Member("projects/x", "symlink", target="a\0b"), "nowhere"),
        (Member("projects/a\0b", "file"), "not a valid file name"),
        (Member("projects/\ud800", "file"), "not a valid file name"),
        (Member("projects/" + "a/" * 2048, "folder"), "longer than"),
    ],
)
def test_what_is_refused_is_told_by_name(member: Member, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        entry_of(member)
