from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.repositories import DEVFILE
from wsdash import cli


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yaml"
    file.write_text(DEVFILE)
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text(DEVFILE.replace("component: tools", "component: tool"))
    return file


def test_check_accepts_and_rejects(good: Path, bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: accept\n"
    assert cli.main(["devfile", "check", str(good), str(bad)]) == 1
    text = capsys.readouterr().out
    assert f"{bad}: reject" in text
    assert "component: tool" in text


def test_check_json_is_an_array_with_an_object_a_file(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", "check", "--json", str(good), str(bad)]) == 1
    said = capsys.readouterr()
    first, second = json.loads(said.out)
    assert said.err == ""
    assert (first["file"], first["verdict"]) == (str(good), "accept")
    assert (second["file"], second["verdict"]) == (str(bad), "reject")
    (problem, *_) = second["diagnostics"]
    assert problem.keys() == {"line", "column", "severity", "code", "message", "hint"}
    assert problem["line"] == DEVFILE.splitlines().index("      component: tools") + 1


def test_render_prints_the_job_on_standard_output(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "render", str(good), "--provider", "local", "--name", "web"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# workspace web\n")
    assert "export GREETING=hello" in text


def test_render_of_a_broken_devfile_prints_no_job(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "render", str(bad)]) == 1
    said = capsys.readouterr()
    assert "post_start" not in said.out
    assert str(bad) in said.out + said.err


@pytest.mark.parametrize("action", ["check", "render"])
def test_a_file_that_cannot_be_read_is_told(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", action, str(tmp_path / "none.yaml")]) == 1
    assert cli.main(["devfile", action, str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "cannot be read" in said.err


def test_a_file_without_end_is_refused_and_not_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "check", "/dev/zero"]) == 1
    assert "reject" in capsys.readouterr().out
