"""Markdown that was made inert fetches nothing and leads to no outsider's host, whatever was in it."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mainspring.guard.outputs import inert
from mainspring.guard.outputs.markdown import MAX_PASSES
from mainspring.label import USER, Label

WEB = Label(frozenset({"tool:web"}))
GOOD = {"good.com", "*.good.org"}


class Live(HTMLParser):
    """Collects what a browser would fetch or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.other: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            elif name not in ("class", "start", "title", "align") and not (
                name == "style" and re.fullmatch(r"text-align:(left|right|center)", value or "")
            ):
                self.other.append(f"{name}={value}")


def live(markdown: str) -> Live:
    found = Live()
    for preset in ("commonmark", "js-default"):
        parser = MarkdownIt(preset, {"html": True})
        parser.enable("table")
        found.feed(parser.render(markdown))
    return found


PLAIN_TAGS = {
    *("p", "em", "strong", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "br", "s", "table", "thead"),
    *("tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"),
}


def assert_inert(markdown: str) -> None:
    found = live(markdown)
    assert found.tags <= PLAIN_TAGS
    assert found.other == []
    for link in found.links:
        assert re.match(r"https?://(good\.com|[\w.-]+\.good\.org)(:\d+)?([/?#]|\Z)|#", link), link


def shown(markdown: str) -> str:
    return inert(markdown, WEB, known_hosts=GOOD)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("![a](https://evil.example/p.png?d=x)", "a (hxxps://evil[.]example/p.png?d=x)"),
        ("![](//evil.example/p.png)", "image (//evil[.]example/p.png)"),
        ("![a](https://good.com/i.png)", "[a](https://good.com/i.png)"),
        ("[![a](https://evil.example/i)](https://good.com/x)", "[a](https://good.com/x)"),
        ("[![a](https://good.com/i)](https://evil.example/x)", "a (hxxps://evil[.]example/x)"),
        ("[click](javascript:alert(1))", "click (javascript: link removed)"),
        ("[click](JaVa&#x53;cript:alert(1))", "click (javascript: link removed)"),
        ("[click](<java\tscript:alert(1)>)", "click (javascript: link removed)"),
        ("[open](vscode://file/etc/passwd)", "open (vscode[:]//file/etc/passwd)"),
        ("[data](data:text/html;base64,PHN2Zz4=)", "data (data: link removed)"),
        ("[out](/logout)", "out (/logout)"),
        ("[above](#top)", "[above](#top)"),
        ("[a](https://good.com/a_b 'T')", "[a](https://good.com/a_b 'T')"),
        ("[a](https://sub.good.org)", "[a](https://sub.good.org)"),
        ("[a](https://good.com.evil.example)", "a (hxxps://good[.]com[.]evil[.]example)"),
        ("[a](https://good.com@evil.example/x)", "a (hxxps://someone@evil[.]example/x)"),
        (r"[a](https://good.com\@evil.example/x)", "a (hxxps://someone@evil[.]example/x)"),
        (r"[a](https://evil.example\\@good.com/x)", "a (hxxps://evil[.]example/@good.com/x)"),
        ("[a](https:evil.example)", "a (hxxps://evil[.]example)"),
        ("<https://evil.example/a>", "hxxps://evil[.]example/a"),
        ("<https://good.com/a>", "<https://good.com/a>"),
        ("<ann@evil.example>", "ann@evil.example"),
        ("see www.evil.example now", "see www[.]evil[.]example now"),
        ("see evil.com/x?y=1 now", "see evil[.]com/x?y=1 now"),
        ("https&#58;//evil.example/x", "hxxps://evil[.]example/x"),
        (r"https\:/\/evil.example/x", "hxxps://evil[.]example/x"),
        ("hxxps://evil.example/x", "hxxps://evil[.]example/x"),
        ("<b>x</b> <!-- y -->", "&lt;b>x&lt;/b> &lt;!-- y -->"),
        ("[x][1]\n\n[1]: https://good.com/ok", "[x][1]\n\n[1]: https://good.com/ok"),
        ("[^1]: ![](https://evil.example/z)\n\nfoot[^1]", "\\[^1]: image (hxxps://evil[.]example/z)\n\nfoot[^1]"),
        ("> a ![b](https://evil.example/\n> 'title') c", "> a b (hxxps://evil[.]example/) c"),
        ("```mermaid\nclick A\n```", "```text\nclick A\n```"),
        ("```{image} https://evil.example/i\n```", "```text\n```"),
        ("a\u202eb\x1b[2Jc", "a\\u202eb␛[2Jc"),
        ("https://gооd.com/x", "hxxps://xn--gd-fmca[.]com/x"),
    ],
)
def test_rewritten(markdown: str, expected: str) -> None:
    assert shown(markdown) == expected
    assert_inert(expected)


