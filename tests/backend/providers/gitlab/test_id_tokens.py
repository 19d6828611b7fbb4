"""The instance's id tokens say which job asks, and anybody can check them with its published keys."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import jwt
import pytest

from tests.backend.providers.gitlab.harness import Instance

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


async def token_of_a_job(instance: Instance) -> tuple[str, str]:
    """A token, and the id of its job, as a runner is given both."""
    server = instance.server
    project = server.state.project("group/app")
    assert project is not None
    api = instance.api()
    await api.commit(
        project.id,
        branch="wsdash/dial",
        message="[skip ci] dial",
        files={".gitlab-ci.yml": CONFIG},
        action="update",
        start_branch="main",
    )
    await api.create_pipeline(project.id, "wsdash/dial", inputs={})
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
