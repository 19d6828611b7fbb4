"""The places of a repository's devfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.devfile import DevfileError, choose, find


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["README.md"], None),
        ([".devfile.yml", "devfile.yml", ".devfile.yaml", "devfile.yaml"], "devfile.yaml"),
        ([".devfile.yml", "devfile.yml", ".devfile.yaml"], ".devfile.yaml"),
        ([".devfile.yml", "devfile.yml"], "devfile.yml"),
        ([".devfile.yml", ".devfile/a.yaml"], ".devfile.yml"),
        ([".devfile/python.yml"], ".devfile/python.yml"),
        ([".devfile/sub/python.yaml", "sub/devfile.yaml", ".devfile/notes.txt", ".devfile/.yaml"], None),
    ],
)
def test_the_first_of_the_known_names_is_chosen(names: list[str], chosen: str | None) -> None:
    assert choose(names) == chosen


def test_several_devfiles_in_the_folder_are_listed_and_none_is_guessed() -> None:
    with pytest.raises(DevfileError, match=r'"\.devfile/a\.yaml", "\.devfile/b\.yml"') as raised:
        choose([".devfile/b.yml", ".devfile/a.yaml"])
    assert [d.code for d in raised.value.diagnostics] == ["locate.several"]
    assert "--devfile" in raised.value.diagnostics[0].hint


def test_a_folder_on_disk_is_searched_in_the_same_order(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    (tmp_path / ".devfile").mkdir()
    (tmp_path / ".devfile" / "go.yaml").write_text("x")
    assert find(tmp_path) == tmp_path / ".devfile" / "go.yaml"
    (tmp_path / "devfile.yml").write_text("x")
    assert find(tmp_path) == tmp_path / "devfile.yml"


def test_folders_and_links_out_of_the_repository_are_no_devfiles(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("x")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "devfile.yaml").symlink_to(tmp_path / "secret.yaml")
    (repository / ".devfile.yaml").mkdir()
    assert find(repository) is None
    (repository / "real.yaml").write_text("x")
    (repository / "devfile.yml").symlink_to("real.yaml")
    assert find(repository) == repository / "devfile.yml"


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([".devcontainer.json", "devfile.yaml"], "devfile.yaml"),
        ([".devcontainer.json", ".devcontainer/devcontainer.json"], ".devcontainer/devcontainer.json"),
        ([".devcontainer.json", ".devcontainer/web/devcontainer.json"], ".devcontainer.json"),
        ([".devcontainer/web/devcontainer.json"], ".devcontainer/web/devcontainer.json"),
        ([".devcontainer/a/b/devcontainer.json", "devcontainer.json"], None),
    ],
)
def test_a_dev_container_is_chosen_where_there_is_no_devfile(names: list[str], chosen: str | None) -> None:
    assert choose(names) == chosen
