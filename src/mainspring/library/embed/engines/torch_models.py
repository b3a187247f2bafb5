"""The models that `TransformersEmbedder` runs, one class a family.

Sources: transformers' documentation of ColPali, ColQwen2 and ColModernVBert; the model card and script of
Qwen3-VL-Embedding (last token, instruction as system message); the model card of Nemotron ColEmbed V2
(`forward_queries`, `forward_images`).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.errors import ModelError
from mainspring.library.embed.engines.family import Side, family_of
from mainspring.library.embed.protocol import Modality

_BOTH: frozenset[Modality] = frozenset({"text", "image"})


@dataclass(frozen=True, slots=True)
class One:
    """What became of one item; see `local.Made`."""

    rows: Any
    spans: tuple[tuple[int, int], ...] = ()
    grid: tuple[int, int] = (0, 0)


def load(
    where: str,
    config: Mapping[str, Any],
    revision: str | None,
    *,
    device: str | None,
    dtype: str | None,
    options: Mapping[str, Any],
) -> Any:
    """The runner for a model.

    Raises:
        ModelError: its family is unknown, or it cannot be loaded.
    """
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    kind = str(config.get("model_type", ""))
    remote = own_code(config)
    if not remote and kind not in _KNOWN:
        known = ", ".join(_KNOWN)
        raise ModelError(f"model {where!r} is of type {kind!r}; here run {known}; others by 'vllm:' or 'openai:'")
    single = kind == "qwen3_vl"
    if not single and any(options.values()):
        named = ", ".join(name for name, value in options.items() if value)
        raise ModelError(f"model {where!r} makes one vector a token and has no {named}; leave it out")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if dtype not in (None, "float32", "bfloat16", "float16"):
        raise ModelError(f"{dtype!r} is no type of numbers; use 'float32', 'bfloat16' or 'float16'")
    numbers = getattr(torch, dtype) if dtype else ("auto" if device.startswith("cuda") else torch.float32)
    how = {"revision": revision, "dtype": numbers, "use_safetensors": True}
    try:
        if remote:
            model = transformers.AutoModel.from_pretrained(where, trust_remote_code=True, **how)
            return RemoteCode(model.to(device).eval(), where)
        if single:
            model = transformers.AutoModel.from_pretrained(where, trust_remote_code=False, **how)
            return Qwen3VL(model.to(device).eval(), where, revision, options)
        model = getattr(transformers, _VISION[kind]).from_pretrained(where, **how)
        return ColVision(model.to(device).eval(), where, revision, kind)
    except ImportError as error:
        raise ModelError(f"model {where!r} needs a package that is not installed: {error}") from None
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(f"model {where!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from error


_VISION = {
    "colpali": "ColPaliForRetrieval",
    "colqwen2": "ColQwen2ForRetrieval",
    "colmodernvbert": "ColModernVBertForRetrieval",
}
_KNOWN = (*_VISION, "qwen3_vl")


def own_code(config: Mapping[str, Any]) -> bool:
    """True when a model with this configuration is run by Python code that comes with it."""
    return bool(config.get("auto_map")) and config.get("model_type") not in _KNOWN


class ColVision:
    """ColPali, ColQwen2 (also on Qwen2.5-VL) and ColModernVBert: one vector a token or patch."""

    multi = True
    documents = _BOTH
    queries = _BOTH

    def __init__(self, model: Any, where: str, revision: str | None, kind: str) -> None:
        transformers: Any = importlib.import_module("transformers")
        self._torch: Any = importlib.import_module("torch")
        self._model = model
        self._kind = kind
        self._processor = transformers.AutoProcessor.from_pretrained(where, revision=revision, trust_remote_code=False)
        self._tokenizer = self._processor.tokenizer
        family = family_of("colqwen2" if kind == "colqwen2" else "colpali")
        self.dim = int(model.config.embedding_dim)
        self.patch = family.patch
        # ColModernVBert cuts large pictures into tiles itself; ColPali's processor scales to its one size.
        self.max_patches = family.max_patches if kind == "colqwen2" else 2048 * 2048 // family.patch**2

    def texts(self, texts: Sequence[str], side: Side) -> list[One]:
        """Encode texts: queries with the words that the model was trained with around them, documents bare."""
        if side == "query":
            inputs = self._processor.process_queries(text=list(texts), return_offsets_mapping=True)
            before = str(self._processor.query_prefix or "")
            if self._kind == "colpali":
                before = str(self._tokenizer.bos_token or "") + before
        else:
            inputs = self._tokenizer(
                list(texts),
                padding=True,
                return_tensors="pt",
                return_offsets_mapping=True,
                return_token_type_ids=self._kind == "colpali",  # without them it looks at the padding
            )
            before = ""
        offsets = inputs.pop("offset_mapping")
        kept = inputs["attention_mask"].bool()
        rows = self._embed(inputs)
        return [
            One(rows[n][kept[n]].numpy(), _spans(offsets[n][kept[n]].tolist(), len(before), len(text)))
            for n, text in enumerate(texts)
        ]

    def pictures(self, images: Sequence[Any], side: Side) -> list[One]:
        """Encode pictures; the vectors of the patches come first, row by row."""
        inputs = self._processor.process_images(images=list(images))
        inputs.pop("labels", None)
        kept = inputs["attention_mask"].bool()
        rows = self._embed(inputs)
        found = []
        for n in range(len(images)):
            ids = inputs["input_ids"][n][kept[n]]
            own = rows[n][kept[n]]
            patches = (ids == self._processor.image_token_id).nonzero().flatten()
            grid, order = self._layout(inputs, n, ids, len(patches))
            if not order:
                found.append(One(own.numpy()))
                continue
            chosen = patches[self._torch.tensor(order)]
            rest = self._torch.ones(len(ids), dtype=self._torch.bool)
            rest[chosen] = False
            found.append(One(self._torch.cat([own[chosen], own[rest]]).numpy(), (), grid))
        return found

    def _layout(self, inputs: Any, n: int, ids: Any, count: int) -> tuple[tuple[int, int], list[int]]:
        """The grid of a picture's patches, and which of its `count` picture tokens they are, row by row."""
        if self._kind == "colqwen2":
            merge = int(self._processor.image_processor.merge_size)
            _, height, width = (int(x) for x in inputs["image_grid_thw"][n])
            grid = (height // merge, width // merge)
            return (grid, list(range(count))) if grid[0] * grid[1] == count else ((0, 0), [])
        if self._kind == "colpali":
            side = math.isqrt(count)
            return ((side, side), list(range(count))) if side * side == count else ((0, 0), [])
        return self._tiles(ids, count)

    def _tiles(self, ids: Any, count: int) -> tuple[tuple[int, int], list[int]]:
        """ColModernVBert: tiles of side x side tokens, row by row, then the whole picture once more, small."""
        each = int(self._processor.image_seq_len)
        side = math.isqrt(each)
        if side * side != each or count % each:
            return (0, 0), []
        if count == each:
            return (side, side), list(range(count))
        marks = {token: divmod(place, 6) for place, token in enumerate(self._processor.row_col_ids)}
        seen = [marks[token] for token in ids.tolist() if token in marks]
        rows, columns = (1 + max((at[axis] for at in seen), default=-1) for axis in (0, 1))
        if rows * columns * each + each != count:
            return (0, 0), []
        order = [
            (row // side * columns + column // side) * each + row % side * side + column % side
            for row in range(rows * side)
            for column in range(columns * side)
        ]
        return (rows * side, columns * side), order

    def _embed(self, inputs: Any) -> Any:
        if self._kind != "colpali":
            inputs.pop("token_type_ids", None)
        with self._torch.inference_mode():
            moved = {name: value.to(self._model.device) for name, value in inputs.items()}
            return self._model(**moved).embeddings.float().cpu()


class Qwen3VL:
    """Qwen3-VL-Embedding: the last token's state of a conversation with an instruction, cut and normalised."""

    multi = False
    documents = _BOTH
    queries = _BOTH

    def __init__(self, model: Any, where: str, revision: str | None, options: Mapping[str, Any]) -> None:
        transformers: Any = importlib.import_module("transformers")
        self._torch: Any = importlib.import_module("torch")
        self._model = model
        # Not its processor as a whole: that insists on torchvision for videos, which are not encoded here.
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(where, revision=revision, trust_remote_code=False)
        self._images = transformers.AutoImageProcessor.from_pretrained(
            where, revision=revision, backend="pil", trust_remote_code=False
        )
        family = family_of("qwen3vlembedding")
        width = int(model.config.get_text_config().hidden_size)
        self.dim = int(options["dimensions"] or width)
        if not 1 <= self.dim <= width:
            raise ModelError(f"dimensions must be from 1 to {width} for this model, not {self.dim}")
        self._told = {
            "document": family.instruction if options["instruction"] is None else options["instruction"],
            "query": family.query_instruction if options["query_instruction"] is None else options["query_instruction"],
        }
        self.patch = int(self._images.patch_size) * int(self._images.merge_size)
        self.max_patches = family.max_patches

    def texts(self, texts: Sequence[str], side: Side) -> list[One]:
        """Encode texts. What looks like a mark of the conversation in one is none."""
        rows = self._last([self._conversation(text.replace("<|", "< |"), side) for text in texts], {})
        return [One(row, ((0, len(text)),)) for row, text in zip(rows, texts, strict=True)]

    def pictures(self, images: Sequence[Any], side: Side) -> list[One]:
        """Encode pictures."""
        seen = self._images(images=list(images), return_tensors="pt")
        merged = int(self._images.merge_size) ** 2
        counts = [int(grid.prod()) // merged for grid in seen["image_grid_thw"]]
        texts = [
            self._conversation(f"<|vision_start|>{'<|image_pad|>' * count}<|vision_end|>", side) for count in counts
        ]
        return [One(row) for row in self._last(texts, dict(seen))]

    def _conversation(self, content: str, side: Side) -> str:
        return (
            f"<|im_start|>system\n{self._told[side]}<|im_end|>\n<|im_start|>user\n{content}<|im_end|>\n"
            "<|im_start|>assistant\n"
        )

    def _last(self, texts: Sequence[str], seen: dict[str, Any]) -> list[Any]:
        inputs = dict(self._tokenizer(list(texts), padding=True, return_tensors="pt"))
        inputs.pop("token_type_ids", None)
        mask = inputs["attention_mask"]
        if seen:
            pad = self._tokenizer.convert_tokens_to_ids("<|image_pad|>")
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == pad).int()
        with self._torch.inference_mode():
            moved = {name: value.to(self._model.device) for name, value in {**inputs, **seen}.items()}
            states = self._model(**moved).last_hidden_state
        # The last token that is no padding, on whichever side the tokenizer pads.
        places = mask.shape[1] - 1 - mask.flip(1).argmax(1)
        chosen = states[self._torch.arange(len(texts)), places.to(states.device)]
        return list(chosen[:, : self.dim].float().cpu().numpy())


class RemoteCode:
    """A model whose own code encodes, by the methods of Nemotron ColEmbed V2: pages as pictures, queries as text."""

    multi = True
    documents: frozenset[Modality] = frozenset({"image"})
    queries: frozenset[Modality] = frozenset({"text"})

    def __init__(self, model: Any, where: str) -> None:
        self._torch: Any = importlib.import_module("torch")
        missing = [name for name in ("forward_queries", "forward_images") if not callable(getattr(model, name, None))]
        if missing:
            raise ModelError(f"model {where!r} has no {' and '.join(missing)}; models of that kind are not known here")
        self._model = model
        family = family_of("nemotron-colembed-vl")
        self.patch = family.patch
        self.max_patches = family.max_patches
        self.dim = int(self.texts(["page"], "query")[0].rows.shape[1])

    def texts(self, texts: Sequence[str], side: Side) -> list[One]:
        """Encode queries."""
        with self._torch.inference_mode():
            found = self._model.forward_queries(list(texts), batch_size=len(texts))
        return [One(rows, ((0, len(text)),) * len(rows)) for rows, text in zip(_unpadded(found), texts, strict=True)]

    def pictures(self, images: Sequence[Any], side: Side) -> list[One]:
        """Encode pages. Its answer does not say which vectors are patches, so there is no grid."""
        with self._torch.inference_mode():
            found = self._model.forward_images(list(images), batch_size=len(images))
        return [One(rows) for rows in _unpadded(found)]


def _unpadded(found: Any) -> list[Any]:
    """Each item's rows as NumPy, without rows of zeros, which are padding."""
    return [one[one.float().norm(dim=-1) > 0].float().cpu().numpy() for one in found]


def _spans(offsets: Sequence[Sequence[int]], before: int, length: int) -> tuple[tuple[int, int], ...]:
    """Characters of the text that each token stands for; tokens written around it stand for all of it."""
    spans = []
    for start, end in offsets:
        a, b = max(0, start - before), min(length, end - before)
        spans.append((a, b) if a < b else (0, length))
    return tuple(spans)
