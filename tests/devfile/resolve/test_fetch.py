"""Parents by address: fetched by https from the open Internet, without anything of the user's, or not at all."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.providers.gitlab.certificates import Authority
from wsdash.devfile import Document, FetchError, fetch, flatten, load
from wsdash.devfile.limits import MAX_BYTES, MAX_PARENTS
from wsdash.devfile.resolve.fetch import is_public
from wsdash.devfile.resolve.flatten import flatten_async

BASE = "schemaVersion: 2.2.0\ncomponents: [{name: main, container: {image: debian}}]\n"
CHILD = "schemaVersion: 2.2.0\nparent: {PARENT}\n"


@dataclass
class Web:
    """An HTTPS server on this machine, for the name localhost.

    `pages` are by path, and a text is a redirect; `raw` has whole answers.
    """

    ca_file: str
    port: int = 0
    pages: dict[str, bytes | str] = field(default_factory=dict)
    raw: dict[str, Iterable[bytes]] = field(default_factory=dict)
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
            if self.path in found.raw:
                for piece in found.raw[self.path]:
                    self.wfile.write(piece)
                return
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
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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


def test_a_relative_parent_in_a_registry_is_nowhere(web: Web) -> None:
    web.pages["/r/devfiles/go/latest"] = CHILD.replace("PARENT", "uri: base.yaml").encode()
    [found] = web.flat(f"id: go, registryUrl: '{web.url}/r'").diagnostics
    assert (found.code, found.severity, found.line) == ("parent.unsupported", "error", 2)
    assert found.file == f"{web.url}/r/devfiles/go/latest"
    assert len(web.asked) == 1


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
        ("uri: 'URL/loop.yaml'", "parent.cycle", "form a cycle"),
        ("uri: 'http://example.com/devfile.yaml'", "parent.unsupported", "only https"),
        ("uri: 'https://me:secret@example.com/x'", "parent.unsupported", "user or a password"),
        ("uri: 'https://[x/devfile.yaml'", "parent.unsupported", "not a valid address"),
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
        ("https:///x", "not a valid address"),
        ("https://[::1/x", "not a valid address"),
        ("https://exa mple.com/x", "not a valid address"),
        ("https://example.com:0/x", "not a valid address"),
        ("https://example.com:99999/x", "not a valid address"),
        ("https://example.com/\x1b[2J", "not a valid address"),
        ("https://example.com\\@localhost/x", "user or a password"),
        ("https://host.invalid/x", "cannot be resolved"),
        ("https://a..example/x", "cannot be resolved"),
        ("https://127.0.0.1/x", "on this machine or its network"),
        ("https://localhost/x", "on this machine or its network"),
        ("https://169.254.169.254/latest/meta-data", "on this machine or its network"),
        ("https://[::1]/x", "on this machine or its network"),
        ("https://[::ffff:10.0.0.1]/x", "on this machine or its network"),
        ("https://[2002:7f00:1::]/x", "on this machine or its network"),
        ("https://[64:ff9b::a9fe:a9fe]/x", "on this machine or its network"),
        ("https://127.1/x", "on this machine or its network"),
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
        ("192.0.0.8", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::808:808", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
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
    with pytest.raises(FetchError, match="redirects too often"):
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


@pytest.mark.parametrize(
    "uri", ["https:base.yaml", "https:/base.yaml", "https:", "https:///base.yaml", "https://[x"]
)
def test_what_only_looks_like_an_address_is_never_a_file_here(web: Web, uri: str) -> None:
    assert [remark.code for remark in web.flat(f"uri: '{uri}'").diagnostics] == ["parent.unsupported"]
    assert web.asked == []


def test_the_scheme_of_a_registry_may_be_in_capitals(web: Web) -> None:
    web.pages["/devfiles/go/latest"] = BASE.encode()
    assert web.flat(f"id: go, registryUrl: '{web.url.replace('https', 'HTTPS')}'").diagnostics == ()


def test_an_id_does_not_lead_out_of_the_registry(web: Web) -> None:
    web.flat(f"id: ../../x, registryUrl: '{web.url}/r'")
    assert [path for path, _ in web.asked] == ["/r/devfiles/..%2F..%2Fx/latest"]


@pytest.mark.parametrize(
    ("child", "uri", "asked"),
    [
        ("/a/devfile.yaml", "base.yaml", "/a/devfile.yaml/base.yaml"),
        ("/a/devfile.yaml", "../base.yaml", "/a/base.yaml"),
        ("/a/devfile.yaml", "../../../../etc/passwd", "/etc/passwd"),
        ("/a/devfile.yaml", "/etc/passwd", "/a/devfile.yaml/etc/passwd"),
        ("/a%20b/devfile.yaml", "../c d.yaml", "/a%20b/c%20d.yaml"),
        ("/raw?ref=main", "base.yaml?x", "/raw/base.yaml%3Fx?ref=main"),
    ],
)
def test_a_relative_parent_is_joined_onto_the_whole_path(web: Web, child: str, uri: str, asked: str) -> None:
    web.pages |= {child: CHILD.replace("PARENT", f"uri: '{uri}'").encode(), asked: BASE.encode()}
    assert web.flat(f"uri: '{web.url}{child}'").diagnostics == ()
    assert [path for path, _ in web.asked] == [child, asked]


def test_two_fetched_parents_of_each_other_are_a_circle(web: Web) -> None:
    for one, other in (("/a", "/b"), ("/b", "/a")):
        web.pages[one] = CHILD.replace("PARENT", f"uri: '{web.url}{other}'").encode()
    assert [remark.code for remark in web.flat(f"uri: '{web.url}/a'").diagnostics] == ["parent.cycle"]
    assert [path for path, _ in web.asked] == ["/a", "/b"]


def test_there_are_only_so_many_fetched_parents() -> None:
    asked: list[str] = []

    def fetch_parent(url: str) -> str:
        asked.append(url)
        return CHILD.replace("PARENT", "uri: x")

    document = load(CHILD.replace("PARENT", "uri: 'https://example.com/x'"))
    flat = flatten(document, read_parent=lambda _: None, fetch_parent=fetch_parent)
    assert [remark.code for remark in flat.diagnostics] == ["parent.too-deep"]
    assert len(asked) == MAX_PARENTS


async def test_fetched_asynchronously_it_is_the_same() -> None:
    async def no_file(_: str) -> bytes | None:
        pytest.fail("a file was read")

    async def fetch_parent(url: str) -> str:
        if url.endswith("/base"):
            return BASE
        raise FetchError("nobody is there", "wait")

    codes = {}
    for name in ("base", "none"):
        document = load(CHILD.replace("PARENT", f"uri: 'https://example.com/{name}'"))
        flat = await flatten_async(document, read_parent=no_file, fetch_parent=fetch_parent)
        codes[name] = [(remark.code, remark.hint) for remark in flat.diagnostics]
    assert codes == {"base": [], "none": [("parent.fetch", "wait")]}


@pytest.mark.parametrize(
    "parent",
    [
        "uri: 'https://h/x'",
        "uri: 'http://h/x'",
        "uri: 'https://me:secret@h/x'",
        "uri: 'https:x'",
        "id: go",
        "id: go, registryUrl: 'http://h'",
    ],
)
def test_without_leave_it_is_always_said_that_nothing_is_fetched(parent: str) -> None:
    flat = flatten(
        load(CHILD.replace("PARENT", parent)), read_parent=lambda _: pytest.fail("a file was read")
    )
    assert [remark.code for remark in flat.diagnostics] == ["parent.remote"]
    assert "secret" not in flat.diagnostics[0].message


OK = b"HTTP/1.1 200 OK\r\n"
FOUND = b"HTTP/1.1 302 Found\r\n"
LONGEST = MAX_BYTES + 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK + b"Content-Length: 9\r\n\r\nhalf", "ended 5 bytes too early"),
        (OK + b"Content-Length: %d\r\n\r\n" % LONGEST + b"x" * LONGEST, "larger than"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % LONGEST + b"x" * LONGEST, "larger than"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "cannot be fetched"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhalf", "cannot be fetched"),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * LONGEST, mtime=0), "compressed"),
        (OK + b"X: y\r\n" * 200 + b"\r\n", "cannot be fetched"),
        (FOUND + b"Location: https://[::1/x\r\n\r\n", "cannot be fetched"),
        (FOUND + b"Location: https://me:secret@localhost/x\r\n\r\n", "user or a password"),
        (FOUND + b"Location: //127.0.0.1/x\r\n\r\n", "on this machine"),
        (FOUND + b"\r\n", "status 302"),
        (b"\x1b[2Jgarbage\r\n\r\n", "garbage"),
        (b"", "cannot be fetched"),
    ],
    ids=lambda value: value if isinstance(value, str) else "answer",
)
def test_an_answer_that_is_none_is_refused_in_one_printable_line(web: Web, answer: bytes, words: str) -> None:
    web.raw["/x"] = [answer]
    with pytest.raises(FetchError, match=words) as caught:
        web.get(f"{web.url}/x")
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 4\r\n\r\nbodymore",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\nbody",
        OK + b"Content-Encoding: identity\r\n\r\nbody",
    ],
    ids=["length", "chunks", "continue", "identity"],
)
def test_an_answer_is_read_as_far_as_it_goes(web: Web, answer: bytes) -> None:
    web.raw["/x"] = [answer]
    assert web.get(f"{web.url}/x") == b"body"


def test_an_answer_ends_where_it_says_though_the_connection_stays(web: Web) -> None:
    def kept_open() -> Iterator[bytes]:
        yield OK + b"Content-Length: 4\r\n\r\nbody"
        web.silent.wait(30)

    web.raw["/x"] = kept_open()
    assert web.get(f"{web.url}/x") == b"body"
    assert not web.silent.is_set()


@pytest.mark.parametrize(
    "start", [b"X: ", b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n"], ids=["head", "chunk", "body"]
)
def test_little_at_a_time_does_not_stretch_the_time(web: Web, start: bytes) -> None:
    def drops() -> Iterator[bytes]:
        yield OK + start
        while not web.silent.wait(0.02):
            yield b"0"

    web.raw["/x"] = drops()
    with pytest.raises(FetchError, match=r"within 0\.5 s"):
        fetch(f"{web.url}/x", allowed_hosts={"localhost"}, ca_file=web.ca_file, timeout_s=0.5)


def test_a_look_up_that_does_not_end_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30) and [])
    with pytest.raises(FetchError, match=r"within 0\.1 s"):
        fetch("https://example.com/x", timeout_s=0.1)
    over.set()


def test_of_several_addresses_none_may_be_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _looked_up("93.184.215.14", "127.0.0.1"))
    with pytest.raises(FetchError, match=r"127\.0\.0\.1, on this machine"):
        fetch("https://example.com/x")


def test_the_next_address_is_tried_and_capitals_do_not_matter(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the first: a host with IPv4 and IPv6 often has but one of them."""
    web.pages["/x"] = b"x"
    connect, tried = socket.create_connection, []

    def connected(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address[0])
        if address[0] == "::1":
            raise ConnectionRefusedError
        return connect(address, timeout)

    monkeypatch.setattr(socket, "getaddrinfo", _looked_up("::1", "127.0.0.1"))
    monkeypatch.setattr(socket, "create_connection", connected)
    url = f"https://LOCALHOST:{web.port}/x"
    assert fetch(url, allowed_hosts={"Localhost"}, ca_file=web.ca_file) == b"x"
    assert tried == ["::1", "127.0.0.1"]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "own.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(FetchError, match=r"own\.pem.*cannot be read"):
        fetch("https://example.com/x", ca_file=str(file))


_real_look_up = socket.getaddrinfo


def _looked_up(*addresses: str) -> Callable[..., object]:
    """Answers for every name; an address stays what it is."""

    def look_up(host: str, port: int, *more: int, **named: int) -> object:
        if host[0].isdigit() or ":" in host:
            return _real_look_up(host, port, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return look_up
