"""An instance of GitLab that does not answer delays the jobs of no other, and refuses none of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until_sync
from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay import issuer_keys
from wsdash.backend.access.relay.issuer_keys import IssuerKeys, NoKeys, fetch

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = {
    **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())),
    "kid": "k1",
    "alg": "RS256",
    "use": "sig",
}


class Instance(BaseHTTPRequestHandler):
    """Tells its keys, or nothing, or a byte now and then."""

    mode = "tells"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.mode == "says nothing":
            time.sleep(60)
            return
        body = json.dumps({"keys": [JWK]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.mode == "drips":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.5)
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def instance() -> Iterator[type[Instance]]:
    class Own(Instance):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Own.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    yield Own
    server.shutdown()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_keys_are_asked_for_once_and_then_for_a_new_one_at_most_every_few_seconds(
    instance: type[Instance],
) -> None:
    clock = Clock()
    keys = IssuerKeys(clock)
    url = instance.url  # type: ignore[attr-defined]
    found = await asyncio.gather(*(keys.key(url, None, "k1") for _ in range(20)))
    assert all(found)
    assert instance.asked == 1
    for _ in range(20):
        assert await keys.key(url, None, "of a forged token") is None
    assert instance.asked == 1
    clock.now += issuer_keys.PAUSE_S
    assert await keys.key(url, None, "of a forged token") is None
    assert instance.asked == 2


async def test_keys_count_on_while_the_instance_is_away_and_without_any_nothing_is_decided() -> None:
    clock, answers = Clock(), True

    def answer(url: str, ca_file: str | None) -> dict[str, Any]:
        if not answers:
            raise OSError("away")
        return {"keys": [JWK]}

    keys = IssuerKeys(clock, answer)
    assert await keys.key("a", None, "k1")
    answers = False
    clock.now += issuer_keys.FRESH_S + 1
    assert await keys.key("a", None, "k1")
    with pytest.raises(NoKeys):
        await keys.key("a", None, "k2")
    with pytest.raises(NoKeys):
        await keys.key("b", None, "k1")
    clock.now += issuer_keys.STALE_S
    with pytest.raises(NoKeys):
        await keys.key("a", None, "k1")


@pytest.mark.parametrize("answer", [{"keys": "x"}, {"keys": [{"kty": "RSA"}]}, {"keys": []}, {}])
async def test_an_answer_without_keys_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(NoKeys):
        await IssuerKeys(fetch=lambda *_: answer).key("a", None, "k1")


def test_an_answer_that_drips_ends(instance: type[Instance], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "WHOLE_S", 1.0)
    instance.mode = "drips"
    with pytest.raises(ValueError, match="too long"):
        fetch(instance.url, None)  # type: ignore[attr-defined]


def token_of(grant: Grant) -> str:
    now = int(time.time())
    claims = {
        "iss": grant.issuer, "aud": grant.audience, "pipeline_id": grant.pipeline_id, "jti": grant.attempt_id,
        "exp": now + 600, "iat": now,
    }  # fmt: skip
    return jwt.encode(claims, KEY, algorithm="RS256", headers={"kid": "k1"})


def job_of(relay: Running, folder: Path, workspace: str, url: str) -> ConnectedJob:
    grant = Grant(workspace, f"{workspace}.a1", 1, issuer=url, audience="relay", pipeline_id="7")
    relay.grants.write(grant)
    return ConnectedJob(relay, folder / workspace, grant, token_of(grant))


def test_jobs_of_one_that_does_not_answer_delay_nobody_and_are_let_in_when_it_does(
    relay: Running, instance: type[Instance], tmp_path: Path
) -> None:
    url = instance.url  # type: ignore[attr-defined]

    class Silent(Instance):
        mode = "says nothing"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    silent = f"http://127.0.0.1:{server.server_address[1]}"
    waiting = [job_of(relay, tmp_path, f"slow{number}", silent) for number in range(12)]
    with ThreadPoolExecutor(len(waiting) + 1) as threads:
        pending = [threads.submit(job.enrol) for job in waiting]
        until_sync(lambda: Silent.asked >= 1, 30, "the question")
        quick = job_of(relay, tmp_path, "quick", url)
        assert threads.submit(quick.enrol).result()
        assert relay.grants.of_workspace("quick").job_key  # type: ignore[union-attr]
        assert all(one.result() for one in pending)
    assert Silent.asked == 1
    assert relay.grants.of_workspace("slow0").job_key == ""  # type: ignore[union-attr]
    Silent.mode = "tells"

    def enrolled() -> bool:
        waiting[0].enrol()
        return bool(relay.grants.of_workspace("slow0").job_key)  # type: ignore[union-attr]

    until_sync(enrolled, 60, "the enrolment")
    server.shutdown()
