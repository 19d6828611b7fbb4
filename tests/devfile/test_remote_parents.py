"""Parents by address: fetched by https from the open Internet, without anything of the user's, or not at all."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.providers.gitlab.certificates import Authority
from wsdash.devfile import Document, FetchError, fetch, flatten, load
from wsdash.devfile.limits import MAX_BYTES
from wsdash.devfile.remote import is_public

BASE = "schemaVersion: 2.2.0\ncomponents: [{name: main, container: {image: debian}}]\n"
CHILD = "schemaVersion: 2.2.0\nparent: {PARENT}\n"


@dataclass
class Web:
    """An HTTPS server on this machine, for the name localhost. `pages` by path; a text with => is a redirect."""

    ca_file: str
    port: int = 0
    pages: dict[str, bytes | str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def get(self, url: str) -> bytes:
        return fetch(url, allowed_hosts={"localhost"}, ca_file=self.ca_file)

    def flat(self, parent: str) -> Document:
        document = load(CHILD.replace("PARENT", parent))
        return flatten(document, read_parent=lambda _: pytest.fail("a file was read"), fetch_parent=self.get)


@pytest.fixture
def web(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Web]:
    authority = Authority(tmp_path / "ca.pem")
    found = Web(str(authority.file))

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, dict(self.headers.items())))
            page = found.pages.get(self.path)
            if isinstance(page, str):
                self.send_response(302)
                self.send_header("Location", page)
                self.end_headers()
                return
            self.send_response(404 if page is None else 200)
            self.end_headers()
            if page == b"slow":
                found.silent.wait(30)
                return
            self.wfile.write(page or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = authority.context("localhost", tmp_path).wrap_socket(server.socket, server_side=True)
    found.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    found.silent.set()
    server.shutdown()
    server.server_close()


def test_a_parent_by_its_address_is_merged(web: Web) -> None:
    web.pages["/base.yaml"] = BASE.encode()
    flat = web.flat(f"uri: '{web.url}/base.yaml'")
    assert flat.diagnostics == ()
    assert [component.name for component in flat.devfile.components] == ["main"]
    assert not flat.inherits


def test_a_parent_of_a_registry_is_asked_for_by_its_id_and_version(web: Web) -> None:
    web.pages |= {"/r/devfiles/go/latest": BASE.encode(), "/r/devfiles/go/1.2.0": BASE.encode()}
    for version in ("", ", version: 1.2.0"):
        flat = web.flat(f"id: go, registryUrl: '{web.url}/r/'{version}")
        assert flat.diagnostics == ()
    assert [path for path, _ in web.asked] == ["/r/devfiles/go/latest", "/r/devfiles/go/1.2.0"]


def test_a_relative_parent_of_a_fetched_one_is_fetched_too_and_never_read_here(web: Web) -> None:
    middle = CHILD.replace("PARENT", "uri: ../other/base.yaml")
    web.pages |= {"/a/devfile.yaml": middle.encode(), "/a/other/base.yaml": BASE.encode()}
    assert web.flat(f"uri: '{web.url}/a/devfile.yaml'").diagnostics == ()
    assert [path for path, _ in web.asked] == ["/a/devfile.yaml", "/a/other/base.yaml"]


def test_what_is_wrong_in_a_fetched_parent_names_its_address(web: Web) -> None:
    web.pages["/base.yaml"] = b"schemaVersion: 2.2.0\ncomponents: 7\n"
    (remark, *_) = web.flat(f"uri: '{web.url}/base.yaml'").diagnostics
    assert (remark.file, remark.line) == (f"{web.url}/base.yaml", 2)


@pytest.mark.parametrize(
    ("parent", "code", "words"),
    [
        ("uri: 'URL/none.yaml'", "parent.fetch", "status 404"),
        ("uri: 'URL/loop.yaml'", "parent.cycle", "in a circle"),
        ("uri: 'http://example.com/devfile.yaml'", "parent.unsupported", "only https"),
        ("uri: 'https://me:secret@example.com/x'", "parent.unsupported", "user or a password"),
        ("uri: 'https://[x/devfile.yaml'", "parent.unsupported", "no address"),
        (
            "id: go, registryUrl: 'https://me:secret@registry.example'",
            "parent.unsupported",
            "user or a password",
        ),
        ("uri: 'ftp://example.com/devfile.yaml'", "parent.unsupported", "neither a path nor"),
        ("id: go", "parent.remote", "registry that is not named"),
        ("id: go, registryUrl: 'http://registry.example'", "parent.unsupported", "only https"),
        ("kubernetes: {name: x}", "parent.unsupported", "Kubernetes"),
    ],
)
def test_a_parent_that_is_not_fetched_is_an_error_with_its_place(
    web: Web, parent: str, code: str, words: str
) -> None:
    web.pages["/loop.yaml"] = CHILD.replace("PARENT", f"uri: '{web.url}/loop.yaml'").encode()
    found = web.flat(parent.replace("URL", web.url)).diagnostics
    assert [remark.code for remark in found] == [code]
    assert words in found[0].message
    assert "secret" not in found[0].message


def test_a_newer_parent_is_an_error(web: Web) -> None:
    web.pages["/base.yaml"] = BASE.replace("2.2.0", "2.3.0").encode()
    assert "parent.newer" in {d.code for d in web.flat(f"uri: '{web.url}/base.yaml'").diagnostics}


def test_without_leave_nothing_is_fetched() -> None:
    document = load(CHILD.replace("PARENT", "uri: 'https://example.com/devfile.yaml'"))
    flat = flatten(document, read_parent=lambda _: None)
    assert [remark.code for remark in flat.diagnostics] == ["parent.remote"]


def test_nothing_of_the_user_goes_along(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("https_proxy", "http://somebody:secret@127.0.0.1:1")
    web.pages["/base.yaml"] = BASE.encode()
    assert web.get(f"{web.url}/base.yaml") == BASE.encode()
    (_, headers) = web.asked[0]
    assert set(headers) == {"Host", "Accept", "Accept-Encoding"}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/x", "only https"),
        ("file:///etc/passwd", "only https"),
        ("https://user:secret@example.com/x", "user or a password"),
        ("https://token@example.com/x", "user or a password"),
        ("https:///x", "no address"),
        ("https://[::1/x", "no address"),
        ("https://exa mple.com/x", "no address"),
        ("https://host.invalid/x", "not known here"),
        ("https://127.0.0.1/x", "on this machine or its network"),
        ("https://localhost/x", "on this machine or its network"),
        ("https://169.254.169.254/latest/meta-data", "on this machine or its network"),
        ("https://[::1]/x", "on this machine or its network"),
        ("https://[::ffff:10.0.0.1]/x", "on this machine or its network"),
        ("https://2130706433/x", "on this machine or its network"),
    ],
)
def test_an_address_that_may_not_be_fetched_is_refused_before_anything_is_sent(url: str, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        fetch(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2001:0:7f00:1::", False),
    ],
)
def test_which_addresses_are_on_the_open_internet(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@given(st.ip_addresses(v=4))
def test_an_address_in_other_clothes_is_no_more_public(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.ip_address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))
    assert is_public(mapped) is is_public(translated) is is_public(address)


@pytest.mark.parametrize("target", ["https://127.0.0.1:1/x", "http://localhost/x", "https://10.0.0.1/x"])
def test_a_redirect_leads_nowhere_that_is_refused(web: Web, target: str) -> None:
    web.pages["/base.yaml"] = target
    with pytest.raises(FetchError, match=r"only https|on this machine"):
        web.get(f"{web.url}/base.yaml")


def test_redirects_are_followed_and_end(web: Web) -> None:
    web.pages |= {"/a": "/b", "/b": f"{web.url}/c", "/c": BASE.encode(), "/round": "/round"}
    assert web.get(f"{web.url}/a") == BASE.encode()
    with pytest.raises(FetchError, match="leads on and on"):
        web.get(f"{web.url}/round")


def test_size_and_time_are_limited(web: Web) -> None:
    web.pages |= {"/large": b"x" * (MAX_BYTES + 1), "/slow": b"slow"}
    with pytest.raises(FetchError, match="larger than"):
        web.get(f"{web.url}/large")
    with pytest.raises(FetchError, match=r"within 0\.3 s"):
        fetch(f"{web.url}/slow", allowed_hosts={"localhost"}, ca_file=web.ca_file, timeout_s=0.3)


def test_the_certificate_must_be_the_hosts_and_trusted(web: Web) -> None:
    web.pages["/x"] = b"x"
    with pytest.raises(FetchError, match="certificate"):
        fetch(f"{web.url}/x", allowed_hosts={"localhost"})
    with pytest.raises(FetchError, match="certificate"):
        fetch(f"https://127.0.0.1:{web.port}/x", allowed_hosts={"127.0.0.1"}, ca_file=web.ca_file)


def test_the_connection_goes_to_the_address_that_was_looked_at(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address when it is asked for again changes nothing."""
    web.pages["/x"] = b"x"
    real, asked = socket.getaddrinfo, []

    def once(host: str, *more: object, **named: object) -> object:
        if host == "localhost":
            asked.append(host)
            assert len(asked) == 1
        return real(host, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", once)
    assert web.get(f"{web.url}/x") == b"x"
