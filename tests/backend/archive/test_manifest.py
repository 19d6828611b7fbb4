"""`workspace.json`: read back as written, and refused when it is invalid."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.archive import ArchiveError, manifest
from wsdash.backend.archive.manifest import Manifest
from wsdash.model import Policy
from wsdash.workload import Command, EnvVar, Parallel, Port, Sequential, Source, Volume, Workload

FULL = Manifest(
    format=manifest.FORMAT,
    id="a1b2c3",
    name="web",
    context="local",
    source="https://example.com/web.git",
    ref=None,
    devfile="devfile.yaml",
    exported_at=1_700_000_000.25,
    policy=Policy(ladder_s=(0.5, 1.0), max_hours=8.0),
    workload=Workload(
        image="debian:12",
        env=(EnvVar("A", "é\n"),),
        source=Source("https://example.com/web.git", "main", "web"),
        post_start=(
            Sequential("all", (Command("one", "true"), Parallel("both", (Command("two", "true"),)))),
        ),
        ports=(Port("web", 8080),),
        volumes=(Volume("data", "/data", ephemeral=True),),
    ),
)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(manifest.dump(FULL))
    change(document)
    return json.dumps(document).encode()


def test_it_is_read_back_as_written() -> None:
    assert manifest.parse(manifest.dump(FULL)) == FULL


def test_what_a_later_version_adds_to_this_format_is_left_out() -> None:
    assert manifest.parse(changed(lambda document: document.update(colour="red"))) == FULL


@given(data=st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"format": 1}', b"null", b"[]"]))
def test_what_is_no_manifest_is_told_and_nothing_else_is_raised(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="is invalid"):
        manifest.parse(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format=2), "format 2; this version of wsdash reads 1"),
        (lambda d: d.pop("workload"), "workload"),
        (lambda d: d["workload"].update(image=7), "workload.image"),
        (lambda d: d["workload"]["post_start"].append({"kind": "magic"}), "workload.post_start"),
        (lambda d: d["policy"].update(beat_s=-1), "policy.beat_s"),
        (lambda d: d["policy"].update(dead_s=float("nan")), "policy.dead_s"),
        (lambda d: d["policy"].update(ladder_s=[1, 0]), "policy.ladder_s"),
        (lambda d: d["policy"].update(start_limit=0), "policy.start_limit"),
        (lambda d: d["policy"].update(suspect_s=1000), "policy.suspect_s"),
        (lambda d: d.update(exported_at=float("inf")), "exported_at"),
        (lambda d: d.update(id="x" * 5000), "at id"),
        (lambda d: d.update(context="a\x1b[2J"), "at context"),
        (lambda d: d.update(source="a\nb"), "at source"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: Callable[[dict[str, Any]], object], words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        manifest.parse(changed(change))
