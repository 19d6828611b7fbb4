"""The algorithms that the relay accepts: no SHA-1, no CBC, nothing below 128 bits.

The oldest clients in images, OpenSSH 7.4 and dropbear 2020, support one of each list. asyncssh's own defaults would
also offer diffie-hellman-group14-sha1, hmac-sha1 and ssh-rsa signatures.
"""

from __future__ import annotations

from asyncssh.kex import get_kex_algs

_KEX = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)
KEX = [name for name in _KEX if name.encode() in get_kex_algs()]
"""The key exchanges that are available: the first three need libraries that asyncssh may not find."""

CIPHERS = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
]
MACS = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
]
SIGNATURES = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
]
