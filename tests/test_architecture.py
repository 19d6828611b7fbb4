"""The picture of the rooms in docs/architecture.md is drawn from the imports as they are."""

from __future__ import annotations

from scripts.rooms import PAGE, with_picture


def test_the_picture_shows_the_imports_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_picture(page), "draw it again: python -m scripts.rooms --write"
