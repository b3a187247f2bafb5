"""How each family of encoders wants its input: what to write around a text, and how it cuts pictures into patches.

Sources: the model cards and processors of the models, and vLLM's "specific models" page, as of 2026.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mainspring.errors import ModelError


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of one family have in common.

    Args:
        name: which one.
        query, document: what is written around a text; ``{}`` is the text.
        chat: True when texts, too, go through the server's chat template.
        picture_text: what stands behind the picture in its message.
        answer: True when the prompt ends with the beginning of an answer, as the model was trained.
        patch: pixels a side of the square that one vector stands for; 0 when pictures are not cut into such.
        fixed: (rows, columns) of patches where each picture is resized to the same square; (0, 0) elsewhere.
        min_patches, max_patches: pictures are scaled so that they have this many.
        pictures: True when it takes pictures at all.
        picture_tokens: the tokens that stand for patches in the prompt.
        instruction, query_instruction: what single-vector models are told to do, for documents and for queries.
    """

    name: str
    query: str = "{}"
    document: str = "{}"
    chat: bool = False
    picture_text: str = "Describe the image."
    answer: bool = False
    patch: int = 0
    fixed: tuple[int, int] = (0, 0)
    min_patches: int = 4
    max_patches: int = 768
    pictures: bool = True
    picture_tokens: tuple[str, ...] = ("<|image_pad|>", "<image>", "<|image|>")
    instruction: str = ""
    query_instruction: str = ""

    def settings(self, more: Mapping[str, Any]) -> str:
        """Eight hex digits that change with anything that changes the vectors."""
        text = json.dumps({**asdict(self), **more}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


_NEMOTRON = Family(
    "nemotron-colembed",
    # Its processor writes both words: the prefix of its configuration behind the fixed one.
    query="Query: query: {}",
    document="passage: {}",
    chat=True,
    picture_text="passage: ",
    answer=True,
    patch=32,
    min_patches=64,
)
_COLQWEN3 = Family("colqwen3", patch=32, min_patches=64)
_COLQWEN2 = Family("colqwen2", query="Query: {}" + "<|endoftext|>" * 10 + "\n", patch=28)
_COLPALI = Family("colpali", query="Question: {}" + "<pad>" * 10 + "\n", fixed=(32, 32), patch=14)
_QWEN3_VL = Family(
    "qwen3-vl-embedding",
    chat=True,
    picture_text="",
    patch=32,
    max_patches=1280,
    instruction="Represent the user's input.",
    query_instruction="Retrieve images or text relevant to the user's query.",
)
_QWEN3 = Family(
    "qwen3-embedding",
    query="Instruct: {instruction}\nQuery:{}",
    pictures=False,
    query_instruction="Given a web search query, retrieve relevant passages that answer the query",
)
_TEXT = Family("text", pictures=False)

#: First match wins. Names are compared in small letters without what is no letter or digit.
_KNOWN: tuple[tuple[tuple[str, ...], Family], ...] = (
    (("nemotroncolembedvl",), _NEMOTRON),
    (("colqwen3", "opscolqwen3", "tomorocolqwen"), _COLQWEN3),
    (("colqwen2", "colqwen"), _COLQWEN2),
    (("colpali",), _COLPALI),
    (("qwen3vlembedding",), _QWEN3_VL),
    (("qwen3embedding",), _QWEN3),
)

FAMILIES: Mapping[str, Family] = {
    f.name: f for f in (_NEMOTRON, _COLQWEN3, _COLQWEN2, _COLPALI, _QWEN3_VL, _QWEN3, _TEXT)
}


def family_of(model: str, chosen: Family | str | None = None) -> Family:
    """The family of a model by its name; texts only, with nothing around them, when the name says nothing.

    Raises:
        ModelError: `chosen` is no family.
    """
    if isinstance(chosen, Family):
        return chosen
    if chosen is not None:
        if chosen not in FAMILIES:
            raise ModelError(f"{chosen!r} is no family of encoders; known are {', '.join(FAMILIES)}")
        return FAMILIES[chosen]
    plain = "".join(letter for letter in model.lower() if letter.isalnum())
    if "llamanemotron" in plain or "llamanemoretriever" in plain:
        return _TEXT  # cuts pictures into tiles of another kind; pages go to it as text
    return next((family for parts, family in _KNOWN if any(part in plain for part in parts)), _TEXT)


def written(form: str, text: str, instruction: str = "") -> str:
    """`text` in its form; braces in the text are left alone."""
    before, _, after = form.replace("{instruction}", instruction).partition("{}")
    return before + text + after


Side = Literal["document", "query"]
