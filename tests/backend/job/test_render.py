"""The rendered workload: any text of the devfile reaches the command exactly as written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.job.conftest import SHELLS
from wsdash.backend.job.render import OWN_NAMES, render, step_id
from wsdash.workload import Command, EnvVar, Parallel, Sequential, Source, Step, Workload

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40)
nasty = st.text(alphabet="'\"`$\\!~*?;&|<>(){}[]# \t\n\réß漢🙂x=-", max_size=30)
values = texts | nasty
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in OWN_NAMES and name not in ("PATH", "IFS", "_", "PWD", "OLDPWD", "ENV")
)


def evaluate(shell: tuple[str, ...], workload: Workload, calls: str) -> bytes:
    """The output of the shell after sourcing the rendered file and running the line."""
    line = (
        f'say() {{ :; }}\nonce() {{ shift; "$@"; }}\nready() {{ :; }}\nawait() {{ wait; }}\n. "$1"\n{calls}'
    )
    file = Path("/proc/self/fd/0")
    done = subprocess.run(
        [*shell, "-c", line, "sh", str(file)],
        input=render(workload).encode(),
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    return done.stdout


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@given(name=names, value=values)
def test_a_variable_holds_exactly_its_value(shell: tuple[str, ...], name: str, value: str) -> None:
    workload = Workload(env=(EnvVar(name, value),))
    assert evaluate(shell, workload, f'environment; printf "%s" "${name}"') == value.encode()


@given(line=values, variable=values, folder=values)
def test_a_command_is_given_exactly_its_line_its_variables_and_its_folder(
    shell: tuple[str, ...], line: str, variable: str, folder: str
) -> None:
    plain = folder.replace("$", "")
    command = Command("c", line, working_dir=plain, env=(EnvVar("V", variable),))
    out = evaluate(shell, Workload(post_start=(command,)), r'run() { printf "%s\000" "$@"; }; post_start')
    assert out.split(b"\0")[:-1] == [b"c", plain.encode(), line.encode(), b"V=" + variable.encode()]


@given(url=values, ref=values)
def test_the_source_is_exactly_as_written(shell: tuple[str, ...], url: str, ref: str) -> None:
    out = evaluate(shell, Workload(source=Source(url, ref)), r'printf "%s\000%s" "$source_url" "$source_ref"')
    assert out.split(b"\0") == [url.encode(), ref.encode()]


@given(
    before=nasty.map(lambda text: text.replace("$", "")), after=nasty.map(lambda text: text.replace("$", ""))
)
def test_only_the_two_known_folders_are_expanded(shell: tuple[str, ...], before: str, after: str) -> None:
    folder = f"{before}${{PROJECTS_ROOT}}/{after}$PROJECT_SOURCE/$HOME"
    workload = Workload(post_start=(Command("c", "true", working_dir=folder),))
    out = evaluate(
        shell, workload, 'PROJECTS_ROOT=/p PROJECT_SOURCE=/p/s; run() { printf "%s" "$2"; }; post_start'
    )
    assert out.decode() == f"{before}/p/{after}/p/s/$HOME"


steps: st.SearchStrategy[Step] = st.recursive(
    st.builds(Command, st.sampled_from("abcdef"), st.just("true"), once=st.booleans()),
    lambda inner: (
        st.builds(Sequential, st.just("s"), st.lists(inner, max_size=3).map(tuple), st.booleans())
        | st.builds(Parallel, st.just("p"), st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def commands(step: Step) -> list[str]:
    return [step.id] if isinstance(step, Command) else [c for inner in step.steps for c in commands(inner)]


@given(steps=st.lists(steps, max_size=4).map(tuple))
def test_every_command_of_nested_groups_is_run_once(shell: tuple[str, ...], steps: tuple[Step, ...]) -> None:
    out = evaluate(shell, Workload(post_start=steps), "run() { echo $1; }; post_start; wait")
    assert sorted(out.decode().split()) == sorted(c for step in steps for c in commands(step))


@given(text=texts)
def test_a_step_id_is_short_and_safe_inside_of_json(text: str) -> None:
    made = step_id(text)
    assert len(made) <= 64
    assert made.isascii() and '"' not in made and "\\" not in made and made.isprintable()


def test_names_that_no_shell_can_set_are_left_out_and_said() -> None:
    odd = tuple(EnvVar(name, "x") for name in ("a.b", "1st", "", "PPID", "PROJECT_SOURCE", "x;reboot"))
    rendered = render(Workload(env=odd))
    assert "export" not in rendered
    assert rendered.count("say ") == len(odd)


@pytest.mark.parametrize("folder", ["/etc", "..", "a/../../b", "", ".", "a\nb"])
def test_a_project_folder_outside_of_the_root_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="below the projects root"):
        render(Workload(source=Source("https://example.com/x.git", folder=folder)))


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        render(Workload(post_start=(Command("c", "echo \0"),)))


def test_a_person_can_read_what_will_run() -> None:
    workload = Workload(post_start=(Parallel("all", (Command("build", "npm run build"),)),))
    rendered = render(workload)
    assert "# all: at the same time" in rendered
    assert "run build '' 'npm run build'" in rendered
