"""Rerankers in this process, by PyTorch and transformers: cross-encoders, and Qwen3-Reranker's yes or no.

A cross-encoder (sequence classification) reads query and text as a pair. Qwen3-Reranker is a language model that is
asked whether the text meets the query; the score is the probability of "yes" against "no" (its model card).
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.errors import ModelError
from mainspring.library.rerank.texts import each_scored, finite
from mainspring.messages import valid_text

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_TASK = "Given a web search query, retrieve relevant passages that answer the query"


class TransformersReranker:
    """A reranker that runs in this process.

    Args:
        model: a folder, or a name on the Hugging Face Hub. Models with code of their own are refused.
        revision: commit of the Hub.
        device: such as ``"cuda"``; the first GPU when None, else the CPU.
        instruction: what Qwen3-Reranker is told to look for.
        max_tokens: of a query and a text together; a longer text is cut off.
        batch: pairs read together.

    Raises:
        ModelError: torch or transformers is missing, or the model cannot be loaded or is of another kind.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str | None = None,
        instruction: str = _TASK,
        max_tokens: int = 512,
        batch: int = 8,
    ) -> None:
        if batch < 1 or max_tokens < 16:
            raise ModelError(f"batch must be at least 1 and max_tokens at least 16, not {batch} and {max_tokens}")
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise ModelError(
                    f"reranker 'transformers:{model}' needs {package}, which is missing: "
                    'pip install "mainspring[vision]"'
                )
        self._torch: Any = importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
        self._name = f"transformers:{model}"
        self._instruction = instruction
        self._max_tokens = max_tokens
        self._batch = batch
        self._lock = threading.Lock()
        try:
            config, _ = transformers.PretrainedConfig.get_config_dict(model, revision=revision)
            self._yes_no = _reads_pairs(model, config) is False
            commit = config.get("_commit_hash") or revision
            how = {"revision": commit, "trust_remote_code": False}
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                model, padding_side="left" if self._yes_no else "right", **how
            )
            kind = (
                transformers.AutoModelForCausalLM if self._yes_no else transformers.AutoModelForSequenceClassification
            )
            where = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
            numbers = "auto" if where.startswith("cuda") else self._torch.float32
            self._model = kind.from_pretrained(model, use_safetensors=True, dtype=numbers, **how).to(where).eval()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"reranker {model!r} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        if self._yes_no:
            self._answers = [self._token("no"), self._token("yes")]

    @property
    def name(self) -> str:
        """Which one, for people."""
        return self._name

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One number for each text, larger is better. Raises ModelError."""
        asked = valid_text(query).replace("\0", " ")
        read = self._judged if self._yes_no else self._paired

        def one(group: list[str]) -> list[float]:
            try:
                with self._lock, self._torch.inference_mode():
                    found = read(asked, group)
            except (RuntimeError, ValueError, IndexError) as error:
                raise ModelError(f"{self._name} failed: {' '.join(str(error).split())[:300]}") from error
            return [finite(value, lambda what: ModelError(f"{self._name} gave {what}")) for value in found]

        return each_scored(texts, self._max_tokens * 8, self._batch, one)

    def _paired(self, query: str, texts: list[str]) -> list[float]:
        inputs = self._tokenizer(
            [query] * len(texts),
            texts,
            padding=True,
            truncation="longest_first",
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        logits = self._model(**inputs.to(self._model.device)).logits.float().cpu()
        found = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [float(value) for value in found]

    def _judged(self, query: str, texts: list[str]) -> list[float]:
        ids = [self._prompt(query, text) for text in texts]
        padded = self._tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt").to(self._model.device)
        logits = self._model(**padded).logits[:, -1, self._answers].float()
        return [float(value) for value in self._torch.softmax(logits, dim=-1)[:, 1].cpu()]

    def _prompt(self, query: str, text: str) -> list[int]:
        """The tokens of the question; marks of the conversation in the two texts are none."""
        middle = f"<Instruct>: {self._instruction}\n<Query>: {_plain(query)}\n<Document>: {_plain(text)}"
        parts = [self._tokenizer.encode(part, add_special_tokens=False) for part in (_PREFIX, middle, _SUFFIX)]
        return [*parts[0], *parts[1][: self._max_tokens], *parts[2]]

    def _token(self, word: str) -> int:
        ids = self._tokenizer.encode(word, add_special_tokens=False)
        if len(ids) != 1:
            raise ModelError(f"{self._name} does not know {word!r} as one token; it is no reranker of this kind")
        return int(ids[0])


def _plain(text: str) -> str:
    return text.replace("<|", "< |")


def _reads_pairs(model: str, config: Mapping[str, Any]) -> bool:
    """True for a cross-encoder, False for a language model that answers yes or no. Raises ModelError for others."""
    kinds = [str(name) for name in config.get("architectures") or []]
    if any(name.endswith("ForSequenceClassification") for name in kinds):
        labels = len(config.get("id2label") or {}) or int(config.get("num_labels", 2))
        if labels > 2:
            raise ModelError(f"reranker {model!r} sorts into {labels} classes; it needs one or two")
        return True
    if any(name.endswith("ForCausalLM") for name in kinds) and config.get("model_type") == "qwen3":
        return False
    raise ModelError(
        f"{model!r} ({', '.join(kinds) or 'no architecture named'}) is no reranker that runs here; cross-encoders and "
        "Qwen3-Reranker do, others by 'rerank:URL#MODEL'"
    )
