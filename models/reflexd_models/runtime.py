"""The only file that imports a TFLite interpreter: LiteRT first, tflite-runtime where that is not there.

A network is loaded from bytes, never from a path: a file that shrinks under a memory map kills the
process (SIGBUS, measured with tflite-runtime). No view of a tensor outlives a call: outputs are copied
into arrays of our own, because a view gave one wrong prediction in seven under stalls. Interpreters of the same
bytes share them: both runtimes read weights where they lie.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from reflexd_models import ends
from reflexd_models.base import ModelError, Tensor
from reflexd_models.files import reason

RUNTIMES = (("LiteRT", "ai_edge_litert.interpreter", "ai-edge-litert"),
            ("tflite-runtime", "tflite_runtime.interpreter", "tflite-runtime"))


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """How a tensor is to be read: real = (raw - zero_point) * scale; a scale of 0 means raw is real.

    `key` is its name in the network's signature, empty where there is none.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    key: str = ""


_considered = list(RUNTIMES)


def only(name: str) -> None:
    """Use that runtime and no other in this process, before any was taken: to compare what is installed."""
    _considered[:] = [one for one in RUNTIMES if one[0] == name]


class Content:
    """The bytes of a network, for as long as some interpreter reads them; bytes themselves take no weak reference."""

    __slots__ = ("__weakref__", "bytes")

    def __init__(self, content: bytes) -> None:
        self.bytes = content


_contents: WeakValueDictionary[bytes, Content] = WeakValueDictionary()
_lock = threading.Lock()      # workers load at the same time


def shared(content: bytes) -> Content:
    """Give what is loaded already where it is the same, byte for byte as its hash says; else this."""
    with _lock:
        return _contents.setdefault(hashlib.sha256(content).digest(), Content(content))


@cache
def _taken() -> tuple[Any, str]:
    for name, module, package in _considered:
        try:
            return import_module(module).Interpreter, f"{name} {version(package)}"
        except ModuleNotFoundError:      # only absence leads to the fallback: a broken LiteRT is an error that shows
            continue
    raise ModelError("no TFLite runtime is installed, found neither LiteRT nor tflite-runtime; pip install ai-edge-litert")


def runtime() -> str:
    """Tell which runtime was taken, with its version.

    Raises: ModelError when there is none.
    """
    return _taken()[1]


def installed() -> list[str]:
    """Name the runtimes that are installed, without importing them."""
    return [name for name, module, _ in RUNTIMES if find_spec(module.partition(".")[0]) is not None]


class Network:
    """One interpreter with its tensors; used by one thread at a time."""

    def __init__(self, content: bytes, where: str, threads: int = 1) -> None:
        """Load a network from the bytes of a .tflite file; `where` names it in errors.

        Raises: ModelError.
        """
        self.where = where
        if content[4:8] != b"TFL3":
            raise ModelError(f"{where}: is not a TensorFlow Lite file: no TFL3 mark in it; give a .tflite file")
        make = _taken()[0]
        self.content = shared(content)
        try:
            self._interpreter = make(model_content=self.content.bytes, num_threads=threads)
            self._interpreter.allocate_tensors()
            given, told = _keys(content)
            self.inputs = tuple(_info(details, given) for details in self._interpreter.get_input_details())
            self.outputs = tuple(_info(details, told) for details in self._interpreter.get_output_details())
        except Exception as problem:     # the runtimes raise ValueError, RuntimeError and their own kinds
            raise ModelError(f"{where}: {runtime()} refuses the network: {reason(problem)}; convert or fetch it again") from None
        self.raw = tuple(np.zeros(info.shape, info.dtype) for info in self.outputs)
        self._views: tuple[Callable[[], Tensor], ...] = tuple(self._interpreter.tensor(info.index) for info in self.outputs)
        self._given: tuple[Callable[[], Tensor], ...] = tuple(self._interpreter.tensor(info.index) for info in self.inputs)

    def run(self, *fills: Callable[[Tensor], None]) -> tuple[Tensor, ...]:
        """Let each `fill` write its input in place, infer, and give copies of the raw outputs, reused by the next run.

        A `fill` must not keep the array that it is given.
        Raises: ModelError.
        """
        try:
            for fill, view in zip(fills, self._given, strict=True):
                fill(view())
            self._interpreter.invoke()
            for kept, view in zip(self.raw, self._views, strict=True):
                np.copyto(kept, view())
        except ModelError:
            raise
        except Exception as problem:     # also a shape that changed while inferring
            raise ModelError(f"{self.where}: {runtime()} failed while inferring: {reason(problem)}") from None
        return self.raw

    def reset(self) -> None:
        """Forget the state that a recurrent network keeps between calls."""
        self._interpreter.reset_all_variables()


def _keys(content: bytes) -> tuple[dict[int, str], dict[int, str]]:
    """Give the signature's names of inputs and of outputs by their tensors; the runtimes' lists of tensors lack them."""
    try:
        both = ends.read(content)
    except struct.error:       # the runtime may read it all the same: then nothing is known of names
        return {}, {}
    return {end.index: end.key for end in both.inputs}, {end.index: end.key for end in both.outputs}


def _info(details: dict[str, Any], keys: dict[int, str]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    shape = tuple(int(size) for size in details["shape"])
    kind = np.dtype(details["dtype"])
    index = int(details["index"])
    return TensorInfo(index, str(details["name"]), shape, kind, float(scale), int(zero_point), keys.get(index, ""))
