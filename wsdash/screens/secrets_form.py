"""Asks for the values of secrets that a new workspace expects, and nobody has given yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsdash.screens.form import Field, FormScreen
from wsdash.screens.text.spans import Line, Tone, plain

if TYPE_CHECKING:
    from wsdash.backend.service import Preview


class SecretsScreen(FormScreen[dict[str, str], None]):
    """Answers the values by name, without those left empty; None where the user goes back."""

    INTRO = "Kept for this workspace alone; what you leave empty is not given to it."
    LOOKING = ""

    def __init__(self, preview: Preview) -> None:
        super().__init__({})
        self._of = preview
        self._names = {f"secret-{number}": secret.name for number, secret in enumerate(preview.asks)}
        self.FIELDS = {
            field: Field(plain(secret.name), plain(secret.description) or "its value", is_secret=True)
            for field, secret in zip(self._names, preview.asks, strict=True)
        }

    def action_form_accept(self) -> None:
        self.spawn(self._accept(None), "accept", exclusive=True)

    async def look(self) -> None:
        """What is typed here is not shown again."""

    async def accept(self, preview: None) -> dict[str, str]:
        values: dict[str, str] = {}
        for field, name in self._names.items():
            if value := self.typed(field):
                self.dashboard.service.creation.check_secret(self._of.context, name, value, field)
                values[name] = value
        return values

    def heading(self, preview: None) -> Line:
        return (
            ("Secrets of ", Tone.TITLE),
            (plain(self._of.name), Tone.STRONG),
            ("  enter creates it, esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: None, width: int) -> list[Line]:
        return []
