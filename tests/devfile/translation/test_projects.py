"""The project that is cloned, and its folder."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile, translated, unsupported_parts
from wsdash.workload import (
    Source,
)


class TestSource:
    URL = "https://host/team/app.git"
    PROJECT = f"projects: [{{name: app, clonePath: src/app, git: {{remotes: {{origin: '{URL}'}}}}}}]\n"

    def test_without_projects_the_given_source_stays(self) -> None:
        assert translated(devfile(), source=Source(self.URL, "main", "x")).workload.source == Source(
            self.URL, "main", "x"
        )
        assert translated(devfile()).workload.source is None

    def test_the_first_project_is_cloned_where_nothing_else_is_given(self) -> None:
        assert translated(devfile(self.PROJECT)).workload.source == Source(self.URL, None, "src/app")

    @pytest.mark.parametrize(
        "url", ["https://host/team/app", "git@host:team/app.git", "ssh://me@host/team/app.git"]
    )
    def test_the_given_source_takes_the_folder_of_the_project_that_it_is(self, url: str) -> None:
        translation = translated(devfile(self.PROJECT), source=Source(url, "topic"))
        assert translation.workload.source == Source(url, "topic", "src/app")
        assert unsupported_parts(translation) == []

    def test_another_source_takes_the_folder_too_so_that_commands_find_it_and_that_is_said(self) -> None:
        translation = translated(devfile(self.PROJECT), source=Source("https://host/fork.git"))
        assert translation.workload.source == Source("https://host/fork.git", None, "src/app")
        assert unsupported_parts(translation) == ["ignored.project"]

    @pytest.mark.parametrize("path", ["/etc", "../x", "a/../../x", ".", "./"])
    def test_a_clone_path_stays_inside(self, path: str) -> None:
        translation = translated(devfile(self.PROJECT.replace("src/app", path)))
        assert translation.workload.source == Source(self.URL, None, "app")
        assert unsupported_parts(translation) == ["project.clone-path"]

    @pytest.mark.parametrize(
        "url", ["/etc", "file:///etc", "ext::sh -c x", "--upload-pack=x", "-x@host:a", "https://-x"]
    )
    def test_only_network_addresses_of_git_are_cloned(self, url: str) -> None:
        translation = translated(devfile(self.PROJECT.replace(self.URL, url)))
        assert (translation.workload.source, unsupported_parts(translation)) == (None, ["project.url"])

    def test_the_remote_to_check_out_is_the_devfiles_choice(self) -> None:
        remotes = "{a: 'https://h/a', origin: 'https://h/o'}"
        text = devfile(
            f"projects: [{{name: p, git: {{remotes: {remotes}, checkoutFrom: {{remote: a, revision: v1}}}}}}]\n"
        )
        translation = translated(text)
        assert translation.workload.source == Source("https://h/a", "v1", "p")
        assert unsupported_parts(translation) == ["ignored.checkout-remote"]

    def test_further_projects_are_listed(self) -> None:
        text = devfile(
            "projects: [{name: a, zip: {location: x}}, {name: b, zip: {}}]\n"
            "dependentProjects: [{name: c, zip: {}}]\nstarterProjects: [{name: d, zip: {}}]\n",
            version="2.2.2",
        )
        assert sorted(unsupported_parts(translated(text))) == ["ignored.project"] * 3 + [
            "ignored.starter-project"
        ]
