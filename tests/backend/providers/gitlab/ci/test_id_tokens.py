"""The instance's id tokens say which job asks, and anybody can check them with its published keys."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from typing import Any

import jwt
import pytest

from tests.backend.providers.gitlab.harness import Instance
from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay.token_verifier import NotProven, Proofs

CONFIG = """\
workflow: {rules: [{if: '$CI_PIPELINE_SOURCE == "api"'}]}
dial:
  id_tokens: {RELAY_TOKEN: {aud: wsdash-relay}}
  script: [echo]
"""


def _job_for(url: str, runner_token: str) -> dict[str, Any]:
    body = json.dumps({"token": runner_token}).encode()
    request = urllib.request.Request(f"{url}/api/v4/jobs/request", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        job: dict[str, Any] = json.load(answer)
        return job


async def token_of_a_job(instance: Instance, branch: str = "wsdash/dial") -> tuple[str, str]:
    """A token, and the id of its job, as a runner is given both."""
    server = instance.server
    project = server.state.project("group/app")
    assert project is not None
    api = instance.api()
    await api.commit(
        project.id,
        branch=branch,
        message="[skip ci] dial",
        files={".gitlab-ci.yml": CONFIG},
        action="update",
        start_branch="main",
    )
    await api.create_pipeline(project.id, branch, inputs={})
    await api.client.aclose()
    job = await asyncio.to_thread(_job_for, server.url, instance.runner_token)
    return next(v["value"] for v in job["variables"] if v["key"] == "RELAY_TOKEN"), str(job["id"])


async def test_a_token_names_its_job_and_its_user_for_one_audience(instance: Instance) -> None:
    token, job_id = await token_of_a_job(instance)
    url = instance.server.url
    keys = jwt.PyJWKClient(f"{url}/oauth/discovery/keys")
    key = keys.get_signing_key_from_jwt(token).key
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="wsdash-relay", issuer=url)
    assert (claims["job_id"], claims["project_path"], claims["user_login"]) == (job_id, "group/app", "ada")
    assert claims["sub"] == "project_path:group/app:ref_type:branch:ref:wsdash/dial"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["RS256"], audience="another", issuer=url)
    head, _, signature = token.rpartition(".")
    forged = f"{head}.{signature[:-4]}AAAA"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["RS256"], audience="wsdash-relay", issuer=url)


def _unsigned(claims: dict[str, Any]) -> str:
    """A token that says of itself that it needs no signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


async def test_the_relay_takes_a_token_once_for_its_own_attempt_and_nothing_that_looks_like_one(
    instance: Instance,
) -> None:
    token, _ = await token_of_a_job(instance)
    claims = jwt.decode(token, options={"verify_signature": False})
    url = instance.server.url
    grant = Grant(
        "w1", "w1.a1", 1, issuer=url, audience="wsdash-relay", pipeline_id=str(claims["pipeline_id"])
    )
    proofs = Proofs()

    async def refusal(given: Grant, proof: str) -> str:
        with pytest.raises(NotProven) as refused:
            await proofs.check(given, proof)
        assert not proof or proof not in str(refused.value)
        return str(refused.value)

    head, _, signature = token.rpartition(".")
    for forged in (
        f"{head}.{signature[:-4]}AAAA",
        _unsigned(claims),
        jwt.encode(
            claims, "a" * 64, algorithm="HS256", headers={"kid": jwt.get_unverified_header(token)["kid"]}
        ),
        "",
        "eyJ",
        "a.b.c",
    ):
        assert "is invalid" in await refusal(grant, forged)
    another = Grant("w1", "w1.a1", 1, issuer=url, audience="another", pipeline_id=grant.pipeline_id)
    assert "InvalidAudienceError" in await refusal(another, token)
    newer = Grant("w1", "w1.a2", 2, issuer=url, audience="wsdash-relay", pipeline_id="999")
    assert "its token is of pipeline" in await refusal(newer, token)
    (await proofs.check(grant, token))()
    assert "used before" in await refusal(grant, token)
    await proofs.check(grant, token, again=True)
    assert claims["exp"] > time.time()
    instance.server.clock.advance(-100_000)
    late, _ = await token_of_a_job(instance, "wsdash/late")
    assert "ExpiredSignatureError" in await refusal(grant, late)
