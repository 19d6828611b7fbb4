"""Enrolment: a job registers its public keys, once, with a proof that it is the attempt that it claims to be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import asyncssh

from wsdash.backend.access.grants import LOGIN, Grant, Grants
from wsdash.backend.access.keys import certify
from wsdash.backend.access.known_hosts import names_of, pin
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay.token_verifier import NotProven, Proofs
from wsdash.backend.access.ssh import files as ssh_files

KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")


class Enrolment:
    """Enrols one job at a time. `grants` are those of the relay."""

    def __init__(self, folder: AccessFolder, grants: Grants) -> None:
        self._folder = folder
        self._grants = grants
        self._proofs = Proofs()
        self._writing = asyncio.Lock()

    async def enrol(self, grant: Grant, request: str) -> str:
        """Store the job's keys, and return the certificate for the key of its SSH server.

        Raises `NotProven`; `NoKeys` or `OSError` if the proof cannot be checked now.
        """
        proof, _, keys = request.partition(" ")
        job_key, host_key, *words = [*keys.split(" "), ""]
        job, host = _public_key(job_key), _public_key(host_key)
        now = await asyncio.to_thread(self._grants.of_workspace, grant.workspace_id)
        _check_newest(now, grant, job, host)
        used = await self._proofs.check(now or grant, proof, again=now is not None and now.job_key == job)
        async with self._writing:
            certificate = await asyncio.to_thread(self._keep, grant, job, host, words)
        used()
        return certificate

    def _keep(self, grant: Grant, job_key: str, host_key: str, words: Sequence[str]) -> str:
        """Store the keys. Blocks. The grant is written last, so that a step that fails is done again."""
        now = self._grants.of_workspace(grant.workspace_id)
        _check_newest(now, grant, job_key, host_key)
        is_plain = "plain" in words
        pin(self._folder.known_hosts, grant.workspace_id, host_key if is_plain else "", grant.name)
        names = names_of(grant.workspace_id, grant.name)
        certificate = "" if is_plain else certify(self._folder, host_key, names, grant.attempt_id)
        self._grants.write(replace(now or grant, job_key=job_key, host_key=host_key, login=_login(words)))
        with suppress(OSError):
            ssh_files.write_users(self._folder)
        return certificate


def _check_newest(now: Grant | None, grant: Grant, job_key: str, host_key: str) -> None:
    """Accept a repeated request with the same keys, from a job whose answer was lost. Raises `NotProven`."""
    if now is None or now.attempt_id != grant.attempt_id:
        raise NotProven("a newer attempt has replaced it")
    if now.job_key and (now.job_key, now.host_key) != (job_key, host_key):
        raise NotProven("it has enrolled before, with other keys")


def _login(words: Sequence[str]) -> str:
    """Return the name of the job's user, "" if it is not an acceptable login name."""
    name = next((word.removeprefix("user=") for word in words if word.startswith("user=")), "")
    return name if LOGIN.fullmatch(name) else ""


def _public_key(text: str) -> str:
    """Return `KIND BASE64` for `KIND:BASE64`. Raises `NotProven`."""
    kind, _, data = text.partition(":")
    line = f"{kind} {data}"
    try:
        key = asyncssh.import_public_key(line)
    except (asyncssh.KeyImportError, ValueError):
        raise NotProven("it sent an invalid public key") from None
    if kind not in KEY_KINDS:
        raise NotProven("its key is of an unsupported kind")
    return " ".join(key.export_public_key("openssh").decode().split()[:2])
