"""The local provider's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.backend.providers.local.layout import Layout, checked_id


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a\0", "a\n", "é", "x" * 129]
)
def test_an_id_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid id"):
        checked_id(name)


def test_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root")
    layout.make()
    folders = (layout.root, layout.workspaces, layout.jobs, layout.listeners, layout.trash)
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
