"""Write small networks of every kind that the tasks sequence and anomaly run, and told.npz with what Keras says.

It needs .venv-train, which scripts/train makes:
.venv-train/bin/python tests/models/networks/series/make_networks.py

Their weights are drawn at random: a wrong order of samples, channels or states, or a state that is kept, changes the scores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
LENGTH, CHANNELS, LABELS, UNITS = 12, 2, 3, 5
CELLS = {"lstm": tf.keras.layers.LSTMCell, "gru": tf.keras.layers.GRUCell, "rnn": tf.keras.layers.SimpleRNNCell}
STATES = {"lstm": ("h", "c"), "gru": ("h",), "rnn": ("h",)}
layers = tf.keras.layers


def weights() -> Callable[..., tf.Tensor]:
    """Give an initializer whose weights are large enough to matter."""
    seeds = iter(range(100))
    return lambda shape, dtype=None, **_: tf.random.stateless_normal(shape, (next(seeds), 3), stddev=0.7)


def scores(x: tf.Tensor) -> tf.Tensor:
    """End in scores."""
    return layers.Dense(LABELS, activation="softmax", kernel_initializer=weights(), name="scores")(x)


def over_windows(kind: str) -> tf.keras.Model:
    """Make a network of a whole window."""
    shape = {"flat": (LENGTH * CHANNELS,), "picture": (LENGTH, CHANNELS, 1), "autoencoder": (LENGTH * CHANNELS,)}
    x = given = tf.keras.Input(shape.get(kind, (LENGTH, CHANNELS)), batch_size=1, name="window")
    draw = weights()
    if kind == "conv":
        x = layers.Flatten()(layers.Conv1D(4, 3, activation="relu", kernel_initializer=draw)(x))
    elif kind == "picture":
        x = layers.Flatten()(layers.Conv2D(4, (3, 1), activation="relu", kernel_initializer=draw)(x))
    elif kind == "fused-lstm":
        x = layers.LSTM(UNITS, kernel_initializer=draw, recurrent_initializer=weights())(x)
    elif kind == "rnn-unrolled":
        x = layers.SimpleRNN(UNITS, unroll=True, kernel_initializer=draw, recurrent_initializer=weights())(x)
    elif kind == "autoencoder":
        x = layers.Dense(4, activation="relu", kernel_initializer=draw)(x)
        return tf.keras.Model(given, layers.Dense(LENGTH * CHANNELS, kernel_initializer=weights(), name="again")(x))
    return tf.keras.Model(given, scores(x))


def one_step(kind: str) -> tf.keras.Model:
    """Make a network of one sample, whose state goes in and comes out."""
    x = tf.keras.Input((CHANNELS,), batch_size=1, name="x")
    states = [tf.keras.Input((UNITS,), batch_size=1, name=name) for name in STATES[kind]]
    # all states go in as one list: what a cell gives comes in the same order
    out, after = CELLS[kind](UNITS, kernel_initializer=weights(), recurrent_initializer=weights())(x, states)
    after = after if isinstance(after, list) else [after]
    named = [layers.Activation("linear", name=f"{name}_next")(one) for name, one in zip(STATES[kind], after, strict=True)]
    return tf.keras.Model([x, *states], [scores(out), *named])


def linear() -> tf.keras.Model:
    """Make an autoencoder of 50 x 3 samples without curves; its weights count up: a test puts in its own."""
    given = tf.keras.Input((150,), batch_size=1, name="window")
    model = tf.keras.Model(given, layers.Dense(150, use_bias=False)(layers.Dense(8, use_bias=False)(given)))
    model.set_weights([np.arange(1, 1201).reshape(8, 150).T, np.arange(2001, 3201).reshape(150, 8).T])
    return model


def windows(count: int, seed: int) -> np.ndarray:
    """Draw windows in units of their own: the bundle's mean (1, -2) and std (2, .5) make them normal."""
    z = np.random.default_rng(seed).standard_normal((count, LENGTH, CHANNELS))
    return (z * (2, 0.5) + (1, -2)).astype(np.float32)


def normal(x: np.ndarray) -> np.ndarray:
    """Give the real input."""
    return ((x - (1, -2)) / (2, 0.5)).astype(np.float32)


def walk(model: tf.keras.Model, window: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Give what each step of a window takes; what comes out last is the last item alone."""
    states = [np.zeros((1, UNITS), np.float32) for _ in model.inputs[1:]]
    for sample in normal(window):
        yield [sample[None], *states]
        told, *states = [one.numpy() for one in model([sample[None], *states])]
    yield [told]


def ask(model: tf.keras.Model, x: np.ndarray) -> np.ndarray:
    """Let Keras answer windows."""
    if len(model.inputs) > 1:
        return np.stack([[*walk(model, window)][-1][0][0] for window in x])
    return np.stack([model(normal(window).reshape(model.inputs[0].shape)).numpy()[0] for window in x])


def convert(model: tf.keras.Model, int8: bool) -> bytes:
    """Write a network as TFLite."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        def samples() -> Iterator[dict[str, np.ndarray]]:      # by name: the converter puts inputs in an order of its own
            names = [one.name for one in model.inputs]
            for window in windows(40, 2):
                steps = [*walk(model, window)][:-1] if len(names) > 1 else [[normal(window).reshape(model.inputs[0].shape)]]
                yield from [dict(zip(names, step, strict=True)) for step in steps]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


WINDOWED = ("conv", "flat", "picture", "fused-lstm", "rnn-unrolled", "autoencoder")
BOTH = ("conv", "autoencoder", "fused-lstm", "lstm", "gru", "rnn")      # of these there is one in int8 too


def make(name: str, int8: bool) -> None:
    """Write one network; in a process of its own, since the converter may crash."""
    if name == "linear":
        (HERE / "linear.tflite").write_bytes(convert(linear(), int8=False))
        return
    model = over_windows(name) if name in WINDOWED else one_step(name)
    (HERE / f"{name}{'-int8' * int8}.tflite").write_bytes(convert(model, int8))
    if not int8:
        np.save(HERE / f"{name}.npy", ask(model, windows(6, 1)))


def main() -> None:
    """Write all."""
    if len(sys.argv) > 1:
        make(sys.argv[1], sys.argv[2] == "int8")
        return
    names = (*WINDOWED, *CELLS)
    for name in (*names, "linear"):
        for kind in ("float", "int8") if name in BOTH else ("float",):
            done = subprocess.run([sys.executable, __file__, name, kind], capture_output=True, check=False)
            failed = f"FAILED ({done.returncode}): {done.stderr.decode()[-300:]}"
            print(name, kind, failed if done.returncode else "done", flush=True)
    told = {name: np.load(HERE / f"{name}.npy") for name in names}
    for name in names:
        (HERE / f"{name}.npy").unlink()
    np.savez_compressed(HERE / "told.npz", windows=windows(6, 1), **told)


if __name__ == "__main__":
    main()
