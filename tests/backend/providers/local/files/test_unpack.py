"""Hostile tars: each attack is refused, and nothing outside of the workspace's folder is ever written."""

from __future__ import annotations

import io
import stat
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backend.providers.archives import archive, leftovers, member, nobody, tree
from tests.backend.providers.contract import workspace
from wsdash.backend.archive import ArchiveError
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.files import unpack

EVIL = b"written by the archive"
ATTACKS = {
    "an absolute path": [member("{outside}/file", content=EVIL)],
    "a path with ..": [member("projects/../../outside/file", content=EVIL)],
    "only ..": [member("..", tarfile.DIRTYPE)],
    "through a link to a folder": [
        member("projects/a", tarfile.SYMTYPE, "{outside}"),
        member("projects/a/file", content=EVIL),
    ],
    "through a relative link": [
        member("projects/a", tarfile.SYMTYPE, "../../outside"),
        member("projects/a/file", content=EVIL),
    ],
    "through a chain of links": [
        member("projects/a", tarfile.SYMTYPE, "."),
        member("projects/b", tarfile.SYMTYPE, "a/../../../outside"),
        member("projects/b/file", content=EVIL),
    ],
    "a folder over a link": [
        member("projects/a", tarfile.SYMTYPE, "{outside}"),
        member("projects/a", tarfile.DIRTYPE),
        member("projects/a/file", content=EVIL),
    ],
    "a file over a link to a file": [
        member("projects/a", tarfile.SYMTYPE, "{outside}/canary"),
        member("projects/a", content=EVIL),
    ],
    "a link instead of a mounted folder": [member("projects", tarfile.SYMTYPE, "{outside}")],
    "a link instead of a volume": [member("volumes/data", tarfile.SYMTYPE, "{outside}")],
    "a hard link to an absolute path": [
        member("projects/a", tarfile.LNKTYPE, "{outside}/canary"),
        member("projects/a", content=EVIL),
    ],
    "a hard link with ..": [member("projects/a", tarfile.LNKTYPE, "projects/../../outside/canary")],
    "a hard link through a link": [
        member("projects/a", tarfile.SYMTYPE, "{outside}"),
        member("projects/b", tarfile.LNKTYPE, "projects/a/canary"),
    ],
    "a hard link to a folder": [member("home/a", tarfile.DIRTYPE), member("home/b", tarfile.LNKTYPE, "home/a")],
    "a hard link to what comes later": [
        member("home/a", tarfile.LNKTYPE, "home/b"),
        member("home/b", content=EVIL),
    ],
    "a file over a hard link to a link": [
        member("projects/a", tarfile.SYMTYPE, "{outside}/canary"),
        member("projects/b", tarfile.LNKTYPE, "projects/a"),
        member("projects/b", content=EVIL),
    ],
    "a device": [member("projects/null", tarfile.CHRTYPE)],
    "a block device": [member("projects/disk", tarfile.BLKTYPE)],
    "a named pipe": [member("projects/pipe", tarfile.FIFOTYPE)],
    "a sparse file of nothing": [member("projects/sparse", tarfile.GNUTYPE_SPARSE)],
    "a folder of the provider's own": [member("tmp/file", content=EVIL)],
    "the description twice": [member("workspace.json", content=b"{}")],
    "a file where a folder is": [member("projects/a/b", content=EVIL), member("projects/a", content=EVIL)],
    "a folder where a file is": [member("projects/a", content=EVIL), member("projects/a/b", content=EVIL)],
    "the same file twice": [member("projects/a", content=b"1"), member("projects/a", content=b"2")],
    "a name that no file system takes": [member("projects/" + "x" * 300, content=EVIL)],
}  # fmt: skip


def bound(members: list[tuple[tarfile.TarInfo, bytes]], outside: Path) -> bytes:
    for info, _ in members:
        info.name = info.name.replace("{outside}", str(outside))
        info.linkname = info.linkname.replace("{outside}", str(outside))
    return archive(*members)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "canary").write_text("alive")
    return folder


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_is_refused_writes_nothing_outside_and_leaves_nothing(
    attack: str, root: Path, outside: Path
) -> None:
    data, before = bound(ATTACKS[attack], outside), tree(outside)
    provider = LocalProvider(root, isolation=Isolation("plain"))
    with pytest.raises(ArchiveError):
        async with provider.unpack(workspace(), io.BytesIO(data), nobody):
            pytest.fail("the block was entered")
    assert tree(outside) == before
    assert leftovers(root) == []


def test_links_that_lead_out_are_kept_as_links_and_rights_are_cut(tmp_path: Path, outside: Path) -> None:
    data = archive(
        member("projects/link", tarfile.SYMTYPE, str(outside)),
        member("projects/hard", tarfile.LNKTYPE, "projects/link"),
        member("projects/setuid", content=b"x"),
    )
    folder = tmp_path / "in"
    folder.mkdir()
    unpack.unpack(folder, io.BytesIO(data))
    assert (folder / "projects" / "link").readlink() == outside
    assert (folder / "projects" / "hard").readlink() == outside
    assert stat.S_IMODE((folder / "projects" / "setuid").stat().st_mode) == 0o777


NAMES = st.lists(st.sampled_from(["projects", "home", "a", "b", "..", ".", ""]), min_size=1, max_size=4)
TARGETS = st.sampled_from(
    ["{outside}", "{outside}/canary", "..", "../..", "../../outside", ".", "a", "projects/a"]
)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
MEMBERS = st.lists(
    st.builds(
        lambda top, rest, kind, link: member(
            "/".join([top, *rest]), kind, link, EVIL if kind == tarfile.REGTYPE else b""
        ),
        st.sampled_from(["projects", "home"]),
        NAMES,
        KINDS,
        TARGETS,
    ),
    max_size=8,
)


@settings(max_examples=300)
@given(members=MEMBERS)
def test_no_tar_writes_outside(
    members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path, outside: Path
) -> None:
    data, before = bound(members, outside), tree(outside)
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    with suppress(ArchiveError):
        unpack.unpack(folder, io.BytesIO(data))
    assert tree(outside) == before
    assert {entry.name for entry in folder.iterdir()} <= {"projects", "home"}
