"""The form for values of secrets that a new workspace expects and the context does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsdash.screens.form import Field, FormScreen
from wsdash.screens.text.spans import Line, Tone, plain

if TYPE_CHECKING:
    from wsdash.backend.service import Preview


class SecretsScreen(FormScreen[dict[str, str], None]):
    """Asks for values of secrets. Returns those that are not empty, by name; None if the user goes back."""

    INTRO = "Values are kept for this workspace only; empty ones are not set."
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
        """Return the values, without a preview."""
        self.spawn(self._accept(None), "accept", exclusive=True)

    async def look(self) -> None:
        """Return None: secrets have no preview."""

    async def accept(self, preview: None) -> dict[str, str]:
        """Check the values, and return them. Raises `WsdashError` with the field."""
        values: dict[str, str] = {}
        for field, name in self._names.items():
            if value := self.typed(field):
                self.dashboard.service.creation.check_secret(self._of.context, name, value, field)
                values[name] = value
        return values

    def heading(self, preview: None) -> Line:
        """Return the title."""
        return (
            ("Secrets of ", Tone.TITLE),
            (plain(self._of.name), Tone.STRONG),
            ("  enter creates it, esc goes back", Tone.MUTED),
        )

    def preview_lines(self, preview: None, width: int) -> list[Line]:
        """Return no lines: secrets have no preview."""
        return []
