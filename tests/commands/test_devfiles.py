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
    printed = capsys.readouterr()
    first, second = json.loads(printed.out)
    assert printed.err == ""
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
    printed = capsys.readouterr()
    assert "post_start" not in printed.out
    assert str(bad) in printed.out + printed.err


@pytest.mark.parametrize("action", ["check", "flatten", "render"])
def test_a_file_that_cannot_be_read_is_told(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", action, str(tmp_path / "none.yaml")]) == 1
    assert cli.main(["devfile", action, str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "cannot be read" in printed.err


def test_a_file_without_end_is_refused_and_not_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "check", "/dev/zero"]) == 1
    assert "reject" in capsys.readouterr().out


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A devfile in a folder of a repository, whose parent is in the folder above."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "base.yaml").write_text(DEVFILE)
    child = tmp_path / "app" / "devfile.yaml"
    child.parent.mkdir()
    child.write_text(
        "schemaVersion: 2.2.0\nparent:\n  uri: ../base.yaml\n  components:\n"
        "  - {name: tools, container: {memoryLimit: 1Gi}}\n"
    )
    return child


def test_flatten_prints_the_devfile_with_its_parents(
    family: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", "flatten", str(family)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "memoryLimit: 1Gi" in printed.out
    assert "id: greet" in printed.out
    assert "parent" not in printed.out
    family.with_name("flat.yaml").write_text(printed.out)
    assert cli.main(["devfile", "check", str(family.with_name("flat.yaml"))]) == 0


def test_flatten_json(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "flatten", "--json", str(family)]) == 0
    flat = json.loads(capsys.readouterr().out)
    assert flat.keys() == {"schemaVersion", "components", "commands", "events"}


@pytest.mark.parametrize(
    "parent", ["uri: ../../base.yaml", "uri: none.yaml", "id: nodejs", "uri: devfile.yaml"]
)
def test_what_cannot_be_flattened_is_told_and_nothing_is_printed(
    parent: str, family: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family.write_text(f"schemaVersion: 2.2.0\nparent: {{{parent}}}\n")
    assert cli.main(["devfile", "flatten", str(family)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{family}:2:" in printed.err


def test_a_remark_about_a_parent_shows_the_parents_line_and_how_to_find_it_from_here(
    family: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    family.parent.with_name("base.yaml").write_text(DEVFILE.replace("component: tools", "component: tool"))
    monkeypatch.chdir(family.parent)
    line = DEVFILE.splitlines().index("      component: tools") + 1
    assert cli.main(["devfile", "check", "devfile.yaml"]) == 1
    text = capsys.readouterr().out
    assert f"../base.yaml:{line}:18: error" in text
    assert "          component: tool\n" in text
    assert cli.main(["devfile", "check", "--json", "devfile.yaml"]) == 1
    [verdict] = json.loads(capsys.readouterr().out)
    assert [problem["file"] for problem in verdict["diagnostics"]] == ["../base.yaml"]


def test_render_uses_what_the_parent_brings(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devfile", "render", str(family)]) == 0
    assert "export GREETING=hello" in capsys.readouterr().out


def test_check_takes_the_profile_of_who_is_to_read_the_file(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", "check", "--profile", "library", str(good)]) == 0
    assert cli.main(["devfile", "check", "--profile", "gitlab", str(good)]) == 1
    assert "gl/inject-editor" in capsys.readouterr().out


CONTAINER = """{
  // made from an image that is there
  "image": "debian:13",
  "privileged": true,
  "postCreateCommand": ["make", "it work"],
}
"""


@pytest.fixture
def container(tmp_path: Path) -> Path:
    file = tmp_path / ".devcontainer" / "devcontainer.json"
    file.parent.mkdir()
    file.write_text(CONTAINER)
    return file


def test_a_dev_container_is_checked_with_carets_and_rendered(
    container: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["devfile", "check", str(container)]) == 0
    text = capsys.readouterr().out
    assert f"{container}:4:3: warning: privileged is left out" in text
    assert '      "privileged": true,\n      ^' in text
    assert f"{container}: accept" in text
    assert cli.main(["devfile", "render", str(container)]) == 0
    assert "run postCreateCommand '' 'make '\"'\"'it work'\"'\"''" in capsys.readouterr().out
    assert cli.main(["devfile", "render", "--provider", "gitlab", str(container)]) == 0
    assert "name: debian:13" in capsys.readouterr().out


@pytest.mark.parametrize("text", ['{"build": {"dockerfile": "x"}}', "{", "[]"])
def test_a_dev_container_that_becomes_no_job_is_rejected_with_its_place(
    container: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    container.write_text(text)
    assert cli.main(["devfile", "check", "--json", str(container)]) == 1
    (output,) = json.loads(capsys.readouterr().out)
    assert output["verdict"] == "reject"
    assert output["diagnostics"][0]["line"] == 1
    assert cli.main(["devfile", "render", str(container)]) == 1
    assert capsys.readouterr().out == ""


SECRETS = """\
schemaVersion: 2.2.2
metadata: {name: app, icon: "https://ada:MARKER@host/icon.svg", website: "https://host/?private_token=MARKER"}
attributes: {origin: "see https://ada:MARKER@host/app"}
variables: {token: MARKER, repository: "https://oauth2:MARKER@host/app.git"}
projects:
  - name: app
    git: {remotes: {origin: "https://oauth2:{{token}}@host/app.git", copy: "glpat-MARKERMARKERMARKER@host/app.git"}}
  - name: other
    zip: {location: "https://ada:MARKER@host/other.zip"}
starterProjects:
  - name: start
    git: {remotes: {origin: "https://glpat-MARKERMARKERMARKER@host/start.git", ssh: "ada:MARKER@host:start.git"}}
components:
  - name: dev
    container:
      image: debian:13
      env: [{name: DATABASE, value: "postgres://app:MARKER@db/app"}]
  - name: chart
    kubernetes: {uri: "https://ada:MARKER@host/chart.yaml"}
  - name: built
    image: {imageName: app, dockerfile: {git: {remotes: {origin: "https://ada:MARKER@host/app.git"}}}}
commands:
  - id: clone
    exec: {component: dev, commandLine: "git clone https://ada:MARKER@host/lib https://$USER:${TOKEN}@host/x"}
events: {postStart: [clone]}
"""
"""With a marker in each place of an address where a secret can be."""


@pytest.mark.parametrize(
    "verb",
    [
        "flatten",
        "flatten --json",
        "render",
        "render --provider gitlab",
        "check",
        "check --json",
        "check --profile gitlab",
    ],
)
def test_a_secret_in_an_address_of_a_devfile_is_never_printed(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text(SECRETS)
    cli.main(["devfile", *verb.split(), str(file)])
    printed = capsys.readouterr()
    assert "MARKER" not in printed.out + printed.err


@pytest.mark.parametrize("verb", ["flatten", "render"])
def test_what_is_not_printed_is_said_in_a_line_and_variables_stay(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text(SECRETS)
    assert cli.main(["devfile", verb, str(file)]) == 0
    printed = capsys.readouterr()
    assert "git clone https://host/lib https://$USER:${TOKEN}@host/x" in printed.out
    (line,) = [line for line in printed.err.splitlines() if line.startswith("wsdash: ")]
    assert line.startswith("wsdash: left out: the user, password or token of the address ")
    assert "more. " in line


@pytest.mark.parametrize("verb", ["flatten", "render"])
def test_a_devfile_without_secrets_is_printed_whole(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "curl 'http://localhost:${PORT}/a@b?raw' https://host.example/@scope/x?ref=main#top git@host:x"
    file = tmp_path / "devfile.yaml"
    file.write_text(DEVFILE.replace("commandLine: ", f"commandLine: {lines}; ", 1))
    assert cli.main(["devfile", verb, str(file)]) == 0
    printed = capsys.readouterr()
    assert "localhost:${PORT}/a@b?raw" in printed.out
    assert "https://host.example/@scope/x?ref=main#top git@host:x" in printed.out
    assert "left out" not in printed.err


@pytest.mark.parametrize(
    "uri",
    [
        "https://localhost/p.yaml?private_token=MARKER",
        "https://ada:MARKER@localhost/p.yaml",
        "http://host/p.yaml?job_token=MARKER",
        "ftp://MARKER@host/p.yaml",
    ],
)
@pytest.mark.parametrize("verb", ["flatten", "render", "check --fetch", "check --json --fetch"])
def test_a_secret_in_the_address_of_a_parent_is_never_printed(
    uri: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text(f"schemaVersion: 2.2.0\nparent: {{uri: '{uri}'}}\n")
    assert cli.main(["devfile", *verb.split(), str(file)]) == 1
    printed = capsys.readouterr()
    assert "MARKER" not in printed.out + printed.err


def test_a_remark_about_a_parent_from_elsewhere_tells_no_secret_of_its_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wsdash.commands.devfiles.fetch", lambda url: b"schemaVersion: 2.2.0\nbogus: 1\ncomponents: 2\n"
    )
    file = tmp_path / "devfile.yaml"
    file.write_text("schemaVersion: 2.2.0\nparent: {uri: 'https://host/p.yaml?private_token=MARKER'}\n")
    for verb in ("flatten", "check --fetch", "check --json --fetch"):
        cli.main(["devfile", *verb.split(), str(file)])
        printed = capsys.readouterr()
        assert "https://host/p.yaml?private_token=******" in printed.out + printed.err
        assert "MARKER" not in printed.out + printed.err
        assert "components: 2" in printed.out + printed.err or "--json" in verb


def test_a_secret_in_an_address_of_a_dev_container_is_never_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".devcontainer"
    folder.mkdir()
    (folder / "compose.yaml").write_text(
        """\
services:
  app: {image: debian, build: "https://ada:MARKER@host/x.git", environment: {B: "https://ada:MARKER@host"}}
  db: {image: postgres, environment: {C: "https://ada:MARKER@host"}, env_file: "https://host/?token=MARKER"}
"""
    )
    (folder / "devcontainer.json").write_text(
        json.dumps(
            {
                "dockerComposeFile": "compose.yaml",
                "service": "app",
                "features": {"https://ada:MARKER@host/f.tgz": {}, "https://host/g.tgz?token=MARKER": {}},
                "postCreateCommand": "git clone https://ada:MARKER@host/x",
                "containerEnv": {"A": "https://ada:MARKER@host/x"},
                "workspaceMount": "https://ada:MARKER@host",
            }
        )
    )
    for verb in ("check", "check --json", "render", "render --provider gitlab"):
        assert cli.main(["devfile", *verb.split(), str(folder / "devcontainer.json")]) == 0
        printed = capsys.readouterr()
        assert "MARKER" not in printed.out + printed.err


def test_check_fetches_only_when_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text("schemaVersion: 2.2.0\nparent: {uri: 'https://localhost/devfile.yaml'}\n")
    assert cli.main(["devfile", "check", str(file)]) == 0
    assert "parent.not-read" in capsys.readouterr().out
    assert cli.main(["devfile", "check", "--fetch", str(file)]) == 1
    assert "parent.fetch" in capsys.readouterr().out


def test_offline_fetches_no_parent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text("schemaVersion: 2.2.0\nparent: {uri: 'https://localhost/devfile.yaml'}\n")
    assert cli.main(["devfile", "flatten", "--offline", str(file)]) == 1
    assert "parent.remote" in capsys.readouterr().err
    assert cli.main(["devfile", "flatten", str(file)]) == 1
    assert "on this machine or its network" in capsys.readouterr().err
