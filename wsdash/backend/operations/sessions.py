"""Sessions of a workspace: long-running programs in it, each with a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.operations.access import Access
from wsdash.backend.sessions import program
from wsdash.backend.sessions.profiles import Profile, ProfileError, load
from wsdash.backend.sessions.states import Session, sessions
from wsdash.backend.system.run import capture

if TYPE_CHECKING:
    from pathlib import Path

    from wsdash.backend.providers.types import ShellCommand


class Sessions:
    """The operations on the sessions of a running workspace. `attempt` is as in `Access.shell`.

    Every method raises `UserError` if the workspace has no such session, and what `Access.shell` raises.
    """

    def __init__(self, access: Access, profiles_file: Path) -> None:
        self._access = access
        self._profiles_file = profiles_file

    def profiles(self) -> Mapping[str, Profile]:
        """Return all profiles by name. Blocks. Raises `UserError` for a file that cannot be used."""
        try:
            return load(self._profiles_file)
        except ProfileError as error:
            raise UserError(str(error), "docs/sessions.md describes the keys of a profile.") from error

    async def list(self, workspace_id: str, *, attempt: int | None = None) -> tuple[Session, ...]:
        """Return the sessions, those that wait for somebody first."""
        return sessions(await self._ask(workspace_id, ("list",), attempt))

    async def start(
        self, workspace_id: str, name: str, profile: Profile, *, attempt: int | None = None
    ) -> None:
        """Start a program in a new session of this name, by the profile's line."""
        words = program.start_words(name, profile.start, profile, profile.folder or None)
        await self._ask(workspace_id, words, attempt)

    async def start_again(self, workspace_id: str, name: str, *, attempt: int | None = None) -> None:
        """Start an ended session again, by the line that resumes it."""
        await self._ask(workspace_id, ("start", name), attempt)

    async def stop(
        self, workspace_id: str, name: str, *, forget: bool = False, attempt: int | None = None
    ) -> None:
        """End the session's program; with `forget` the session is gone from the list too."""
        await self._ask(workspace_id, ("remove" if forget else "stop", name), attempt)

    async def send(
        self, workspace_id: str, name: str, text: str, *, enter: bool = True, attempt: int | None = None
    ) -> None:
        """Type a text into the session's program, and the return key with `enter`."""
        if len(text) > program.LONGEST_TEXT or "\0" in text:
            raise UserError(
                f"a text to send has at most {program.LONGEST_TEXT} characters, and no NUL among them",
                "Put a longer one into a file of the workspace.",
            )
        await self._ask(workspace_id, ("send", name, text, *(["enter"] if enter else [])), attempt)

    async def screen(
        self, workspace_id: str, name: str, lines: int = 0, *, attempt: int | None = None
    ) -> str:
        """Return what the session's terminal shows, with `lines` of what has scrolled out of it. Not trusted."""
        return await self._ask(workspace_id, ("screen", name, str(lines)), attempt)

    async def attach(self, workspace_id: str, name: str, *, attempt: int | None = None) -> ShellCommand:
        """Return the command for the user's terminal that shows the session; F12 leaves it."""
        await self._ask(workspace_id, ("list",), attempt)  # leaves the program there
        return await self._access.shell(
            workspace_id, program.attach(name), attempt=attempt, needs_terminal=True
        )

    async def _ask(self, workspace_id: str, words: tuple[str, ...], attempt: int | None) -> str:
        command = await self._access.shell(workspace_id, program.command(*words), attempt=attempt)
        done = await capture(
            command.argv,
            limit=program.LARGEST_ANSWER,
            timeout_s=program.TIMEOUT_S,
            stdin=program.source(),
            env=command.env,
            cwd=command.cwd,
        )
        if done.exit_code != 0:
            lines = [line for line in done.errors.decode(errors="replace").splitlines() if line.strip()]
            reason = lines[-1] if lines else "the workspace does not answer"
            raise UserError(reason[:400], "`wsdash session NAME list` shows the sessions.")
        return done.output.decode(errors="replace")
