"""Desktop editors that open a folder of a workspace by ssh: their programs, arguments and addresses. Pure.

Sources: VS Code's "Remote Development Tips and Tricks" (`--folder-uri vscode-remote://ssh-remote+HOST/PATH`) and its
`vscode://vscode-remote/` addresses (microsoft/vscode-remote-release, issue 656); VSCodium, Cursor and Windsurf are
forks with the same arguments and a scheme of their own. Zed's "Remote Development" (`zed ssh://HOST/PATH`) and "CLI
Reference" (some distributions call the program `zeditor`). JetBrains Gateway's `jetbrains-gateway://connect#` as DevPod
builds it (loft-sh/devpod, pkg/ide/jetbrains/generic.go); its launchers are named as by Toolbox, packages and archive.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a workspace, by the host name of our ssh configuration.

    `user` is stated where the ssh configuration may not know it: "" leaves it to that configuration.
    """

    host: str
    folder: str
    user: str = ""

    @property
    def address(self) -> str:
        """Host and folder as in an ssh address: `web.wsdash/projects/web`."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        return f"{user}{self.host}{quote(self.folder)}"


@dataclass(frozen=True, slots=True)
class DesktopEditor:
    """An editor: the names that its program has, its arguments, and an address that its desktop opens with it."""

    title: str
    programs: tuple[str, ...]
    arguments: Callable[[Place], tuple[str, ...]]
    uri: Callable[[Place], str]

    def argv(self, place: Place, program: str | None = None) -> tuple[str, ...]:
        """Return the command that opens the folder."""
        return (program or self.programs[0], *self.arguments(place))

    def program(self, path: str | None = None) -> str | None:
        """Return the path of its program, or None if none is on PATH. Reads folders."""
        found = (shutil.which(name, path=path) for name in self.programs)
        return next((program for program in found if program is not None), None)


def _like_vscode(title: str, program: str, scheme: str) -> DesktopEditor:
    return DesktopEditor(
        title,
        (program,),
        lambda place: ("--folder-uri", f"vscode-remote://ssh-remote+{place.address}"),
        lambda place: f"{scheme}://vscode-remote/ssh-remote+{place.address}",
    )


def _gateway(place: Place) -> str:
    """Gateway fills in its form "Connect to SSH", where the IDE is chosen."""
    words = {
        "type": "ssh",
        "deploy": "false",
        "host": place.host,
        "port": "22",
        **({"user": place.user} if place.user else {}),
        "projectPath": place.folder,
    }
    return f"jetbrains-gateway://connect#{urlencode(words, quote_via=quote)}"


DESKTOP_EDITORS: dict[str, DesktopEditor] = {
    "code": _like_vscode("VS Code", "code", "vscode"),
    "codium": _like_vscode("VSCodium", "codium", "vscodium"),
    "cursor": _like_vscode("Cursor", "cursor", "cursor"),
    "windsurf": _like_vscode("Windsurf", "windsurf", "windsurf"),
    "zed": DesktopEditor(
        "Zed",
        ("zed", "zeditor"),
        lambda place: (f"ssh://{place.address}",),
        lambda place: f"zed://ssh/{place.address}",
    ),
    "gateway": DesktopEditor(
        "JetBrains Gateway",
        ("gateway", "jetbrains-gateway", "gateway.sh"),
        lambda place: (_gateway(place),),
        _gateway,
    ),
}
"""By the name that `--editor` and `[personal] editor` take, in the order in which they are looked for."""
