"""Fetches the text of a parent devfile by https, as little trusted as the devfile that names it.

Nothing of the user's goes along: no credentials, no cookies. Addresses that only this machine or its network
can reach are refused unless the user allows the host, and the connection goes to the very address that was looked
at, so that a name that means something else a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

from wsdash.devfile.diagnostics import FetchError, show
from wsdash.devfile.limits import MAX_BYTES

TIMEOUT_S = 20.0
MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch(
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    timeout_s: float = TIMEOUT_S,
    ca_file: str | None = None,
) -> bytes:
    """What stands at the address, redirects followed. Blocks for at most `timeout_s` seconds.

    `allowed_hosts` may be on this machine or its network. `ca_file` holds certificate authorities that are
    trusted beside the usual ones. Raises `FetchError`.
    """
    deadline = time.monotonic() + timeout_s
    try:
        context = ssl.create_default_context()
        if ca_file is not None:
            context.load_verify_locations(ca_file)
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
        raise FetchError(message, "check the address; an authority of your own must be known here") from None
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise FetchError(f"{show(url, 200)} cannot be fetched: {reason}", "check the address") from None
    raise FetchError(f"{show(url, 200)} leads on and on", f"at most {MOST_REDIRECTS} redirects are followed")


def is_public(address: Address) -> bool:
    """Whether the address is on the open Internet, also where it is an IPv4 address in IPv6's clothes."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _get(url: str, allowed: Collection[str], context: ssl.SSLContext, deadline: float) -> bytes | str:
    """The text, or the address where it is now. Raises what `fetch` catches, and `FetchError`."""
    host, port, target = _parts(url)
    address = _address_of(host, port, allowed)
    connection = _Pinned(host, port, address, context, _left(deadline))
    try:
        connection.connect()
        connection.request("GET", target, headers={"Accept": "*/*", "Accept-Encoding": "identity"})
        _limit(connection, deadline)
        answer = connection.getresponse()
        if answer.status in _REDIRECTS and (location := answer.headers.get("Location")):
            return urljoin(url, location)
        if answer.status != 200:
            raise FetchError(f"{show(url, 200)} answers with the status {answer.status}", "check the address")
        kept = b""
        while chunk := answer.read1(65536):
            kept += chunk
            if len(kept) > MAX_BYTES:
                message = f"{show(url, 200)} is larger than the {MAX_BYTES} bytes that a devfile may have"
                raise FetchError(message, "name the file itself")
            _limit(connection, deadline)
        return kept
    finally:
        connection.close()


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port and path of an address that may be fetched."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FetchError(f"{show(url, 200)} is no address", "correct it") from None
    if parts.scheme != "https":
        raise FetchError(f"{show(url, 200)} is not fetched: only https is", "use https")
    if parts.username is not None or parts.password is not None:
        raise FetchError(
            "an address with a user or a password is not fetched", "parents are fetched without credentials"
        )
    if not host or not url.isprintable() or " " in url:
        raise FetchError(f"{show(url, 200)} is no address", "correct it")
    return host, port or 443, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _address_of(host: str, port: int, allowed: Collection[str]) -> str:
    """An address of the host, all of whose addresses may be reached."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError(f"the host {show(host)} is not known here", "check the address") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if host not in allowed:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address)):
                message = (
                    f"{show(host)} is at {address}, on this machine or its network, and is not fetched from"
                )
                raise FetchError(message, "if it may be: allowed_hosts of the context in config.toml")
    return addresses[0]


class _Pinned(http.client.HTTPSConnection):
    """Connects to the address that was looked at; the certificate is the host's."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(host, port, context=context, timeout=timeout_s)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _limit(connection: http.client.HTTPConnection, deadline: float) -> None:
    """The next wait may take what is left of the time."""
    left = _left(deadline)
    if connection.sock is not None:
        connection.sock.settimeout(left)
