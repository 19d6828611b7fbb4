"""The relay speaks with clients as old as images have them, and offers nothing weak."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from wsdash.backend.access.keys import public_key
from wsdash.backend.access.relay import algorithms

WEAK = re.compile(
    r"sha1|md5|cbc|3des|arcfour|ssh-dss|group1-|group14|group-exchange|ssh-rsa|none|-96|1\.3\.132"
)
OPENSSH_7_4 = {
    "KexAlgorithms": "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
    "diffie-hellman-group16-sha512,diffie-hellman-group14-sha1",
    "Ciphers": "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com",
    "MACs": "umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256,hmac-sha1",
}
"""The algorithms that the old version offers by default, as far as the current one knows them."""
DROPBEAR_2020 = {
    "KexAlgorithms": "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp521,ecdh-sha2-nistp256,"
    "diffie-hellman-group14-sha256",
    "Ciphers": "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
    "MACs": "hmac-sha1,hmac-sha2-256",
}


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path)
    yield found
    found.close()


def said_by_ssh(relay: Running, job: ConnectedJob, options: dict[str, str]) -> str:
    """The messages of ssh about a login without any key."""
    named = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    argv = ["ssh", "-F", "/dev/null", "-vv", *named, "-o", "BatchMode=yes", "-o", "IdentityFile=none"]
    argv += ["-o", f"UserKnownHostsFile={job.folder}/known_hosts", "-o", "HostKeyAlias=wsdash-relay"]
    argv += ["-p", str(relay.port), "nobody@127.0.0.1", "true"]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.stderr


def test_nothing_weak_is_offered(relay: Running, job: ConnectedJob) -> None:
    output = said_by_ssh(relay, job, {})
    offer = output.partition("peer server KEXINIT proposal")[2]
    lines = dict(re.findall(r"debug2: ([\w ]+): ([\w@.,-]+)\r?$", offer, re.MULTILINE))
    for kind in (
        "KEX algorithms",
        "host key algorithms",
        "ciphers ctos",
        "ciphers stoc",
        "MACs ctos",
        "MACs stoc",
    ):
        assert lines[kind]
        assert not [name for name in lines[kind].split(",") if WEAK.search(name)]
    assert lines["compression ctos"] == "none"
    assert not WEAK.search(",".join(algorithms.SIGNATURES))
    signatures = re.search(r"server-sig-algs=<([^>]*)>", output)
    assert signatures is not None
    assert "ssh-rsa" not in signatures[1].split(",")


@pytest.mark.parametrize("client", [OPENSSH_7_4, DROPBEAR_2020], ids=["OpenSSH 7.4", "dropbear 2020"])
def test_clients_of_old_images_get_as_far_as_the_login(
    relay: Running, job: ConnectedJob, client: dict[str, str]
) -> None:
    assert "Permission denied (publickey,keyboard-interactive)" in said_by_ssh(relay, job, client)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("KexAlgorithms", "diffie-hellman-group14-sha1"),
        ("KexAlgorithms", "diffie-hellman-group-exchange-sha256"),
        ("Ciphers", "3des-cbc,aes128-cbc"),
        ("MACs", "hmac-sha1"),
    ],
)
def test_a_client_that_knows_only_weak_ones_is_refused(
    relay: Running, job: ConnectedJob, option: str, value: str
) -> None:
    options = {option: value, **({"Ciphers": "aes128-ctr"} if option == "MACs" else {})}
    assert "Unable to negotiate" in said_by_ssh(relay, job, options)


@pytest.mark.skipif(shutil.which("dbclient") is None, reason="dropbear-bin is not installed")
def test_a_real_dropbear_gets_as_far_as_the_login(relay: Running, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    key = public_key(relay.folder.host_key)
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{relay.port} {key}\n127.0.0.1 {key}\n")
    argv = ["dbclient", "-y", "-p", str(relay.port), "nobody@127.0.0.1", "true"]
    done = subprocess.run(
        argv,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert "nobody" in done.stderr + done.stdout, done.stderr
    assert "No matching" not in done.stderr
