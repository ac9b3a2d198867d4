"""Networks that read a window: whole, or a sample at a time with a state that goes in and comes out.

A window begins with a state of 0, whatever came before it: a fused LSTM, which keeps its state to itself, is told to forget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reflexd_models.base import ModelError, Shape, Tensor
from reflexd_models.quantize import fill, reals
from reflexd_models.runtime import Network, TensorInfo
from reflexd_models.series import Samples

KINDS = ("float32", "int8", "uint8", "int16")
SUFFIXES = ("", "_out", "_next")       # what an output's name has beside its input's, where the bundle names no states


class Reads(Protocol):
    """A network with its way through a window."""

    told: TensorInfo        # what it says last

    def read(self, window: Samples) -> list[float]:
        """Give the real outputs, flat, for the real inputs (length, channels).

        Raises: ModelError.
        """
        ...


class Whole:
    """A network that takes a window at once."""

    def __init__(self, network: Network) -> None:
        """Take a network of one input and one output."""
        self._network, self._info, self.told = network, network.inputs[0], network.outputs[0]

    def read(self, window: Samples) -> list[float]:
        """Forget what was, and infer once."""
        self._network.reset()
        (raw,) = self._network.run(lambda tensor: fill(tensor, window, self._info))
        return reals(raw, self.told)


@dataclass(frozen=True, slots=True)
class Pair:
    """A state's input and output, by their places."""

    takes: int
    gives: int


class Stepwise:
    """A network that takes a sample and a state, and gives the state after it."""

    def __init__(self, network: Network, states: list[Pair], length: int) -> None:
        """Take a network with one input and one output beside its states."""
        (self._sample,) = {*range(len(network.inputs))} - {pair.takes for pair in states}
        (self._last,) = {*range(len(network.outputs))} - {pair.gives for pair in states}
        self._network, self.told = network, network.outputs[self._last]
        self._info = network.inputs[self._sample]
        self._raw = np.zeros((length, *self._info.shape), self._info.dtype)
        self._at = 0
        handed = {pair.takes: pair.gives for pair in states}
        self._fills = [self._hands(at, handed[at]) if at in handed else self._gives for at in range(len(network.inputs))]

    def read(self, window: Samples) -> list[float]:
        """Go through the window; what the network says after the last sample counts."""
        fill(self._raw, window, self._info)
        self._network.reset()
        for self._at in range(len(window)):
            self._network.run(*self._fills)
        return reals(self._network.raw[self._last], self.told)

    def _gives(self, tensor: Tensor) -> None:
        np.copyto(tensor, self._raw[self._at])

    def _hands(self, takes: int, gives: int) -> Callable[[Tensor], None]:
        """Make what writes a state: 0 before the first sample, then what came out."""
        info, other, raw = self._network.inputs[takes], self._network.outputs[gives], self._network.raw[gives]
        same = (info.scale, info.zero_point) == (other.scale, other.zero_point)
        rescaled, least = (None, 0) if same else (_table(other, info), int(np.iinfo(other.dtype).min))

        def hand(tensor: Tensor) -> None:
            if self._at == 0:
                tensor.fill(info.zero_point)
            elif rescaled is None:
                np.copyto(tensor, raw.reshape(tensor.shape))
            else:
                np.copyto(tensor, rescaled[raw.astype(np.intp).reshape(tensor.shape) - least])
        return hand


def _table(gives: TensorInfo, takes: TensorInfo) -> Tensor:
    """Compute what each raw number of an output is as a raw number of an input."""
    bounds = np.iinfo(gives.dtype)
    table: Tensor = np.zeros(bounds.max - bounds.min + 1, takes.dtype)
    fill(table, np.asarray(reals(np.arange(bounds.min, bounds.max + 1), gives)), takes)
    return table


