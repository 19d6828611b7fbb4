"""A job's proof of who it is: a secret or an id token, each for its own attempt and once."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay.issuer_keys import IssuerKeys
from wsdash.backend.access.relay.token_verifier import LEEWAY_S, NotProven, Proofs

ISSUER = "https://gitlab.example"
BY_TOKEN = Grant("w1", "w1.a1", 1, issuer=ISSUER, audience="wsdash-relay", pipeline_id="7")
BY_SECRET = Grant("w1", "w1.a1", 1, secret_hash=hashlib.sha256(b"s3cret").hexdigest(), not_after=1000.0)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def proofs(key: rsa.RSAPrivateKey) -> Proofs:
    """With the published key of the instance, and a clock at 999 seconds for secrets."""

    def published(url: str, ca_file: str | None) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        return {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    return Proofs(clock=lambda: 999.0, keys=IssuerKeys(fetch=published))


def token(key: rsa.RSAPrivateKey, kid: str = "k1", **changes: object) -> str:
    claims = {"iss": ISSUER, "aud": "wsdash-relay", "exp": time.time() + 60, "jti": "t1", "pipeline_id": 7}
    given = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(given, key, algorithm="RS256", headers={"kid": kid})


async def refusal(proofs: Proofs, grant: Grant, proof: str, *, again: bool = False) -> str:
    with pytest.raises(NotProven) as refused:
        await proofs.check(grant, proof, again=again)
    assert not proof or proof not in str(refused.value)
    return str(refused.value)


async def test_a_secret_counts_until_its_time_is_over(proofs: Proofs) -> None:
    await proofs.check(BY_SECRET, "s3cret")
    assert "its secret is wrong" in await refusal(proofs, BY_SECRET, "s3cre")
    assert "its secret is wrong" in await refusal(proofs, BY_SECRET, "\ud800")
    assert "its secret has expired" in await refusal(proofs, replace(BY_SECRET, not_after=998.0), "s3cret")


async def test_a_grant_without_a_secret_and_an_instance_lets_nobody_in(proofs: Proofs) -> None:
    assert "accepts no proof" in await refusal(proofs, Grant("w1", "w1.a1", 1), "")


async def test_a_token_counts_once_and_again_only_for_an_answer_to_the_same(
    proofs: Proofs, key: rsa.RSAPrivateKey
) -> None:
    one = token(key)
    used = await proofs.check(BY_TOKEN, one)
    await proofs.check(BY_TOKEN, one)
    used()
    assert "used before" in await refusal(proofs, BY_TOKEN, one)
    await proofs.check(BY_TOKEN, one, again=True)
    await proofs.check(BY_TOKEN, token(key, jti="t2"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aud": "another"}, "InvalidAudienceError"),
        ({"iss": "https://evil.example"}, "InvalidIssuerError"),
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"exp": None}, "MissingRequiredClaimError"),
        ({"jti": None}, "MissingRequiredClaimError"),
        ({"pipeline_id": 8}, "its token is of pipeline '8'"),
        ({"pipeline_id": None}, "its token is of pipeline"),
        ({"kid": "k2"}, "has no such key"),
    ],
)
async def test_a_token_of_another_job_or_time_is_refused(
    proofs: Proofs, key: rsa.RSAPrivateKey, changes: dict[str, Any], words: str
) -> None:
    assert words in await refusal(proofs, BY_TOKEN, token(key, **changes))


async def test_a_token_that_somebody_else_signed_is_refused(proofs: Proofs, key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "InvalidSignatureError" in await refusal(proofs, BY_TOKEN, token(other))
    hmac = jwt.encode({"jti": "x"}, "k" * 64, algorithm="HS256", headers={"kid": "k1"})
    assert "is invalid" in await refusal(proofs, BY_TOKEN, hmac)
    for nonsense in ("", "a.b.c", "eyJ"):
        assert "is invalid" in await refusal(proofs, BY_TOKEN, nonsense)


async def test_a_used_token_is_remembered_until_it_has_expired(
    key: rsa.RSAPrivateKey, proofs: Proofs
) -> None:
    now = [time.time()]
    proofs.clock = lambda: now[0]
    (await proofs.check(BY_TOKEN, token(key, jti="old", exp=now[0] + 10)))()
    now[0] += 10 + LEEWAY_S + 1
    (await proofs.check(BY_TOKEN, token(key, jti="new")))()
    assert set(proofs._used) == {"new"}
