"""The pages of docs/ and the root: their links lead somewhere, their commands exist, and the index names every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wsdash import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitLab and GitHub make them of its headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not link.startswith(("https://", "http://"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_verbs_of_the_command_line(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"`wsdash ([a-z][a-z-]*)", text) + re.findall(
        r"^    wsdash ([a-z][a-z-]*)", text, re.MULTILINE
    )
    assert set(commands) <= set(cli.VERBS)


def test_the_index_names_every_page_for_users() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title, here\n\n[gone](gone.md) and [there](#a-title-here)\n")
    assert links(page) == ["gone.md", "#a-title-here"]
    assert headings(page) == {"a-title-here"}
