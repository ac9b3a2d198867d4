"""How the neural networks of vibration are laid out in TensorFlow; imported inside train() only."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training import keras
from training.vibration import CHANNELS
from training.vibration_networks import COARSE, FINE

layers = tf.keras.layers
CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}


class Conv:
    """1-D convolutions: the window less its mean, at two magnifications."""

    state: dict[str, str] = {}

    def __init__(self, length: int, labels: int) -> None:
        """Lay it out."""
        self._length = length
        given = layers.Input((length, len(CHANNELS)), name="window")
        away = given - tf.reduce_mean(given, axis=1, keepdims=True)
        x = tf.concat([tf.tanh(away * FINE), tf.tanh(away * COARSE / 2)], axis=-1)
        for filters, width in ((14, 7), (18, 5), (22, 3)):
            x = layers.Conv1D(filters, width, strides=2, activation="relu")(x)
        told = layers.Dense(labels, activation="softmax")(layers.GlobalAveragePooling1D()(x))
        self.model = tf.keras.Model(given, told)

    def file(self) -> bytes:
        """Convert it."""
        wanted = tf.TensorSpec((1, self._length, len(CHANNELS)), tf.float32, "window")

        @tf.function(input_signature=[wanted], autograph=False)
        def scores(window: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"scores": self.model(window)}

        module = tf.Module()
        module.model = self.model
        return keras.converted(scores, module)


class Step:
    """A recurrent network: trained over whole windows, stored as one step.

    Its steps see the difference to the sample before, so gravity is gone, and the difference's length, which does not depend
    on how the sensor is turned. Scores are made of the mean of all that its cells said. State: `before` has the sample
    before and a 1 (0 as a window begins, when there is none), `heard` the mean so far, the rest is the cell's.
    """

    def __init__(self, kind: str, units: int, length: int, labels: int) -> None:
        """Lay it out."""
        self._units, self._length = units, length
        self._cells = ("hidden", "cell") if kind == "lstm" else ("hidden",)
        self.state = {name: f"{name}_next" for name in (*self._cells, "heard", "before")}
        given = layers.Input((length, len(CHANNELS)), name="window")
        moved = tf.concat([tf.zeros_like(given[:, :1]), given[:, 1:] - given[:, :-1]], axis=1)
        self._recurrent = CELLS[kind](units, return_sequences=True)
        heard = layers.GlobalAveragePooling1D()(self._recurrent(_features(moved)))
        self._scores = layers.Dense(labels, activation="softmax")
        self.model = tf.keras.Model(given, self._scores(heard))

    def file(self) -> bytes:
        """Convert one step, with every state as input and output."""
        channels = len(CHANNELS)
        sizes = {"reading": channels, **dict.fromkeys((*self._cells, "heard"), self._units), "before": channels + 1}
        wanted = [tf.TensorSpec((1, size), tf.float32, name) for name, size in sizes.items()]
        step = tf.function(self._step, input_signature=wanted, autograph=False)
        module = tf.Module()
        module.recurrent, module.scores = self._recurrent, self._scores
        return keras.converted(step, module)

    def _step(self, reading: Any, *states: Any) -> dict[str, Any]:
        *cells, heard, before = states
        moved = (reading - before[:, :-1]) * before[:, -1:]
        said, following = self._recurrent.cell(_features(moved), list(cells))
        heard = heard + said / self._length
        kept = tf.concat([reading, tf.ones_like(reading[:, :1])], 1)
        told = {"scores": self._scores(heard), "heard_next": heard, "before_next": kept}
        return {**told, **{f"{name}_next": one for name, one in zip(self._cells, following, strict=True)}}


def _features(moved: Any) -> Any:
    """Give a step's inputs: the movement at two magnifications, and the logarithm of its length."""
    length = tf.sqrt(tf.reduce_sum(moved * moved, axis=-1, keepdims=True) + 1e-8)
    return tf.concat([tf.tanh(moved * FINE), tf.tanh(moved * COARSE), tf.math.log(length) * 0.5 + 2.0], axis=-1)
