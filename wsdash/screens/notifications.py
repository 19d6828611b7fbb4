"""The page of messages: the notifications of this run."""

from __future__ import annotations

import time

from wsdash.screens.text.spans import Line, Tone, wrap
from wsdash.screens.text_page import PageScreen

TONES = {"information": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}


class MessagesScreen(PageScreen):
    """The notifications of this run, newest first."""

    def heading(self) -> Line:
        """Return the title."""
        return (("Messages", Tone.TITLE), ("  newest first", Tone.MUTED))

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the notifications with their times."""
        lines: list[Line] = []
        for notification in reversed(self.dashboard.notifications):
            at = time.strftime("%H:%M:%S  ", time.localtime(notification.at))
            texts = [
                text
                for part in notification.text.split("\n")
                for text in wrap(part, max(20, width - len(at)))
            ]
            lines.append(((at, Tone.MUTED), (texts[0], TONES[notification.severity])))
            lines += [((" " * len(at) + text, TONES[notification.severity]),) for text in texts[1:]]
        return lines or [(("No messages yet. Errors and notices are kept here.", Tone.MUTED),)]
