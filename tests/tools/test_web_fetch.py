"""Pages from real local servers: what comes back, and what never goes out."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ipaddress
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mainspring import Agent, ScriptedModel, ToolCallPart
from mainspring.errors import ToolError
from mainspring.tools.web import Fetcher, fetch_tool, web_fetch
from mainspring.tools.web.body import Unpacker, decode
from mainspring.tools.web.fetch import read_url
from mainspring.tools.web.html import MAX_LINKS, html_to_text
from mainspring.value import Labelled


@dataclass
class Answer:
    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    slow_s: float = 0.0


@dataclass
class Site:
    """A web server on the loopback address."""

    pages: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append((self.path, dict(self.headers.items())))
                found = site.pages.get(self.path.partition("?")[0], Answer(b"nothing here", "text/plain", 404))
                answer = found() if callable(found) else found
                self.send_response(answer.status)
                if answer.type:
                    self.send_header("Content-Type", answer.type)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for start in range(0, len(answer.body), 4096):
                        time.sleep(answer.slow_s)
                        self.wfile.write(answer.body[start : start + 4096])
                except OSError:
                    return

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


LOCAL = ("127.0.0.0/8",)


def fetch(url: str, **settings: Any) -> Labelled:
    fetcher = Fetcher(**{"networks": LOCAL, "timeout_s": 10.0} | settings)
    answer = asyncio.run(fetch_tool(fetcher=fetcher)(url))
    assert isinstance(answer, Labelled)
    return answer


def refused(url: str, **settings: Any) -> str:
    with pytest.raises(ToolError) as error:
        fetch(url, **settings)
    return str(error.value)


def test_a_page(site: Site) -> None:
    site.pages["/a"] = Answer(
        "<title>A  page</title><h1>Head</h1><p>Grüße,\n <b>world</b> &amp; all</p><script>x()</script>"
        "<a href='/b?c=1'>next <i>one</i></a><a href='javascript:x()'>bad</a><!-- said in secret -->".encode()
    )
    answer = fetch(f"{site.url}/a#part")
    assert answer.value == {
        "url": f"{site.url}/a",
        "status": 200,
        "title": "A page",
        "text": "# Head\n\nGrüße, world & all\n\nnext onebad",
        "links": [{"text": "next one", "url": f"{site.url}/b?c=1"}],
        "cut": False,
    }
    ((path, headers),) = site.seen
    assert path == "/a"
    assert headers["Host"] == f"127.0.0.1:{site.port}"
    assert not {"Cookie", "Authorization"} & set(headers)


def test_whose_words_they_are(site: Site) -> None:
    site.pages["/"] = Answer(b"hi")
    answer = fetch(site.url)
    assert answer.labels[""].strangers == {"web:127.0.0.1"}
    assert answer.labels["status"].trusted
    assert answer.labels["status"].steered == {"web:127.0.0.1"}


def test_the_declaration() -> None:
    assert web_fetch.name == "web_fetch"
    assert web_fetch.effect == "read"
    assert web_fetch.outside
    assert web_fetch.role("url") == "authority"
    assert web_fetch.schema["required"] == ["url"]


def test_it_works_in_a_run(site: Site, home: Path) -> None:
    site.pages["/"] = Answer(b"<p>forty-two</p>")
    tool = fetch_tool(networks=LOCAL)
    model = ScriptedModel([ToolCallPart("", "web_fetch", {"url": site.url}), "done"])
    run = Agent("reader", model=model, tools=[tool]).run_sync(f"Read {site.url}", home=home)
    if run.status == "waiting":  # a request tells somebody outside something, so that a person may be asked
        for pending in run.pending():
            pending.approve(by="ann")
        run = run.resume_sync()
    assert run.status == "done"
    assert len(site.seen) == 1


def test_no_loopback_without_being_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ToolError, match="not a public one: this machine"):
        asyncio.run(web_fetch(f"{site.url}/"))
    with pytest.raises(ToolError, match="not a public one"):
        asyncio.run(web_fetch(f"http://localhost:{site.port}/"))
    assert site.seen == []


def test_a_proxy_in_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Site()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    site.pages["/"] = Answer(b"direct")
    try:
        assert fetch(site.url).value["text"] == "direct"
        assert proxy.seen == []
    finally:
        proxy.close()


def test_redirects(site: Site) -> None:
    site.pages["/a"] = Answer(status=302, headers={"Location": "b?x=1"})
    site.pages["/b"] = Answer(status=308, headers={"Location": f"http://localhost:{site.port}/c"})
    site.pages["/c"] = Answer(b"arrived", "text/plain")
    answer = fetch(f"{site.url}/a", resolve=local)
    assert answer.value["text"] == "arrived"
    assert answer.value["url"] == f"http://localhost:{site.port}/c"
    assert answer.labels[""].strangers == {"web:127.0.0.1", "web:localhost"}  # each could have written it


async def local(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_redirects_end(site: Site) -> None:
    site.pages["/loop"] = Answer(status=302, headers={"Location": "/loop"})
    assert refused(f"{site.url}/loop") == "more than 5 redirects"
    assert len(site.seen) == 6


def test_each_redirect_is_asked_for(site: Site) -> None:
    asked: list[str] = []

    def allow(url: str) -> str | None:
        asked.append(url)
        return "not that one" if url.endswith("/b") else None

    site.pages["/a"] = Answer(status=301, headers={"Location": "/b"})
    site.pages["/b"] = Answer(b"secret")
    assert refused(f"{site.url}/a", allow=allow) == "redirect 1 was not followed: not that one"
    assert asked == [f"{site.url}/a", f"{site.url}/b"]
    assert [path for path, _ in site.seen] == ["/a"]


def test_cookies_are_forgotten(site: Site) -> None:
    site.pages["/a"] = Answer(status=302, headers={"Location": "/b", "Set-Cookie": "id=1; Path=/"})
    site.pages["/b"] = Answer(b"ok")
    fetch(f"{site.url}/a")
    assert "Cookie" not in site.seen[1][1]


def test_size_and_time(site: Site) -> None:
    site.pages["/big"] = Answer(b"x" * 300_000, "text/plain")
    answer = fetch(f"{site.url}/big", max_bytes=10_000)
    assert answer.value["cut"] is True
    assert answer.value["text"] == "x" * 10_000
    site.pages["/slow"] = Answer(b"x" * 400_000, "text/plain", slow_s=0.2)
    begun = time.monotonic()
    assert refused(f"{site.url}/slow", timeout_s=0.5) == "nothing complete came back within 0.5 s"
    assert time.monotonic() - begun < 10


def test_packed_answers(site: Site) -> None:
    body = "Grüße ".encode() * 100
    raw = zlib.compressobj(wbits=-15)
    for name, packed in {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "deflate ": raw.compress(body) + raw.flush(),
    }.items():
        site.pages["/"] = Answer(packed, "text/plain; charset=utf-8", headers={"Content-Encoding": name.strip()})
        assert fetch(site.url).value["text"] == body.decode()
    bomb = gzip.compress(b"\0" * 50_000_000)
    site.pages["/"] = Answer(bomb, "text/plain; charset=utf-8", headers={"Content-Encoding": "gzip"})
    answer = fetch(site.url, max_bytes=100_000)
    assert answer.value["cut"] is True
    assert len(answer.value["text"]) <= 100_000
    site.pages["/"] = Answer(body, headers={"Content-Encoding": "br"})
    assert "not asked for" in refused(site.url)
    site.pages["/"] = Answer(body, headers={"Content-Encoding": "gzip"})
    assert "cannot be unpacked" in refused(site.url)


def test_a_bomb_takes_no_memory() -> None:
    unpacker = Unpacker("gzip", 1_000)
    assert unpacker.feed(gzip.compress(b"\0" * 20_000_000)) is False
    assert len(unpacker.data) == 1_000


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("é".encode(), "", "é"),
        ("é".encode("latin-1"), "", "é"),
        ("é".encode("latin-1"), "iso-8859-1", "é"),
        ("я".encode("koi8-r"), "KOI8-R", "я"),
        ("日本".encode("shift_jis"), "shift_jis", "日本"),
        (b"\xef\xbb\xbfx", "latin-1", "x"),
        ("é".encode("utf-16"), "", "é"),
        (b"<meta charset='koi8-r'>" + "я".encode("koi8-r"), "", "<meta charset='koi8-r'>я"),
        (b"eJxLzMlRKC5JTgEAD9sDbQ==", "zlib", "eJxLzMlRKC5JTgEAD9sDbQ=="),
        (b"uryyb", "rot13", "uryyb"),
        (b"+ADw-script+AD4-", "utf-7", "+ADw-script+AD4-"),
        (b"x", "no-such-charset", "x"),
        (b"x", "\0", "x"),
        (b"ok\xff\xfe", "utf-8", "ok\ufffd\ufffd"),
    ],
)
def test_decode(data: bytes, charset: str, text: str) -> None:
    assert decode(data, charset, html=True) == text


def test_a_letter_cut_in_two() -> None:
    data = "ab日".encode()[:-1]
    assert decode(data, "", html=False, cut=True) == "ab\ufffd"
    assert decode(data, "", html=False) == data.decode("cp1252", "replace")


@pytest.mark.parametrize(
    ("type_", "body", "text"),
    [
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("application/ld+json", b"{}", "{}"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("text/css", b"a{}", "a{}"),
        ("", b"plain", "plain"),
        ("", b" <p>page</p>", "page"),
        ("image/png", b"\x89PNG", None),
        ("application/octet-stream", b"\0\1", None),
        ("", b"\0\1\2", None),
    ],
)
def test_kinds(site: Site, type_: str, body: bytes, text: str | None) -> None:
    site.pages["/"] = Answer(body, type_)
    if text is None:
        assert "is no text" in refused(site.url)
    else:
        assert fetch(site.url).value["text"] == text


def test_a_missing_page_is_an_answer(site: Site) -> None:
    answer = fetch(f"{site.url}/none")
    assert (answer.value["status"], answer.value["text"]) == (404, "nothing here")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.org/", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("javascript:alert(1)", "only http and https"),
        ("example.org", "only http and https"),
        ("http://", "no readable host"),
        ("http:///path", "no readable host"),
        ("http://user:pw@example.org/", "login"),
        ("http://good.com@evil.com/", "login"),
        ("http://good.com\\@evil.com/", "backslashes"),
        ("http://a b/", "blanks"),
        ("http://a\r\nHost: b/", "blanks"),
        ("http://example.org:99999/", "cannot be read"),
        ("http://example.org:x/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://2130706433/", "no readable host"),
        ("http://0x7f000001/", "no readable host"),
        ("http://0177.0.0.1/", "no readable host"),
        ("http://127.1/", "no readable host"),
        ("http://[fe80::1%25eth0]/", "no readable host"),
        ("http://exa%6dple.org/", "no readable host"),
        ("http://" + "a" * 9000, "characters"),
    ],
)
def test_urls_that_are_not_read(url: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org.:443/a?b=c#d", "https://example.org/a?b=c"),
        ("http://bücher.example/ä?ö=ü", "http://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://example.org/a%20b%2F?x=%26", "http://example.org/a%20b%2F?x=%26"),
    ],
)
def test_urls_that_are_read(url: str, read: str) -> None:
    assert read_url(url).url == read


def test_what_fails(site: Site) -> None:
    port = site.port
    site.close()
    assert refused(f"http://127.0.0.1:{port}/") == "no connection to the server (ConnectError)"

    async def nowhere(host: str, port: int) -> list[str]:
        return []

    assert refused("http://example.org/", resolve=nowhere) == "the host has no address"
    assert "cannot be found" in refused("http://no-such-host.invalid/")


class TestHtml:
    def text(self, html: str) -> str:
        return html_to_text(html, "https://example.org/a/")[1]

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<p>a<p>b", "a\n\nb"),
            ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
            ("<table><tr><th>a<td>b</table>", "| a | b"),
            ("<pre>a\n  b</pre>c", "a\n  b\n\nc"),
            ("a<br>b<img alt='cat'><img src=x>", "a\nb[image: cat]"),
            ("<div hidden>x<p>y</p></div>z", "z"),
            ("<div style='Display : None'>x</div>z", "z"),
            ("<svg><text>x</text></svg>z", "z"),
            ("<template><p>x</template>z", "z"),
            ("<div hidden><p>x</div>z", "z"),
            ("a<script>if (a < b) '</p>'</script>b", "ab"),
            ("&lt;b&gt; &#x41; &nbsp;x", "<b> A x"),
            ("</p></div>a</ul>", "a"),
            ("a<!-->b<!--->c<!-- d --!>e<!f>g<?h>i</>j", "abcegij"),
            ("a < b <3 c<", "a < b <3 c<"),
            ("<p title='a>b' hidden=no x = y>gone</p>a", "a"),
            ("<textarea><b>x</textarea>", "<b>x"),
            ("a<img alt='never closed", "a"),
            ("a<script>never closed", "a"),
            ("a<svg viewBox='0'/>b<svg><path/></svg>c", "abc"),
            ("<SCRIPT>x</script >b", "b"),
            ("", ""),
        ],
    )
    def test_text(self, html: str, text: str) -> None:
        assert self.text(html) == text

    def test_links(self) -> None:
        html = (
            "<a href=b>x</a><a href='mailto:a@b'>m</a><a href='//[x'>bad</a>"
            "<a href='https://c.example'>y<a href=d>z</a>"
        )
        links = html_to_text(html, "https://example.org/a/")[2]
        assert links == [
            {"text": "x", "url": "https://example.org/a/b"},
            {"text": "y", "url": "https://c.example"},
            {"text": "z", "url": "https://example.org/a/d"},
        ]
        assert len(html_to_text("<a href=b>x</a>" * 500, "https://example.org/")[2]) == MAX_LINKS

    def test_deep_and_long_pages(self) -> None:
        begun = time.process_time()
        assert self.text("<div>" * 50_000 + "x") == "x"
        self.text("<" * 100_000)
        self.text("<pre>" + " " * 200_000 + "x")
        self.text(" \n" * 100_000 + "<p> " * 50_000)
        for bit in ("<a href=", "<!--", "<![", "</", "&#", "<a b='", "<script>", "<?", "<a b", "<p>", "<a "):
            self.text(bit * (500_000 // len(bit)))
            self.text("<div hidden>" + bit * (500_000 // len(bit)))
        assert self.text("&#" + "9" * 10_000 + ";x").endswith("x")
        self.text("<div hidden>" + "<p>" * 50_000 + "</b>" * 1_000)
        assert time.process_time() - begun < 20


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert", folder / "key"


def test_the_certificate_is_checked_against_the_name_and_not_the_address(site: Site, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "good.example")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    site.server.socket = server_side.wrap_socket(site.server.socket, server_side=True)
    site.pages["/"] = Answer(b"over tls", "text/plain")
    tls = ssl.create_default_context(cafile=str(cert))
    assert fetch(f"https://good.example:{site.port}/", resolve=local, tls=tls).value["text"] == "over tls"
    assert site.seen[0][1]["Host"] == f"good.example:{site.port}"
    assert "no connection" in refused(f"https://evil.example:{site.port}/", resolve=local, tls=tls)
    assert "no connection" in refused(f"https://good.example:{site.port}/", resolve=local)


def test_an_address_is_no_network() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Fetcher(networks=("nonsense",))
    assert ipaddress.ip_network("127.0.0.0/8") in Fetcher(networks=LOCAL)._allowed
