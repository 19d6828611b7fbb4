"""The words that the scripts of a job share with Python stand once, in protocol.py, and their map is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.backend.job.scripts import SCRIPTS, SOURCES
from wsdash.backend.job import protocol
from wsdash.backend.providers.gitlab.ci import pipeline_name

PACKAGE = SOURCES.parents[2]
README = (SOURCES / "README.md").read_text()
TEXTS = {script.name: script.read_text() for script in SCRIPTS}
CODE = {name: re.sub(r"^[ \t]*#.*\n", "", text, flags=re.MULTILINE) for name, text in TEXTS.items()}
ALL = "\n".join(CODE.values())
RENDERED = {"workload.sh", "volumes.sh", "secrets.sh", "restore.sh"}
"""Files with such a name that are no scripts of the package."""
VARIABLE = re.compile(r"\bWSDASH_[A-Z_]*[A-Z]\b")
OF_WSDASH_ITSELF = re.compile(r"WSDASH_(HOME|JOB|ENVIRONMENT|GIT_[A-Z]+|GITLAB_TOKEN|ISOLATION)")
"""Variables of wsdash's own processes, and of those that it runs on this machine."""


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of each row of the section's tables, without their heads."""
    found = [line for line in section(title).splitlines() if re.match(r"\| `", line)]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found]


def names(cell: str) -> set[str]:
    return set(re.findall(r"[a-z_]+\.sh", cell))


def python_files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.py")}


def test_each_script_has_a_name_of_its_own_and_only_what_is_executed_names_its_interpreter() -> None:
    assert len(TEXTS) == len(SCRIPTS)
    for script in SCRIPTS:
        assert TEXTS[script.name].startswith("#!/bin/sh\n") == (script.parent.name == "bin"), script.name


def test_the_map_has_each_script_and_no_other() -> None:
    listed = [name for row in rows("Callers and calls") for name in re.findall(r"[a-z_]+\.sh", row[0])]
    assert sorted(listed) == sorted(TEXTS)
    assert names(README) <= set(TEXTS) | RENDERED


@pytest.mark.parametrize(
    "row", [row for row in rows("Callers and calls") if len(row) == 4], ids=lambda row: row[0]
)
def test_the_map_says_what_each_script_sources(row: list[str]) -> None:
    text = CODE[row[0].strip("`")]
    sourced = set(re.findall(r'(?<!\S)\. "\$(?:here|\{0%/\*\})/([a-z_]+\.sh)"', text)) - RENDERED
    hook = {"gitlab_emit.sh"} if '. "$WSDASH_EMIT_HOOK"' in text else set()
    assert names(row[2]) == sourced | hook


@pytest.mark.parametrize(
    "row", [row for row in rows("Callers and calls") if len(row) == 4], ids=lambda row: row[0]
)
def test_the_map_says_what_each_script_executes(row: list[str]) -> None:
    name = row[0].strip("`")
    with_sourced = "\n".join(CODE[part] for part in (name, *names(row[2])))
    run = re.findall(r"""(?:sh|cp|cat) ["']?\$(?:here|\{0%/\*\})/([a-z_]+\.sh)""", with_sourced)
    assert names(row[3]) == set(run) - RENDERED - {name}


def test_the_map_has_each_variable_and_no_other() -> None:
    assert set(VARIABLE.findall(README)) == set(VARIABLE.findall("\n".join(TEXTS.values())))


def test_variables_are_given_by_python_or_by_another_script_or_have_a_default() -> None:
    used = set(VARIABLE.findall(ALL))
    assert used >= protocol.ENVIRONMENT
    # Read of the environment of other jobs.
    for name in used - protocol.ENVIRONMENT - {"WSDASH_MAIN"}:
        assert re.search(rf"(\b{name}=|\$\{{{name}:-)", ALL), name


def test_python_gives_the_variables_of_the_protocol_and_no_other() -> None:
    given: set[str] = set()
    for folder in ("backend/providers", "backend/access"):
        for text in python_files(PACKAGE / folder).values():
            given |= set(VARIABLE.findall(text))
    for module in ("render.py", "web_editor.py"):
        given |= set(VARIABLE.findall((PACKAGE / "backend/job" / module).read_text()))
    assert {name for name in given if not OF_WSDASH_ITSELF.fullmatch(name)} == protocol.ENVIRONMENT


def test_the_map_has_each_file_of_the_run_folder_and_no_other() -> None:
    inside = re.findall(r"\$(?:run|WSDASH_RUN|\{WSDASH_RUN:-/nowhere\})/([a-z][a-z-]*)", ALL)
    written = {
        name for row in rows("The run folder of a GitLab job") for name in re.findall(r"`([a-z-]+)`", row[0])
    }
    assert written == {*inside, "job"}
    assert "/run/job/" in (PACKAGE / "backend/providers/gitlab/ci/config.py").read_text()


