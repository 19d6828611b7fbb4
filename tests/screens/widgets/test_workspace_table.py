"""The list of workspaces: columns, cursor, and only changed rows painted again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService, every_phase, row
from tests.screens.test_workspaces import screen_of, selected, shown
from wsdash.model import Phase, Status
from wsdash.screens.text.spans import width_of
from wsdash.screens.widgets.workspace_table import WorkspaceTable, header, widths


async def test_more_rows_than_lines_scroll_with_the_cursor(stub: StubService, running: Running) -> None:
    stub.rows = [row(f"workspace-{number:03}") for number in range(300)]
    async with running((80, 24)) as pilot:
        await pilot.press("G")
        assert "workspace-299" in "".join(shown(pilot))
        await pilot.press("g")
        assert "workspace-000" in "".join(shown(pilot))


async def test_a_row_at_rest_is_not_painted_again(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        table = screen_of(pilot).query_one(WorkspaceTable)
        painted: list[object] = []
        table.refresh = lambda *regions, **_: painted.extend(regions)  # type: ignore[method-assign, assignment]
        stub.change(every_phase())
        changed = replace(stub.rows[3], status=Status(Phase.PENDING, "wanted running", None))
        stub.change([*stub.rows[:3], changed, *stub.rows[4:]])
        await until(pilot, lambda: painted)
        assert len(painted) == 1


async def test_resizing_keeps_the_selection(running: Running) -> None:
    async with running((120, 40)) as pilot:
        await pilot.press("j", "j")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pilot.app.size.width == 80)
        assert selected(pilot) == "catalog"


@pytest.mark.parametrize("total", [40, 79, 80, 100, 160, 300])
def test_the_columns_depend_on_the_width_and_fill_it_from_eighty_on(total: int) -> None:
    columns = widths(total)
    fixed = 2 + 14 + 11 + columns.name + columns.project + columns.age + columns.saved
    assert columns.event == max(0, total - fixed)
    assert (columns.saved > 0) is (total >= 100)
    assert width_of(header(total)) == max(total, fixed)


async def test_the_cursor_stays_in_the_list_when_its_workspace_goes(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("G")
        assert selected(pilot) == "search"
        stub.change(stub.rows[:3])
        await until(pilot, lambda: selected(pilot) == "catalog")
        stub.change([])
        await until(pilot, lambda: screen_of(pilot).selected is None)
        stub.change(every_phase())
        await until(pilot, lambda: screen_of(pilot).selected is not None)
