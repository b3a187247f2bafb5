"""The OCR models: files of the rapidocr wheel, checked by digest and run by ONNX Runtime or OpenVINO.

PP-OCRv6 (small) finds and reads lines of Chinese and English. Only the wheel's files are used, not its code: nothing
here can fetch anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mainspring.errors import DeclarationError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensor: TypeAlias = NDArray[np.float32]
else:
    Tensor: TypeAlias = Any

Part = Literal["detect", "read"]
EngineName = Literal["onnxruntime", "openvino"]

#: File and SHA-256 of each model, as the wheels of rapidocr 3.10 hold them.
MODELS: dict[Part, tuple[str, str]] = {
    "detect": ("PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"),
    "read": ("PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"),
}
_MISSING = 'reading pictures needs rapidocr and onnxruntime: pip install "mainspring[library]"'

#: A model as a function from one tensor to one tensor.
Run: TypeAlias = Callable[[Tensor], Tensor]


def models_folder() -> Path:
    """Where the installed wheel keeps its models. Raises ModelError when it is not installed."""
    spec = find_spec("rapidocr")  # finds the package without running any of it
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(_MISSING)
    return Path(next(iter(spec.submodule_search_locations))) / "models"


def checked(part: Part, folder: Path | None = None) -> bytes:
    """The bytes of a model. Raises ModelError: it is not there, or is not the one that we know."""
    name, digest = MODELS[part]
    path = (folder or models_folder()) / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the OCR model {path} cannot be read ({error}); install rapidocr 3.10 anew") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ModelError(
            f"the OCR model {path} has SHA-256 {found[:16]}..., expected {digest[:16]}...: it was changed or is of "
            "another release; install rapidocr 3.10 anew"
        )
    return data


def best_engine() -> EngineName:
    """OpenVINO where it is installed, for it reads a page faster on the processors we measured; else ONNX Runtime."""
    return "openvino" if find_spec("openvino") is not None else "onnxruntime"


def load(part: Part, engine: EngineName, threads: int, folder: Path | None = None) -> tuple[Run, tuple[str, ...]]:
    """A model ready to run, and the characters that it knows (only `read` knows any).

    Raises:
        DeclarationError: an engine that is not known.
        ModelError: a library is missing, or the model is not the one that we know.
    """
    data = checked(part, folder)
    if engine == "onnxruntime":
        return _onnxruntime(data, threads)
    if engine == "openvino":
        return _openvino(data, threads)
    raise DeclarationError(f"unknown OCR engine {engine!r}; known are onnxruntime and openvino")


def _onnxruntime(data: bytes, threads: int) -> tuple[Run, tuple[str, ...]]:
    try:
        import onnxruntime as ort  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModelError(_MISSING) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # shapes differ from picture to picture: an arena would only grow
    options.log_severity_level = 3
    session = ort.InferenceSession(data, sess_options=options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name

    def run(tensor: Tensor) -> Tensor:
        found: Tensor = session.run(None, {source: tensor})[0]
        return found

    known = session.get_modelmeta().custom_metadata_map.get("character", "")
    return run, tuple(known.splitlines())


def _openvino(data: bytes, threads: int) -> tuple[Run, tuple[str, ...]]:
    try:
        import openvino  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ModelError("OpenVINO is not installed: pip install openvino, or use the engine onnxruntime") from error
    core = openvino.Core()
    model = core.read_model(model=data, weights=b"")
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(tensor: Tensor) -> Tensor:
        request.infer([tensor])
        found: Tensor = request.get_output_tensor().data.copy()
        return found

    known = ""
    if model.has_rt_info(["framework", "character"]):
        known = str(model.get_rt_info(["framework", "character"]).value)
    return run, tuple(known.splitlines())