def test_the_job_knows_each_command_of_the_tunnel_and_no_other() -> None:
    enter = CODE["tunnel.sh"].split("\nenter() {\n")[1].split("\n}\n")[0]
    cases = re.findall(r"^\s*('?wsdash-[^)]*)\)", enter, flags=re.MULTILINE)
    assert set(re.findall(r"wsdash-[a-z]+", " ".join(cases))) == protocol.COMMANDS
    listed = " ".join(row[0] for row in rows("Commands of the tunnel"))
    assert set(re.findall(r"wsdash-[a-z]+", listed)) == protocol.COMMANDS
    assert protocol.HEARTBEATS_BEFORE not in protocol.COMMANDS


def test_a_command_of_the_tunnel_is_named_in_python_by_the_protocol_alone() -> None:
    for file, text in python_files(PACKAGE).items():
        if file != "backend/job/protocol.py":
            assert not re.findall(rf'"({"|".join(protocol.COMMANDS)})"', text), file


def test_a_job_reports_the_facts_of_the_protocol_and_python_reads_no_other() -> None:
    name = re.search(r'^  name="wsdash/(.*)"$', CODE["gitlab_heartbeat.sh"], flags=re.MULTILINE)
    assert name is not None
    output = set(re.findall(r"(\w+)=\$", name[1]))
    output |= set(re.findall(r'add_fact "?([a-z]+)=', CODE["gitlab_heartbeat.sh"]))
    storage = CODE["gitlab_storage.sh"] + CODE["cache_encryption.sh"]
    output |= set(re.findall(r"report_problem ([a-z]+) ", storage)) | set(
        re.findall(r"'([a-z]+)=[a-z]+\\n'", storage)
    )
    assert output == protocol.FACTS
    assert set(protocol.FACTS_BEFORE.values()) <= protocol.FACTS
    read: set[str] = set()
    for text in python_files(PACKAGE / "backend/providers/gitlab").values():
        read |= set(re.findall(r'facts(?:\.get\(|\[|, )"([a-z_]+)"', text))
        read |= set(re.findall(r'"([a-z_]+)" (?:not )?in [a-z.]*facts', text))
        read |= {
            fact for fact, _ in re.findall(r'\("([a-z]+)", "(missed|older|damaged|locked|un[a-z]+)"\)', text)
        }
    assert read and read <= protocol.FACTS


def test_a_job_passes_the_states_of_the_protocol_and_no_other() -> None:
    final = re.search(r"is_final\(\) \{\n\s*case \$state in ([a-z |]+)\)", CODE["gitlab.sh"])
    assert final is not None
    assert tuple(final[1].replace("|", " ").split()) == protocol.RUNNING_STATES
    set_by_scripts = set(re.findall(r"(?:set_state|report_state|emit_end) ([a-z][a-z-]*)", ALL)) | {"queued"}
    assert set_by_scripts == {*protocol.RUNNING_STATES, *protocol.FINAL_STATES}
    assert set(protocol.END_CAUSES) <= set(protocol.FINAL_STATES)
    assert set(pipeline_name.FINAL) == set(protocol.FINAL_STATES)


def test_exit_codes_of_fetch_are_those_of_the_protocol() -> None:
    codes = dict(
        re.findall(r"^(source_failed|configuration_wrong)=(\d+)", CODE["fetch.sh"], flags=re.MULTILINE)
    )
    assert int(codes["source_failed"]) == protocol.EXIT_SOURCE_FAILED
    assert int(codes["configuration_wrong"]) == protocol.EXIT_CONFIGURATION


def test_each_shared_function_is_defined_once() -> None:
    shared = re.findall(r"^([a-z_]+)\(\) \{", CODE["common.sh"], flags=re.MULTILINE)
    assert {"say", "have", "nap", "on_wake"} <= set(shared)
    for name in shared:
        found = [
            script for script, text in CODE.items() if re.search(rf"^{name}\(\)", text, flags=re.MULTILINE)
        ]
        assert found == ["common.sh"], name


def test_no_script_stands_in_a_string_of_python() -> None:
    """shellcheck, dash and busybox see what is in a file of its own. A line in a string does one thing."""
    block = re.compile(
        r"^\s*(fi|done|esac|then|exit \d+|trap .*|set -e\w*)\b|\bfi;|\bdone;|\w+=\$\(.*\n", re.MULTILINE
    )
    for file, text in python_files(PACKAGE).items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value.strip():
                is_documentation = ast.get_source_segment(text, node) or ""
                if not is_documentation.startswith('"""'):
                    assert not block.search(node.value), (file, node.lineno)