def reader(network: Network, shape: Shape, states: Mapping[str, str]) -> Reads:
    """Find out how a network takes a window; `states` names output by input where the bundle says so.

    Raises: ModelError.
    """
    for info in (*network.inputs, *network.outputs):
        if info.dtype.name not in KINDS or bool(info.scale) == (info.dtype.name == "float32"):
            raise ModelError(f"{network.where}: {info.key or info.name} is {info.dtype.name} with a scale of {info.scale:g}, "
                             f"and only float32 and quantized {', '.join(KINDS[1:])} are known; convert it anew")
    if len(network.inputs) == len(network.outputs) == 1 and not states and is_window(network.inputs[0], shape):
        return Whole(network)
    pairs = _pairs(network, states)
    samples = [info for at, info in enumerate(network.inputs) if at not in {pair.takes for pair in pairs}]
    alone = len(samples) == len(network.outputs) - len(pairs) == 1
    if not pairs or not alone or _plain(samples[0]) != _flat(len(shape.channels)):
        raise ModelError(f"{network.where}: {_takes(network)}; {_wanted(shape)}")
    return Stepwise(network, pairs, shape.length)


def autoencoder(network: Network, shape: Shape) -> Whole:
    """Take a network that gives a window again, as far as it is a normal one.

    Raises: ModelError.
    """
    whole = reader(network, shape, {})
    count = shape.length * len(shape.channels)
    if not isinstance(whole, Whole) or int(np.prod(whole.told.shape)) != count:
        raise ModelError(f"{network.where}: {_takes(network)}; an autoencoder takes a window and gives as many "
                         f"numbers, here {count}; correct [window], or use the task sequence")
    return whole


def is_window(info: TensorInfo, shape: Shape) -> bool:
    """Tell whether a tensor is [1, length, channels], with ones anywhere, or [1, length * channels]."""
    length, channels = shape.length, len(shape.channels)
    return _plain(info) in (tuple(size for size in (length, channels) if size != 1), _flat(length * channels))


def _plain(info: TensorInfo) -> tuple[int, ...]:
    return tuple(size for size in info.shape if size != 1)


def _flat(count: int) -> tuple[int, ...]:
    return (count,) if count != 1 else ()


def _pairs(network: Network, states: Mapping[str, str]) -> list[Pair]:
    """Match the states' inputs and outputs by their names in the signature."""
    takes = {info.key: at for at, info in enumerate(network.inputs) if info.key}
    gives = {info.key: at for at, info in enumerate(network.outputs) if info.key}
    named = dict(states) or {name: name + suffix for name in takes for suffix in SUFFIXES if name + suffix in gives}
    strangers = [name for name, known in (*[(name, takes) for name in named], *[(name, gives) for name in named.values()])
                 if name not in known]
    if strangers:
        raise ModelError(f'{network.where}: window.state names "{strangers[0]}", and {_takes(network)}; correct it')
    pairs = [Pair(takes[name], gives[other]) for name, other in named.items()]
    for pair in pairs:
        one, other = network.inputs[pair.takes], network.outputs[pair.gives]
        if _plain(one) != _plain(other) or (one.dtype != other.dtype):
            raise ModelError(f"{network.where}: the state {one.key} goes in as {list(one.shape)} {one.dtype}, and comes out of "
                             f"{other.key} as {list(other.shape)} {other.dtype}; correct window.state, or convert it anew")
    if len({pair.gives for pair in pairs}) != len(pairs):
        raise ModelError(f"{network.where}: window.state gives one output to two states; correct it")
    return pairs


def _takes(network: Network) -> str:
    """Write what a network takes and gives."""
    def side(infos: tuple[TensorInfo, ...]) -> str:
        return ", ".join(f"{info.key or 'a nameless'} {list(info.shape)}" for info in infos)
    return f"it takes {side(network.inputs)} and gives {side(network.outputs)}"


def _wanted(shape: Shape) -> str:
    length, channels = shape.length, len(shape.channels)
    return (f"a window is [1, {length}, {channels}] or [1, {length * channels}], and a sample [1, {channels}] beside states of "
            "which each has an output of its name with _next; correct [window], or add window.state")
