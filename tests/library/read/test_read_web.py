"""Web pages and Markdown as people see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_made import write

from mainspring.errors import ToolError
from mainspring.library.page import Page
from mainspring.library.read import ReadLimits, open_file


def read(tmp_path: Path, html: str | bytes, name: str = "a.html") -> tuple[list[Page], str]:
    reading = open_file(write(tmp_path, name, html), isolated=False)
    return list(reading.pages()), reading.problem


def kinds(page: Page) -> dict[str, str]:
    return {page.text[region.start : region.end]: region.kind for region in page.regions}


def test_words_in_order_with_their_kinds(tmp_path: Path) -> None:
    pages, problem = read(
        tmp_path,
        "<html lang=de><head><title> My  page </title><script>var x='NOT'</script></head><body><nav>menu</nav>"
        "<h1>Top</h1><p>Intro &amp; <a href='http://127.0.0.1:1/'>a link</a>.<br>second</p>"
        "<ul><li>one<li>two <b>b</b></ul>"
        "<table><caption>Costs</caption><tr><th>A<th>B<tr><td>1<td>2</table><pre>  code\n   here</pre>text"
        "<div>inner</div>tail<footer>imprint</footer></body></html>",
    )
    assert problem == ""
    assert kinds(pages[0]) == {
        "Top": "title",
        "Intro & a link.\nsecond": "text",
        "- one\n- two b": "list",
        "Costs": "caption",
        "A | B\n1 | 2": "table",
        "  code\n   here": "code",
        "text": "text",
        "inner": "text",
        "tail": "text",
    }
    about = open_file(tmp_path / "a.html", isolated=False).about
    assert (about.title, about.extra["language"]) == ("My page", "de")


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>HID</p>",
        "<p style='display : none'>HID</p>",
        "<p style='visibility:hidden'>HID</p>",
        "<span style='font-size:0'>HID</span>",
        "<span style='font-size: 0.5px'>HID</span>",
        "<div style='position:absolute;left:-9999px'>HID</div>",
        "<div style='opacity:0'>HID</div>",
        "<p aria-hidden=true>HID</p>",
        "<p style='color:#FFFFFF'>HID</p>",
        "<font color=white>HID</font>",
        "<p class=x>HID</p>",
        "<p id=y>HID</p>",
        "<p class=w>HID</p>",
        "<!-- HID -->",
        "<template>HID</template>",
        "<script>HID</script>",
        "<noscript>HID</noscript>",
        "<div><div hidden><p>deep <b>HID</b></p></div></div>",
        "<table><tr><td>cell</td><td style='display:none'>HID</td></tr></table>",
    ],
)
def test_what_is_hidden_is_left_out(tmp_path: Path, hidden: str) -> None:
    style = "<style>/* a */ .x, #y {display:none} @media print { .z {display:none} } .w{color:white}</style>"
    pages, problem = read(tmp_path, f"{style}<p>before</p>{hidden}<p class=z>after</p>")
    assert "HID" not in pages[0].text
    assert pages[0].text.startswith("before")
    assert pages[0].text.endswith("after")
    if not hidden.startswith(("<!--", "<template", "<script", "<noscript")):
        assert "nobody sees" in problem


@pytest.mark.parametrize(
    "seen",
    [
        "<div style='background:#333'><p style='color:white'>SEEN</p></div>",
        "<table bgcolor=black><tr><td style='color:#fff'>SEEN</td></tr></table>",
        "<style>.dark{background-color:navy}</style><div class=dark><span style='color:white'>SEEN</span></div>",
        "<p style='font-size:10px;line-height:0.9'>SEEN</p>",
        "<p style='max-width:100%;opacity:0.9'>SEEN</p>",
        "<p style='margin-left:-10px;background-color:white'>SEEN</p>",
    ],
)
def test_what_is_seen_stays(tmp_path: Path, seen: str) -> None:
    pages, problem = read(tmp_path, seen)
    assert "SEEN" in pages[0].text
    assert problem == ""


@pytest.mark.parametrize(
    "menu",
    [
        "<header><ul><li><a href=/>MENU</a><li><a href=/b>MENU</a></ul></header><h1>Glaciers</h1>",
        "<header><h1>Glaciers</h1><ul><li><a href=/>MENU</a><li><a href=/b>MENU</a></ul></header>",
        "<div id=top><a href=/>MENU</a> | <a href=/b>MENU</a></div><h1>Glaciers</h1>",
        "<div><div><a href=/>MENU</a></div><div><a href=/b><b>MENU</b></a></div></div><h1>Glaciers</h1>",
        "<main><p><a href=/>MENU</a> &gt; <a href=/b>MENU</a></p><h1>Glaciers</h1></main>",
    ],
)
def test_a_sites_links_above_a_page_are_not_on_it(tmp_path: Path, menu: str) -> None:
    text = "<p>They <a href=/ice>carry</a> stones.</p>"
    html = menu.replace("</main>", text + "</main>") if "</main>" in menu else menu + text
    (page,), _ = read(tmp_path, html)
    assert page.text == "Glaciers\n\nThey carry stones."


@pytest.mark.parametrize(
    "kept",
    [
        "<h1>Chapters</h1><ul><li><a href=1>KEPT</a><li><a href=2>more</a></ul>",
        "<ul><li><a href=1>KEPT</a><li><a href=2>more</a></ul>",  # a page of links, without a heading
        "<div><a href=/>Home</a> KEPT</div><h1>Chapters</h1>",
        "<header>KEPT</header><p>words</p>",
        "<section><header><p><a href=/ann>KEPT</a></p></header><p>words</p></section>",
        "<h1> </h1><p><a href=1>KEPT</a></p>",
    ],
)
def test_links_that_are_what_a_page_says_stay(tmp_path: Path, kept: str) -> None:
    pages, _ = read(tmp_path, kept)
    assert any("KEPT" in page.text for page in pages)


def test_only_what_is_in_main_when_there_is_one(tmp_path: Path) -> None:
    pages, _ = read(tmp_path, "<body><div>around</div><main><h1>A</h1><p>words</p></main><div>after</div></body>")
    assert pages[0].text == "A\n\nwords"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "big5"])
def test_encodings_by_mark_declaration_and_look(tmp_path: Path, encoding: str) -> None:
    meta = f"<meta charset={encoding}>" if encoding == "big5" else ""
    html = f"<html><head>{meta}</head><body><p>中文檢索與文件，這是一個例子。</p></body></html>"
    pages, _ = read(tmp_path, html.encode(encoding))
    assert pages[0].text == "中文檢索與文件，這是一個例子。"


def test_xhtml_with_elements_that_end_as_they_begin(tmp_path: Path) -> None:
    pages, _ = read(
        tmp_path,
        "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='a'/></head>"
        "<body><p>one</p><a id='x'/><p>two</p></body></html>",
    )
    assert pages[0].text == "one\n\ntwo"


def test_a_page_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="nested 100,000"):
        read(tmp_path, "<div>" * 100_000 + "x" + "</div>" * 100_000)
    pages, _ = read(tmp_path, "<div>" * 3_000 + "x" + "</div>" * 3_000)
    assert pages[0].text == "x"
    pages, _ = read(tmp_path, "<p>y" * 20_000)  # paragraphs end by themselves
    assert sum(page.text.count("y") for page in pages) == 20_000


@pytest.mark.parametrize(
    "style",
    ["/*" * 90_000, "x" * 190_000, "@" * 190_000, "{" * 190_000, "}" * 190_000, "a,{b" * 40_000],
)
def test_style_rules_without_end(tmp_path: Path, style: str) -> None:
    """None of these takes time that grows with the square of its length."""
    pages, _ = read(tmp_path, f"<style>{style}</style><p>words</p>")
    assert pages[0].text == "words"


def test_markdown(tmp_path: Path) -> None:
    text = (
        "---\ntitle: The guide\nauthor: Ann\n---\n# One\n\nsome *words* and [a link](http://127.0.0.1:1/x)\n\n"
        "<!-- HID -->\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\ncode()\n```\n\n> said <!-- HID --> so\n\n"
        "## Two\n\n" + "long words. " * 500
    )
    reading = open_file(write(tmp_path, "a.md", text), isolated=False)
    pages = list(reading.pages())
    assert (reading.about.title, reading.about.extra["author"]) == ("The guide", "Ann")
    assert kinds(pages[0])["a | b\n1 | 2"] == "table"
    assert kinds(pages[0])["code()"] == "code"
    assert "some words and a link" in pages[0].text
    assert "said  so" in pages[0].text
    assert (pages[0].line, pages[0].heading) == (5, "One")
    assert pages[-1].heading == "One > Two"
    assert not any("HID" in page.text for page in pages)
    assert "in comments" in reading.problem


@pytest.mark.slow
def test_fifty_megabytes_of_html(tmp_path: Path) -> None:
    path = write(tmp_path, "a.html", "<p>some words of a page</p>" * 1_900_000)
    reading = open_file(path, ReadLimits(pages=50, memory_mb=4096))
    assert len(list(reading.pages())) == 50
    assert "first 50 pages" in reading.problem
    reading.close()
