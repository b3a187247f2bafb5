"""The encoder as an ONNX graph with 8-bit weights, built from the packed file.

It takes the sum of word, position and type embeddings, shape (1, tokens, hidden), **with <s> and </s> as the first two
rows**, and gives the last hidden state of every row, in the same order. (Attention does not see the order of rows; the
positions are in the sum.) The word embeddings stay out of it: 250,000 rows, of which a text needs a few.

Quantisation: weights are 7 bits a value with one scale an output channel, activations 8 bits with one scale a
tensor, taken at run time. Two things make that nearly lossless here.

- <s> and </s> carry values some twenty times larger than any other token's, in one channel or two. One scale for them
  and for all others would leave two or three bits for the others; so these two rows are multiplied apart. Measured on
  a page of 240 tokens, the mean cosine with float32 rises from 0.992 to 0.999 a token, and after centring from 0.94
  to 0.99.
- 7 bits, not 8: two products of 8 bits can overflow the 16-bit sums of processors without VNNI, silently. So the
  vectors are the same on every machine.

Since the scale is that of a whole call, one call takes one window: a vector never depends on what else is encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.library.embed.packed import Packed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPECIAL = 2  # rows of <s> and </s>
_LARGEST = 64  # a weight's; 2 * 64 * 255 fits into 16 bits
_CONTRIB = "com.microsoft"
_APART_FROM = 1024  # bytes of a constant that is kept beside the graph
_ALIGN = 64
#: Products whose input has the large values of <s> and </s>: all but the one behind the attention, which averages them.
_APART = ("qkv", "inner", "outer")


def build(packed: Packed, *, quantised: bool = True) -> bytes:
    """The graph, serialised. With `quantised` False in float32, for comparison."""
    return _Builder(packed, quantised, "").build()


def build_apart(packed: Packed, file: str) -> tuple[bytes, bytes]:
    """As `build`, with its large constants in a file of their own, which is mapped into memory and not copied.

    Args:
        file: the name of that file, which lies beside that of the graph.
    """
    builder = _Builder(packed, True, file)
    model = builder.build()
    return model, b"".join(builder.apart)


class _Builder:
    def __init__(self, packed: Packed, quantised: bool, file: str) -> None:
        from onnx import helper, numpy_helper

        self.packed = packed
        self.quantised = quantised
        self.file = file
        self.apart: list[bytes] = []
        self.size = 0  # of `apart`
        self.helper: Any = helper
        self.numpy_helper: Any = numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def build(self) -> bytes:
        """The serialised model."""
        import numpy as np
        from onnx import TensorProto

        shape = self.packed.shape
        if self.quantised:
            for name, value in (("first", 0), ("special", SPECIAL), ("last", 1 << 30), ("rows", 1)):
                self.constant(name, np.array([value], np.int64))
        norm = [self.vector("emb.ln.w"), self.vector("emb.ln.b")]
        self.node("LayerNormalization", ["x", *norm], "h", domain="", epsilon=shape.epsilon, axis=-1)
        current = "h"
        for number in range(shape.layers):
            current = self.layer(number, current)
        self.node("Identity", [current], "y", domain="")
        ends = [
            self.helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "tokens", shape.hidden]) for name in "xy"
        ]
        graph = self.helper.make_graph(self.nodes, "encoder", ends[:1], ends[1:], self.constants)
        domains = [self.helper.make_opsetid("", 18), self.helper.make_opsetid(_CONTRIB, 1)]
        model: bytes = self.helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString()
        return model

    def layer(self, number: int, before: str) -> str:
        """One layer: attention and feed-forward, each added to its input and normalised. Returns the output's name."""
        shape, p = self.packed.shape, f"l{number}."
        self.product(before, [f"{p}{one}.w" for one in "qkv"], shape.hidden, f"{p}qkv")
        parts = [f"{p}{one}" for one in "qkv"]
        self.nodes.append(self.helper.make_node("Split", [f"{p}qkv"], parts, axis=-1, num_outputs=3))
        bias = self.vector(*(f"{p}{one}.b" for one in "qkv"))
        self.node("MultiHeadAttention", [*parts, bias], f"{p}context", num_heads=shape.heads)
        self.product(f"{p}context", [f"{p}ao.w"], shape.hidden, f"{p}attended")
        middle = self.normalised(before, f"{p}attended", f"{p}aln", f"{p}ao.b")
        self.product(middle, [f"{p}fi.w"], shape.hidden, f"{p}inner")
        self.node("BiasGelu", [f"{p}inner", self.vector(f"{p}fi.b")], f"{p}active")
        self.product(f"{p}active", [f"{p}fo.w"], shape.inner, f"{p}outer")
        return self.normalised(middle, f"{p}outer", f"{p}oln", f"{p}fo.b")

    def normalised(self, left: str, right: str, norm: str, bias: str) -> str:
        """Layer norm of `left` + `right` + bias."""
        constants = [self.vector(f"{norm}.w"), self.vector(f"{norm}.b"), self.vector(bias)]
        out = f"{norm}.out"
        self.node("SkipLayerNormalization", [left, right, *constants], out, epsilon=self.packed.shape.epsilon)
        return out

    def product(self, source: str, names: list[str], width: int, out: str) -> None:
        """`source` times the tensors of these names, side by side."""
        import numpy as np

        matrix = np.concatenate([self.packed.matrix(name, width) for name in names])
        if not self.quantised:
            self.node("MatMul", [source, self.constant(f"{out}.w", matrix.T)], out, domain="")
            return
        scale = np.maximum(np.abs(matrix).max(1) / _LARGEST, np.float32(1e-12))
        whole = np.rint(matrix / scale[:, None]).astype(np.int8)
        constants = [
            self.constant(f"{out}.w", whole.T),
            self.constant(f"{out}.scale", scale.astype(np.float32)),
            self.constant(f"{out}.zero", np.zeros(len(scale), np.int8)),
        ]
        if not out.endswith(_APART):
            self.node("DynamicQuantizeMatMul", [source, *constants], out)
            return
        for part, start, stop in (("a", "first", "special"), ("b", "special", "last")):
            self.node("Slice", [source, start, stop, "rows"], f"{out}.x{part}", domain="")
            self.node("DynamicQuantizeMatMul", [f"{out}.x{part}", *constants], f"{out}.y{part}")
        self.node("Concat", [f"{out}.ya", f"{out}.yb"], out, domain="", axis=1)

    def node(self, kind: str, inputs: list[str], output: str, *, domain: str = _CONTRIB, **settings: Any) -> None:
        """Append a node."""
        self.nodes.append(self.helper.make_node(kind, inputs, [output], domain=domain, **settings))

    def vector(self, *names: str) -> str:
        """A constant of the float tensors of these names, one behind the other."""
        import numpy as np

        return self.constant("+".join(names), np.concatenate([self.packed.floats(name) for name in names]))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Put a constant into the graph; returns its name."""
        import numpy as np

        tensor = self.numpy_helper.from_array(np.ascontiguousarray(value), name)
        if self.file and len(tensor.raw_data) >= _APART_FROM:
            self.put_apart(tensor)
        self.constants.append(tensor)
        return name

    def put_apart(self, tensor: Any) -> None:
        """Move a constant's bytes to the file beside, and leave where they lie."""
        from onnx import TensorProto

        data: bytes = tensor.raw_data
        for key, value in (("location", self.file), ("offset", self.size), ("length", len(data))):
            tensor.external_data.add(key=key, value=str(value))
        tensor.data_location = TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        data = data.ljust(-(-len(data) // _ALIGN) * _ALIGN, b"\0")
        self.apart.append(data)
        self.size += len(data)
