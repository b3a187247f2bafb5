"""The encoder at work: ids of pieces in, the last hidden state of each out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.errors import ModelError
from mainspring.library.embed.packed import Packed, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MISSING = 'the embedded embedder needs numpy and onnxruntime; install them: pip install "mainspring[library]"'

#: From this call on the weights lie in the processor's order.
_FEW = 5


class Encoder:
    """Runs the graph on the calling thread; several threads may call at once, and share its memory.

    The first few calls read the weights as they lie in the file, for who asks one question should not wait until all of
    them are copied into the order in which the processor reads them best. (Opening takes 6 ms instead of 25 to 40, and
    a call 4 ms more. The sums are of whole numbers, and so the same.)

    Args:
        graph: path or bytes of what `graph.build` made.
        begin, end: ids of <s> and </s>.
    """

    def __init__(self, packed: Packed, graph: Path | bytes, begin: int, end: int) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped] # noqa: F401
        except ImportError:
            raise ModelError(MISSING) from None
        self._graph = graph
        self._lock = threading.Lock()
        self._calls = 0
        self._session = self._open(ordered=False)
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

        session = self._ready()
        size = len(ids)
        rows = np.empty(size + 2, np.int64)
        rows[:2] = self._ends
        rows[2:] = ids
        order = np.arange(-1, size + 1)
        order[:2] = 0, size + 1
        summed = weights(self._words[rows])
        summed += self._places[order]
        (hidden,) = session.run(None, {"x": summed[None]})
        result: NDArray[np.float32] = hidden[0]
        return result

    def _ready(self) -> Any:
        if self._calls >= _FEW:
            return self._session
        with self._lock:
            self._calls += 1
            if self._calls == _FEW:
                with suppress(ModelError):  # the file is gone by now: what is mapped of it stays
                    self._session = self._open(ordered=True)
            return self._session

    def _open(self, *, ordered: bool) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The graph is built of what the optimiser would make of it: it finds nothing, and that takes time.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if not ordered:
            options.add_session_config_entry("session.disable_prepacking", "1")
        source = self._graph if isinstance(self._graph, bytes) else str(self._graph)
        try:
            return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors have no common base
            where = "the graph" if isinstance(source, bytes) else source
            raise ModelError(f"onnxruntime cannot load {where}: {error}; delete it, and it is made again") from None
