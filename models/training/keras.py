"""What the networks share of TensorFlow: chance held still, training with a line for each epoch, and the way to a file.

Imported inside train() only. The converter may reorder or rename what it is given, so files are asked by their signature.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from training.recipe import How

Vary = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Plan(NamedTuple):
    """How long and how boldly to train."""

    epochs: int
    rate: float                # the highest, of Adam
    batch: int
    seed: int


def settle(seed: int) -> None:
    """Fix every source of chance that TensorFlow has, and its threads."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:       # it has begun to work already, with the threads that it was given first
        pass
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def version() -> str:
    """Tell TensorFlow's version."""
    return str(tf.__version__)


def fit(model: tf.keras.Model, x: np.ndarray, y: np.ndarray, plan: Plan, say: Callable[[str], None],
        vary: Vary | None = None) -> None:
    """Train with Adam, a rate that rises for half an epoch and falls as a cosine; `vary` changes the inputs in each epoch."""
    (epochs, rate, batch, seed), decay = plan, tf.keras.optimizers.schedules.CosineDecay
    rng, steps = np.random.default_rng(seed), max(1, len(x) // batch)
    falling = decay(0.0, epochs * steps, 0.01, warmup_target=rate, warmup_steps=max(1, steps // 2))
    model.compile(tf.keras.optimizers.Adam(falling, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(epochs):
        begun = time.monotonic()
        told = model.fit(x if vary is None else vary(x, rng), y, batch_size=batch, epochs=1, verbose=0).history
        say(f"epoch {epoch + 1}/{epochs}: loss {told['loss'][0]:.4f}, accuracy {told['accuracy'][0]:.4f}, "
            f"{time.monotonic() - begun:.1f} s")


def quantized(model: tf.keras.Model, samples: np.ndarray) -> bytes:
    """Quantize to int8 throughout, input and output included, from float samples of what it will see."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def ask_pictures(file: bytes, pictures: np.ndarray) -> np.ndarray:
    """Ask an int8 file about uint8 pictures (n, height, width, channels) for its raw scores: int8 (n, labels)."""
    interpreter = tf.lite.Interpreter(model_content=file, num_threads=1)
    runner = interpreter.get_signature_runner()
    (given,), (told,) = runner.get_input_details(), runner.get_output_details()
    scale, zero_point = runner.get_input_details()[given]["quantization"]
    if abs(scale * 255 - 1) > 1e-3 or zero_point != -128:
        raise SystemExit(f"the converter chose input scale {scale}, zero {zero_point}; 1/255 and -128 were expected")
    signed = (pictures ^ 0x80).view(np.int8)
    return np.concatenate([runner(**{given: one[None]})[told] for one in signed])


def converted(function: Any, module: tf.Module) -> bytes:
    """Convert a tf.function with a signature as it is, in floats; names of inputs and outputs stay."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=function)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


class Asked:
    """A file of floats that is asked sample by sample or window by window; its state is carried from call to call."""

    def __init__(self, file: bytes, state: Mapping[str, str]) -> None:
        """Load it; `state` maps inputs to the outputs that they get back."""
        self._interpreter = tf.lite.Interpreter(model_content=file, num_threads=1)
        self._interpreter.allocate_tensors()
        runner = self._interpreter.get_signature_runner()
        given, told = runner.get_input_details(), runner.get_output_details()
        view = {name: self._interpreter.tensor(one["index"]) for name, one in {**given, **told}.items()}
        self._state = [(view[before], view[after]) for before, after in state.items()]
        (self._given,) = [view[name] for name in given if name not in state]
        (self._told,) = [view[name] for name in told if name not in state.values()]

    def scores(self, window: np.ndarray) -> np.ndarray:
        """Give the scores after a whole window (length, channels)."""
        parts = window if self._state else [window]
        for given, _ in self._state:
            given()[:] = 0
        for part in parts:
            self._given()[:] = part
            self._interpreter.invoke()
            for given, told in self._state:
                given()[:] = told()
        return np.array(self._told()[0])


def all_scores(file: bytes, state: Mapping[str, str], windows: np.ndarray, how: How) -> np.ndarray:
    """Ask a file about many windows (n, length, channels): (n, labels)."""
    how.say(f"asking the file about {len(windows)} windows")
    asked = Asked(file, state)
    return np.stack([asked.scores(window) for window in windows])


def layers() -> Any:
    """Give Keras' layers."""
    return tf.keras.layers


def model(given: Any, told: Any) -> tf.keras.Model:
    """Make a model of what leads from one to the other."""
    return tf.keras.Model(given, told)
