"""Fetches a parent devfile by https. Its address is not trusted, like the devfile that names it.

No credentials or cookies are sent. Addresses that only this machine or its network can reach are refused unless
the user allows the host. The connection goes to the address that was checked, so a later change of the
name's address has no effect. No proxy is used: it would resolve the name again, and receive the credentials
that the environment has for it.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from wsdash.devfile.diagnostics import FetchError, show, visible
from wsdash.devfile.limits import MAX_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT_S = 20.0
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_GLOBAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)
"""Addresses that `ipaddress` treats as global, some of them in older versions only (IANA's special-purpose address
registries; RFC 3879 and 7526 for obsolete ones)."""
_SAFE = "/%:=&?~#+!$,;'@()*[]"
"""Characters of a path or query that are not quoted (RFC 3986, section 2), including `%` of quoted ones."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch(
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    timeout_s: float = TIMEOUT_S,
    ca_file: str | None = None,
) -> bytes:
    """Return the text at the address, redirects followed. Blocks for at most `timeout_s` seconds.

    `allowed_hosts` may be on this machine or its network. `ca_file` has certificate authorities to trust in
    addition to the usual ones. Raises `FetchError`.
    """
    deadline = time.monotonic() + timeout_s
    context = _context(ca_file)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            found = _get(url, allowed_hosts, context, deadline)
            if isinstance(found, bytes):
                return found
            url = found
    except TimeoutError:
        raise FetchError(
            f"{show(url, 200)} did not answer within {timeout_s:g} s", "check the network"
        ) from None
    except ssl.SSLCertVerificationError as error:
        message = f"the certificate of {show(url, 200)} is not trusted: {error.verify_message}"
        raise FetchError(message, "check the address; for your own authority, set ca_file") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = visible((str(error).strip() or type(error).__name__)[:200])
        raise FetchError(f"{show(url, 200)} cannot be fetched: {reason}", "check the address") from None
    raise FetchError(
        f"{show(url, 200)} redirects too often", f"at most {MOST_REDIRECTS} redirects are followed"
    )


def is_public(address: Address) -> bool:
    """Whether the address is on the open Internet; an IPv4 address embedded in an IPv6 one is unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    if any(address in network for network in _NOT_GLOBAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = _Timed
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            message = f"the authorities in {show(ca_file, 200)} cannot be read: {error.strerror or error}"
            raise FetchError(message, "correct ca_file") from None
    return context


def _get(url: str, allowed: Collection[str], context: ssl.SSLContext, deadline: float) -> bytes | str:
    """Return the text, or the address of a redirect. Raises the errors that `fetch` handles, and `FetchError`."""
    host, port, target = _parts(url)
    connection = http.client.HTTPSConnection(host, port, context=context)
    connection.auto_open = 0  # it would resolve the name again
    try:
        connection.sock = _connected(host, port, allowed, context, deadline)
        # A registry's answer does not depend on Accept; devfile/library does not send the header.
        connection.request("GET", target, headers={"Accept": "*/*", "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        if answer.status in _REDIRECTS and (location := answer.headers.get("Location")):
            return urljoin(url, location)
        if answer.status != 200:
            raise FetchError(f"{show(url, 200)} answers with the status {answer.status}", "check the address")
        return _body(answer, url)
    finally:
        connection.close()


def _body(answer: http.client.HTTPResponse, url: str) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        message = f"{show(url, 200)} was sent compressed without being requested to"
        raise FetchError(message, "use an address of the uncompressed file")
    kept = answer.read(MAX_BYTES + 1)
    if len(kept) > MAX_BYTES:
        message = f"{show(url, 200)} is larger than the {MAX_BYTES} bytes that a devfile may have"
        raise FetchError(message, "check the address")
    if answer.length:
        raise FetchError(f"{show(url, 200)} ended {answer.length} bytes too early", "try again")
    return kept


def _parts(url: str) -> tuple[str, int, str]:
    """Return host, port and path of an address that may be fetched."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FetchError(f"{show(url, 200)} is not a valid address", "correct it") from None
    if parts.scheme != "https":
        raise FetchError(f"{show(url, 200)} is not fetched: only https is supported", "use https")
    if parts.username is not None or parts.password is not None:
        raise FetchError(
            "an address with a user or a password is not fetched", "parents are fetched without credentials"
        )
    if not host or port == 0 or not url.isprintable() or " " in url:
        raise FetchError(f"{show(url, 200)} is not a valid address", "correct it")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or 443, quote(target, safe=_SAFE)


def _addresses_of(host: str, port: int, allowed: Collection[str], deadline: float) -> list[str]:
    """Return the host's addresses, after checking that all of them may be reached."""
    addresses = _looked_up(host, port, deadline)
    if host not in {name.lower() for name in allowed}:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address)):
                message = (
                    f"{show(host)} is at {address}, on this machine or its network, so it is not fetched from"
                )
                raise FetchError(
                    message, "to allow it, add it to allowed_hosts of the context in config.toml"
                )
    return addresses


def _looked_up(host: str, port: int, deadline: float) -> list[str]:
    """Resolve the host in a thread, because getaddrinfo has no timeout."""
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        addresses = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if not addresses:
        raise FetchError(f"the host {show(host)} cannot be resolved", "check the address")
    return addresses


def _connected(
    host: str, port: int, allowed: Collection[str], context: ssl.SSLContext, deadline: float
) -> ssl.SSLSocket:
    """Connect to the first checked address that answers; the certificate must be the host's."""
    addresses = _addresses_of(host, port, allowed, deadline)
    for left_over, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        try:
            plain = socket.create_connection((address, port), _left(deadline) / (left_over + 1))
            break
        except OSError:
            if not left_over:
                raise
    with plain:  # closed here if TLS fails, else detached
        plain.settimeout(_left(deadline))
        secured = context.wrap_socket(plain, server_hostname=host)
    assert isinstance(secured, _Timed)
    secured.deadline = deadline
    return secured


class _Timed(ssl.SSLSocket):
    """A stream that reads only until the deadline, however slowly the data arrives."""

    deadline = math.inf

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(buffer, nbytes, flags)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
