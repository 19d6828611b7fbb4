"""The package as others import it."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wsdash.devfile
from wsdash.devfile.codes import LENIENT


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_neither_pydantic_nor_yaml() -> None:
    assert loaded_by("import wsdash.devfile").isdisjoint(
        {"pydantic", "yaml", "wsdash.devfile.schema.document"}
    )


def test_looking_for_a_devfile_loads_neither_pydantic_nor_yaml() -> None:
    assert loaded_by("from wsdash.devfile import choose, find, DevfileError").isdisjoint({"pydantic", "yaml"})


def test_it_imports_nothing_of_wsdash_but_the_workload() -> None:
    ours = {
        name
        for name in loaded_by("from wsdash.devfile import translate, check")
        if name.startswith("wsdash.")
    }
    others = {name for name in ours if not name.startswith("wsdash.devfile")}
    assert others == {"wsdash.workload"}


def test_every_public_name_can_be_had() -> None:
    for name in wsdash.devfile.__dir__():
        assert hasattr(wsdash.devfile, name)
    with pytest.raises(AttributeError, match="has no attribute 'flaten'"):
        wsdash.devfile.flaten  # noqa: B018


@pytest.mark.parametrize("module", ["", ".devcontainer", ".parse.scalars", ".quantity", ".resolve.variables"])
def test_the_documented_examples_are_true(module: str) -> None:
    name = f"wsdash.devfile{module}"
    __import__(name)
    result = doctest.testmod(sys.modules[name])
    assert result.attempted > 0
    assert result.failed == 0


def test_every_code_in_the_sources_is_in_the_table_and_the_other_way_round() -> None:
    folder = Path(wsdash.devfile.__file__).parent
    tables = ("codes.py", "__init__.py")
    sources = {str(path): path.read_text() for path in folder.rglob("*.py") if path.name not in tables}
    families = "|".join(sorted({code.partition(".")[0] for code in LENIENT}))
    used = set(re.findall(rf'"((?:{families})\.[a-z][a-z-]*)"', "\n".join(sources.values())))
    used |= {f"ignored.{kind}-component" for kind in ("image", "kubernetes", "openshift")}
    used -= {name for name in used if name.endswith((".yaml", ".yml", ".json"))}
    assert used == set(LENIENT)
