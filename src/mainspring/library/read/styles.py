"""Which elements of a web page nobody sees, as far as the page itself says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*(?:0(?:\.\d+)?|1)\s*(?:px|pt|em|rem|%|;|!|$)"
    r"|opacity\s*:\s*0(?:\.0\d*)?\s*(?:;|!|$)|(?:left|top|text-indent|margin-left)\s*:\s*-\d{3,}|clip\s*:\s*rect\(\s*0"
    r"|(?<![-\w])(?:max-)?(?:height|width)\s*:\s*0(?:px)?\s*(?:;|!|$)|(?<![-\w])color\s*:\s*transparent",
    re.I,
)
_COLOUR = re.compile(r"(?<![-\w])color\s*:\s*([^;!]+)", re.I)
_GROUND = re.compile(r"background(?:-color)?\s*:\s*([^;!]+)", re.I)
_WHITES = frozenset({"white", "#fff", "#ffffff", "#fefefe", "rgb(255,255,255)", "rgba(255,255,255,1)", "snow"})
#: More of a page's own style rules are not read.
_MOST_RULES = 200_000
#: What lies under white words is looked for so many elements up.
_ABOVE = 64
_NAME = re.compile(r"^(?:[a-z][a-z0-9]*|(?:[a-z][a-z0-9]*)?[.#][A-Za-z_][\w-]*)$")


class Styles:
    """The page's own rules that hide or colour: those for a class, an id or an element alone.

    What outside style sheets say is not known, since nothing is fetched: with one, white text on an element of a class
    may stand on any ground and is kept.
    """

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._hiding: dict[str, str] = {}
        self._white: set[str] = set()
        self._ground: set[str] = set()
        self._outside = tree.css_first("link[rel~=stylesheet]") is not None
        rules = "\n".join(node.text() for node in tree.css("style"))[:_MOST_RULES]
        for rule in _own_rules(rules).split("}"):
            selectors, _, body = rule.rpartition("{")
            self._learn(selectors, body)

    def _learn(self, selectors: str, body: str) -> None:
        hidden = bool(_HIDING.search(body))
        white = _is_white(_COLOUR.search(body))
        ground = _GROUND.search(body)
        for selector in selectors.split(","):
            name = selector.strip()
            if not _NAME.match(name):
                continue
            if hidden:
                self._hiding[name] = "in elements hidden by a style"
            if white:
                self._white.add(name)
            if ground and not _is_white(ground):
                self._ground.add(name)

    def hides(self, node: LexborNode) -> str:
        """How an element is hidden; "" when it is not, as far as is known."""
        attributes = node.attributes
        if not attributes and not self._hiding and not self._white:
            return ""
        if "hidden" in attributes:
            return "in hidden elements"
        if (attributes.get("aria-hidden") or "").lower() == "true":
            return "in hidden elements"
        style = attributes.get("style") or ""
        if style and _HIDING.search(style):
            return "in elements hidden by a style"
        names = _names(node)
        if any(name in self._hiding for name in names):
            return "in elements hidden by a style"
        colour = _COLOUR.search(style)
        white = _is_white(colour) or (attributes.get("color") or "").strip().lower() in _WHITES
        if (white or (colour is None and any(name in self._white for name in names))) and self._bare(node):
            return "in white on white"
        return ""

    def _bare(self, node: LexborNode) -> bool:
        """Nothing but white is known to lie under an element."""
        at: LexborNode | None = node
        for _ in range(_ABOVE):
            if at is None or not at.is_element_node:
                break
            attributes = at.attributes
            ground = _GROUND.search(attributes.get("style") or "")
            if (ground and not _is_white(ground)) or attributes.get("bgcolor") or "background" in attributes:
                return False
            names = _names(at)
            if any(name in self._ground for name in names):
                return False
            if self._outside and (attributes.get("class") or attributes.get("id")):
                return False
            at = at.parent
        return True


def _names(node: LexborNode) -> list[str]:
    """What a simple selector may call an element."""
    tag = node.tag or ""
    own = [f".{name}" for name in (node.attributes.get("class") or "").split()[:50]]
    if node.attributes.get("id"):
        own.append(f"#{node.attributes['id']}")
    return [tag, *own, *(tag + name for name in own)]


def _is_white(found: re.Match[str] | None) -> bool:
    return found is not None and re.sub(r"\s+", "", found[1]).lower() in _WHITES


def _own_rules(text: str) -> str:
    """Style rules for every screen: without comments and without what stands in ``@media`` and the like."""
    # Pieces by hand: a pattern would look through the rest again for each comment that nobody ends.
    text = "".join(piece.partition("*/")[2] if n else piece for n, piece in enumerate(text.split("/*")))
    kept, at = [], 0
    while (found := text.find("@", at)) >= 0:
        kept.append(text[at:found])
        opened = text.find("{", found)
        ended = text.find(";", found)
        if opened < 0 or 0 <= ended < opened:
            at = ended + 1 if ended >= 0 else len(text)
            continue
        depth, at = 1, opened + 1
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
    return "".join(kept) + text[at:]
