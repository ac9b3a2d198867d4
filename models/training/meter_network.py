"""The meter reader's network: its shape and its training.

Seeds, thread counts and oneDNN are fixed: the same machine gives the same bytes, another one the same bands.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import augment

CLASSES = 11
BATCH = 64
RATE = 2e-3
Floats = NDArray[np.float32]


def settle(seed: int) -> None:
    """Fix every source of chance that TensorFlow has."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build() -> tf.keras.Model:
    """Lay out the network: pixels as shares (0 to 1) in, a score per class out."""
    layers = tf.keras.layers
    x = given = tf.keras.Input((augment.HEIGHT, augment.WIDTH, 3), name="pixels")
    for filters, halve in ((16, False), (24, True), (32, False), (32, True), (56, True)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        if halve:
            x = layers.MaxPool2D()(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dense(CLASSES, activation="softmax", name="scores")(layers.Dropout(0.2)(x))
    return tf.keras.Model(given, x)


def train(pictures: augment.Pictures, classes: NDArray[np.int64], epochs: int, seed: int,
          progress: Callable[[str], None], memory: float = 0.998) -> tf.keras.Model:
    """Train a fresh network; `progress` is told of every epoch, `memory` is how slowly the mean of the weights follows them."""
    settle(seed)
    rng = np.random.default_rng(seed)
    model, steps = build(), len(pictures) // BATCH
    rate = tf.keras.optimizers.schedules.CosineDecay(0.0, epochs * steps, 0.01, warmup_target=RATE, warmup_steps=2 * steps)
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=2e-3, use_ema=True, ema_momentum=memory)
    model.compile(optimizer, tf.keras.losses.CategoricalCrossentropy(label_smoothing=0.02), jit_compile=False)
    wanted = np.eye(CLASSES, dtype=np.float32)[classes]
    for epoch in range(epochs):
        begun = time.monotonic()
        loss = _epoch(model, pictures, wanted, rng)
        progress(f"epoch {epoch + 1}/{epochs}: loss {loss:.3f}, {time.monotonic() - begun:.0f} s")
    optimizer.finalize_variable_values(model.trainable_variables)
    return model


def _epoch(model: tf.keras.Model, pictures: augment.Pictures, wanted: Floats, rng: np.random.Generator) -> float:
    order = rng.permutation(len(pictures))
    losses = []
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        losses.append(_step(model, augment.batch(pictures[chosen], rng) / 255, wanted[chosen]))
    return float(np.mean(losses))


def _step(model: tf.keras.Model, x: Floats, y: Floats) -> float:
    return float(model.train_on_batch(x, y))


def scores(model: tf.keras.Model, pictures: augment.Pictures) -> Floats:
    """Ask the float network."""
    return np.asarray(model.predict(pictures.astype(np.float32) / 255, batch_size=256, verbose=0))
