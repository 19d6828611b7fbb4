"""The instance's key, and the OIDC tokens of jobs, as on GitLab's page "OIDC authentication using ID tokens"."""

from __future__ import annotations

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.gitlab_server.state import Job


class Issuer:
    """Signs tokens with one RSA key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self) -> dict[str, Any]:
        """The JWKS that anybody checks tokens with."""
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "test", "use": "sig", "alg": "RS256"}]}

    def token(self, job: Job, audience: object, issuer: str, now: float) -> str:
        """A job's token for this audience, which lasts as long as the job may."""
        project = job.pipeline.project
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": f"project_path:{project.path}:ref_type:branch:ref:{job.pipeline.ref}",
            "iat": int(now),
            "nbf": int(now) - 5,
            "exp": int(now + job.timeout_s),
            "jti": f"{job.id}-{audience}",
            "project_id": str(project.id),
            "project_path": project.path,
            "user_id": str(job.pipeline.user.id),
            "user_login": job.pipeline.user.username,
            "pipeline_id": str(job.pipeline.id),
            "pipeline_source": job.pipeline.source,
            "job_id": str(job.id),
            "ref": job.pipeline.ref,
            "ref_type": "branch",
            "ref_protected": "false",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "test"})
