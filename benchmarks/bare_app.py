"""The floor that the dashboard is held against: a Textual application that shows one word."""

from textual.app import App, ComposeResult
from textual.widgets import Static


class BareApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("bare-app-is-painted")


if __name__ == "__main__":
    BareApp().run()