@pytest.mark.parametrize(
    "markdown",
    [
        "",
        "Plain prose, with *emphasis*, **bold**, `code`, x < y, a & b, 3 > 2 and a [bracket] or two!\n",
        "# Head\n\n- one\n- two\n  1. three\n\n> quote\n\n---\n\n| a | b |\n|---|--:|\n| `x|y` | 2 |\n",
        "See src/main.py, os.name, setup.py and node.js/express, e.g. at 12:30; and/or U.S. rules.",
        "```python\nx = '![a](https://evil.example)'  # <img src=x>\n```\n\n    <script>indented</script>\n",
        "Some `![a](https://evil.example)` and ``<img src=`x`>`` in code.",
        "日本語の文章。naïve café 👨\u200d👩\u200d👧 and می\u200cخواهم",
        "Windows C:\\path\\file, ann@example.org, 5 * 3 * 2, snake_case_name, ~tilde~",
        "first line  \nsecond line\\\nthird line\n\tindent",
    ],
)
def test_prose_and_code_are_unchanged(markdown: str) -> None:
    assert shown(markdown) == markdown


def test_trusted_text_keeps_its_links_but_fetches_nothing() -> None:
    text = "[a](https://any.example) <https://b.example> [mail](mailto:a@b.example) [file](docs/x.md) c.example/x"
    assert inert(text, USER) == text
    assert inert("![a](https://any.example/i.png)", USER) == "[a](https://any.example/i.png)"
    assert inert("<img src=x> [x](javascript:y)", USER) == "&lt;img src=x> x (javascript: link removed)"
    assert "hxxps" in inert("[x](https://a@b.example)", USER)


def test_what_the_parser_would_skip_is_shown_as_code() -> None:
    deep = ">" * 200 + " ![x](https://evil.example)"
    assert shown(deep) == f"```text\n{deep}\n```\n"
    fenced = shown(deep + "\n" + "> " * 200 + "``````")
    assert fenced.startswith("```````text\n")
    assert shown(fenced) == fenced


def test_a_rewrite_that_does_not_settle_ends_as_code() -> None:
    text = "![" * (MAX_PASSES + 8) + "x" + "](https://evil.example/)" * (MAX_PASSES + 8)
    once = shown(text)
    assert_inert(once)
    assert shown(once) == once


BITS = st.sampled_from(
    [
        *("![", "[", "]", "](", ")", "(", "<", ">", "![x](https://evil.example/?q=1)", "[x](https://evil.example)"),
        *("https://evil.example/a", "//evil.example", "www.evil.example", "https://good.com/a", "evil.com/x?d=1"),
        *("[r]: https://evil.example/r\n", "[r]", "[x][r]", "![r]", "[r]:\n<javascript:alert(1)>\n", "[^1]", "[^1]: "),
        *("<img src=https://evil.example/i>", "<script>", "</script>", "<!--", "-->", "<svg/onload=alert(1)>"),
        *("<a href='https://evil.example'>", "<https://evil.example>", "<javascript:alert(1)>", "javascript:alert(1)"),
        *(
            "&lt;",
            "&#60;",
            "&#x3c;img src=x&#62;",
            "&colon;",
            "&#106;",
            "&amp;",
            "\\",
            "\\[",
            "\\<",
            "`",
            "``",
            "```\n",
        ),
        *(
            "\n",
            "\n\n",
            "\n    ",
            "\n\t",
            "> ",
            "- ",
            "1. ",
            "# ",
            "---\n",
            "===\n",
            "|",
            "| a | b |\n|---|---|\n",
            "~~~\n",
        ),
        *(
            "*",
            "_",
            "**",
            " ",
            "text",
            "good.com",
            "'t'",
            '"t"',
            "\u202e",
            "\x1b]8;;https://evil.example\x07",
            "\r",
            "\0",
        ),
        *("data:text/html,x", "file:///etc/passwd", "@", ":", "!", "&", "=", "{", "}", "$$", "http:\\\\evil.example"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(BITS, max_size=25).map("".join), st.lists(st.one_of(BITS, st.text(max_size=4))).map("".join)))
@example("[r]: https://evil.example/r\n[r]: https://evil.example/q\n![r] [r]")
@example("| a | b |\n|---|---|\n| `x | ![y](https://evil.example) ` |")
@example("[x](<https://evil.example\n>)\n<img\nsrc=https://evil.example/i>")
def test_nothing_lives_in_any_markdown(markdown: str) -> None:
    once = shown(markdown)
    assert_inert(once)
    assert shown(once) == once


def test_the_check_would_see_live_markdown() -> None:
    for markdown in ("![a](https://evil.example)", "<img src=x>", "[a](https://evil.example)", "[a](//good.com)"):
        with pytest.raises(AssertionError):
            assert_inert(markdown)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("abc XYZ,.;'\n"), max_size=60).filter(lambda t: not re.search(r"\.\w", t)))
def test_plain_words_are_unchanged(prose: str) -> None:
    assert shown(prose) == prose


@pytest.mark.parametrize(
    "bit",
    [
        *(
            "[",
            "![",
            "[x](https://e.com)",
            "<",
            "&lt;",
            "https://",
            "a.",
            "www.",
            "а.",
            "://é",
            "-",
            "`",
            "|a",
            "[r]: x\n",
        ),
        *("<div>\n", "<!--", "*a_", "\u200d", "a:", "a@", "> ", "- ", "\\", "x\n", "](", "$", "[^1]: ", "hxxp://a.b/"),
    ],
)
def test_no_text_takes_for_ever(bit: str) -> None:
    begun = time.process_time()
    once = shown(bit * (20_000 // len(bit)))
    assert time.process_time() - begun < 20  # the slowest takes three seconds on a quiet core
    assert shown(once) == once
