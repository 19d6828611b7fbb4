"""The attempt that the relay accepts: the newest of each workspace, by its own key."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from wsdash.backend.access.grants import Grant, Grants, GrantStatus, Unreadable

FIRST = Grant("w1", "a1", 1, name="web", job_key="ssh-ed25519 AAAA")


@pytest.fixture
def grants(tmp_path: Path) -> Grants:
    return Grants(tmp_path)


def test_a_grant_is_found_by_its_attempt_and_by_its_workspace(grants: Grants) -> None:
    grants.write(FIRST)
    assert grants.find("a1") == FIRST
    assert grants.of_workspace("w1") == FIRST
    assert grants.all() == [FIRST]
    assert grants.find("a2") is None and grants.of_workspace("w2") is None


def test_a_newer_attempt_takes_the_place_of_the_one_before(grants: Grants) -> None:
    grants.write(FIRST)
    grants.write(replace(FIRST, attempt_id="a2", number=2))
    assert grants.find("a1") is None
    assert grants.standing(FIRST) is GrantStatus.SUPERSEDED


def test_another_key_of_the_same_attempt_supersedes_it_too(grants: Grants) -> None:
    grants.write(replace(FIRST, job_key="ssh-ed25519 BBBB"))
    assert grants.standing(FIRST) is GrantStatus.SUPERSEDED


def test_a_removed_grant_lets_nobody_in(grants: Grants) -> None:
    grants.write(FIRST)
    assert grants.standing(FIRST) is GrantStatus.CURRENT
    grants.remove("w1")
    assert grants.standing(FIRST) is GrantStatus.SUPERSEDED
    grants.remove("w1")
    assert grants.all() == []


@pytest.mark.parametrize("name", ["", "../w1", ".w1", "a/b", "w\n"])
def test_an_id_that_is_no_file_name_has_no_grant(grants: Grants, tmp_path: Path, name: str) -> None:
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match="no name for a grant"):
        grants.write(replace(FIRST, workspace_id=name))
    assert grants.of_workspace(name) is None
    grants.remove(name)
    assert set(tmp_path.iterdir()) == before


def test_a_field_of_a_newer_version_is_passed_over(grants: Grants, tmp_path: Path) -> None:
    (tmp_path / "w1.json").write_text(json.dumps({**asdict(FIRST), "from_the_future": 1}))
    assert grants.find("a1") == FIRST


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"workspace_id": "w1"'])
def test_a_damaged_file_says_nothing_of_an_attempt_and_hides_no_other(
    grants: Grants, tmp_path: Path, text: str
) -> None:
    (tmp_path / "w0.json").write_text(text)
    grants.write(FIRST)
    assert grants.find("a1") == FIRST
    with pytest.raises(Unreadable, match="damaged"):
        grants.find("a0")
    assert grants.standing(replace(FIRST, workspace_id="w0")) is GrantStatus.UNKNOWN


def test_a_folder_that_is_gone_is_not_taken_for_one_without_grants(tmp_path: Path) -> None:
    grants = Grants(tmp_path / "gone")
    assert grants.standing(FIRST) is GrantStatus.UNKNOWN
    with pytest.raises(Unreadable):
        grants.all()
    with pytest.raises(Unreadable):
        grants.find("a1")


def test_a_change_is_seen_by_who_has_read_it_before(grants: Grants, tmp_path: Path) -> None:
    grants.write(FIRST)
    other = Grants(tmp_path)
    assert other.find("a1") == FIRST
    enrolled = replace(FIRST, host_key="ssh-ed25519 CCCC")
    grants.write(enrolled)
    assert other.find("a1") == enrolled
