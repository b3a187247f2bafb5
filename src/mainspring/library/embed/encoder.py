"""The encoder at work: ids of pieces in, the last hidden state of each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError
from mainspring.library.embed.packed import Packed, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MISSING = 'the embedded embedder needs numpy and onnxruntime; install them: pip install "mainspring[library]"'


class Encoder:
    """Runs the graph on the calling thread; several threads may call at once, and share its memory.

    Args:
        graph: path or bytes of what `graph.build` made.
        begin, end: ids of <s> and </s>.
    """

    def __init__(self, packed: Packed, graph: Path | bytes, begin: int, end: int) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError:
            raise ModelError(MISSING) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        source = graph if isinstance(graph, bytes) else str(graph)
        try:
            self._session: Any = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors have no common base
            where = "the graph" if isinstance(graph, bytes) else str(graph)
            raise ModelError(f"onnxruntime cannot load {where}: {error}; delete it, and it is made again") from None
        shape = packed.shape
        self.dim = shape.hidden
        self.longest = shape.positions - 2
        self._words = packed.rows("emb.word", shape.hidden)
        self._places: NDArray[np.float32] = (
            packed.floats("emb.pos").reshape(-1, shape.hidden)
            + packed.floats("emb.type").reshape(-1, shape.hidden)[0]  # all of a text is of type 0
        )
        self._ends = (begin, end)

    def __call__(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Hidden states, shape (len(ids) + 2, dim): <s> and </s> first, then one for each id. Not of length 1.

        `ids` are at most `longest`.
        """
        import numpy as np

        size = len(ids)
        rows = np.empty(size + 2, np.int64)
        rows[:2] = self._ends
        rows[2:] = ids
        order = np.arange(-1, size + 1)
        order[:2] = 0, size + 1
        summed = weights(self._words[rows])
        summed += self._places[order]
        (hidden,) = self._session.run(None, {"x": summed[None]})
        result: NDArray[np.float32] = hidden[0]
        return result
