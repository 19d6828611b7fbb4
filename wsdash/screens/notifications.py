"""What wsdash has told the user, to read again."""

from __future__ import annotations

import time

from wsdash.screens.text.spans import Line, Tone, wrap
from wsdash.screens.text_page import PageScreen

TONES = {"information": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}


class MessagesScreen(PageScreen):
    """The newest message first."""

    def heading(self) -> Line:
        return (("Messages", Tone.TITLE), ("  newest first", Tone.MUTED))

    def lines(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = []
        for said in reversed(self.dashboard.said):
            at = time.strftime("%H:%M:%S  ", time.localtime(said.at))
            texts = [text for part in said.text.split("\n") for text in wrap(part, max(20, width - len(at)))]
            lines.append(((at, Tone.MUTED), (texts[0], TONES[said.severity])))
            lines += [((" " * len(at) + text, TONES[said.severity]),) for text in texts[1:]]
        return lines or [(("Nothing yet. Errors and notices are kept here.", Tone.MUTED),)]
