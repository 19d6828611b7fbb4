"""A start loads nothing that a quick verb or the first paint does not need (design section 2)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset({"aiosqlite", "asyncio", "gitlab", "pydantic", "requests", "rich", "textual", "yaml"})


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("verb", ["list", "list --json", "plan", "context list", "daemon --status"])
def test_quick_verbs_load_neither_an_event_loop_nor_a_toolkit(verb: str, environment: Path) -> None:
    loaded = loaded_by(f"from wsdash.cli import main\nmain({verb.split()!r})")
    assert not loaded & HEAVY
    assert "sqlite3" in loaded or verb == "context list"


@pytest.mark.parametrize("verb", ["show", "events", "why"])
def test_verbs_about_one_workspace_are_quick_too(verb: str, environment: Path) -> None:
    assert not loaded_by(f"from wsdash.cli import main\nmain([{verb!r}, 'none'])") & (HEAVY - {"yaml"})


def test_the_version_loads_almost_nothing(environment: Path) -> None:
    code = "from wsdash.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass"
    assert not loaded_by(code) & (HEAVY | {"sqlite3", "dataclasses"})


def test_the_dashboard_paints_before_it_loads_gitlab_or_pydantic(environment: Path) -> None:
    loaded = loaded_by("import wsdash.app\nimport wsdash.commands.dashboard")
    assert "textual" in loaded
    assert not loaded & {"gitlab", "pydantic", "requests", "yaml"}
