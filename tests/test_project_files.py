"""The files for whoever works on wsdash: its own CI, hooks before a commit, and the checks of `make lint`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def linters() -> list[str]:
    """The programs that `make lint` runs."""
    recipe = read("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    return re.findall(r"\$\(BIN\)/(python -m [\w.]+|\S+)", recipe)


def test_the_pipeline_is_valid_by_the_schema_of_gitlab() -> None:
    """The schema is GitLab's, as check-jsonschema ships it."""
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    found = subprocess.run([*program, ROOT / ".gitlab-ci.yml"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_pipeline_runs_the_tests_on_every_python_that_the_package_names() -> None:
    pipeline = yaml.safe_load(read(".gitlab-ci.yml"))
    [matrix] = pipeline["test"]["parallel"]["matrix"]
    project = tomllib.loads(read("pyproject.toml"))["project"]
    named = {text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)}
    assert named <= set(matrix["PYTHON_VERSION"])
    assert pipeline["test"]["script"] == [".ci/run"]


def test_the_pipeline_ignores_branches_of_workspaces() -> None:
    first = yaml.safe_load(read(".gitlab-ci.yml"))["workflow"]["rules"][0]
    assert first["when"] == "never"
    pattern = re.search(r"=~ /(.*)/$", first["if"])
    assert pattern is not None
    for branch in ("wsdash/c0087241c4", "wsdash-checkpoints/c0087241c4"):
        assert re.search(pattern[1].replace(r"\/", "/"), branch)


def test_hooks_before_a_commit_run_every_linter_without_a_network() -> None:
    repositories = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    for linter in linters():
        assert any(hook["entry"].startswith(f".venv/bin/{linter}") for hook in hooks), linter


def test_dead_code_is_found(tmp_path: Path) -> None:
    """With the project's own settings: a function that nothing calls is named."""
    file = tmp_path / "example.py"
    file.write_text("def used() -> None: ...\n\n\ndef forgotten() -> None: ...\n\n\nused()\n")
    command = [sys.executable, "-m", "vulture", "--config", str(ROOT / "pyproject.toml"), str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "unused function 'forgotten'" in found.stdout
    assert "'used'" not in found.stdout


@pytest.mark.parametrize("name", [".ci/run", ".ci/lowest", ".ci/find-python"])
def test_scripts_of_the_ci_can_be_executed(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111
