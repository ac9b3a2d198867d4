"""The two small networks of written digits: Conv32-Pool-Dense64-Dense10 and Conv32-Dense10, 28 x 28 px grey, int8 throughout."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.judge import Judged
from training.recipe import AtLeast, AtMost, Bar, DataError, How, Trained

SEED, SIDE, BATCH, EPOCHS, SAMPLES = 7, 28, 64, 6, 300
LABELS = tuple(str(digit) for digit in range(10))
TOLERANCE = 26         # of 256 steps: kernels of other processors round differently
TEXT = """\
Says which digit, 0 to 9, is written in a picture of 28 x 28 px: white on black, in the middle, as MNIST has them. Used by the
task `classify`. The network is {layers}. It is the first network that many people train, so it is here to try the way from
a trained network to a rule, and to compare figures with."""
LIMITS = (
    "Digits are light on dark, 20 px high and centred by their mass; ink on paper has to be inverted first.",
    "It knows nothing but digits: a letter, a hand or an empty picture is some digit to it, often with a high score.",
    "For the wheels of a meter take `meter`.",
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures uint8 (n, 28, 28) and what is written on them."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, slots=True)
class Digits:
    """One of the two."""

    name: str
    layers: str
    pooled: bool
    bar: float
    largest: int
    limits: tuple[str, ...] = LIMITS
    licence: str = "Apache-2.0, as reflexd. MNIST is by Y. LeCun, C. Cortes and C. Burges, from NIST's Special Databases 1 and 3."

    @property
    def file_name(self) -> str:
        """Name its file."""
        return f"{self.name}.tflite"

    @property
    def purpose(self) -> str:
        """Say what it is for."""
        return f"written digits, 28 x 28 px: {self.layers}"

    @property
    def text(self) -> str:
        """Say what it is."""
        return TEXT.format(layers=self.layers)

    def bars(self, small: bool) -> tuple[Bar, ...]:
        """Tell what has to be reached."""
        return (AtLeast("accuracy", 0.93 if small else self.bar), AtMost("quantization_loss", 0.01 if small else 0.005),
                AtMost("size_bytes", self.largest))

    def train(self, how: How) -> Trained:
        """Train, quantize, and ask the int8 file about the test pictures."""
        from training import keras

        known, unseen = load(how)
        model = self._build()
        epochs = 3 if how.small else EPOCHS
        keras.fit(model, known.x[..., None].astype(np.float32) / 255, known.y,
                  keras.Plan(epochs, 2e-3, BATCH, SEED), how.say)
        samples = np.random.default_rng(SEED).permutation(len(known.x))[:SAMPLES]
        file = keras.quantized(model, (known.x[samples, ..., None] / 255).astype(np.float32))
        how.say("asking the int8 file")
        given = np.stack([drawn(digit) for digit in range(10)])
        told = keras.ask_pictures(file, unseen.x[..., None])
        floats = model.predict(unseen.x[..., None].astype(np.float32) / 255, batch_size=256, verbose=0)
        group = np.char.add("digit ", unseen.y.astype(str))
        return Trained(
            file, {"task": "classify", "labels": LABELS, "held_out": ("MNIST's test set",),
                   "input": {"layout": "grey", "width": SIDE, "height": SIDE}},
            {"given": (given[..., None] ^ 0x80).view(np.int8), "told": keras.ask_pictures(file, given[..., None])}, TOLERANCE,
            Judged(unseen.y, (told.astype(np.float64) + 128) / 256, group, LABELS),
            Judged(unseen.y, np.asarray(floats, np.float64), group, LABELS),
            facts={"given": "int8 [1, 28, 28, 1], raw = pixel - 128", "told": "int8 [1, 10], score = (raw + 128) / 256",
                   "trained on": f"{len(known.y)} pictures of MNIST's training set, by other writers than the test set's",
                   "judged on": f"{len(unseen.y)} pictures of MNIST's test set", "made with": f"TensorFlow {keras.version()}, "},
        )

    def _build(self) -> Any:
        from training import keras

        keras.settle(SEED)
        layers = keras.layers()
        x = given = layers.Input((SIDE, SIDE, 1), name="pixels")
        x = layers.Conv2D(32, 3, activation="relu")(x)
        if self.pooled:
            x = layers.MaxPool2D()(x)
        x = layers.Dropout(0.3)(layers.Flatten()(x))
        if self.pooled:
            x = layers.Dense(64, activation="relu")(x)
        return keras.model(given, layers.Dense(10, activation="softmax", name="scores")(x))


def load(how: How) -> tuple[Pictures, Pictures]:
    """Read MNIST: 10,000 pictures to train on and 10,000 to judge; of the latter 2,000 in a small run. Raises: DataError."""
    folder = how.data / "data" / "mnist"
    names = ("mnist10k_train.npz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    for path in (folder / name for name in names):
        if not path.is_file():
            raise DataError(f"{path}: is not there; set REFLEXD_TEST_DATA, or --data, to the folder that has data/mnist")
    with np.load(folder / names[0], allow_pickle=False) as found:
        known = Pictures(found["x"], found["y"].astype(np.int64))
    unseen = Pictures(read_idx(folder / names[1]), read_idx(folder / names[2]).astype(np.int64))
    count = 2000 if how.small else len(unseen.y)
    return known, Pictures(unseen.x[:count], unseen.y[:count])


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of bytes, packed by gzip. Source: the format that yann.lecun.com/exdb/mnist describes."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", content[3], 4).astype(int)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def drawn(digit: int) -> np.ndarray:
    """Draw a digit as MNIST has them, for the golden case: no picture of a data set is shipped."""
    import cv2

    large = np.zeros((112, 112), np.uint8)
    (width, height), _ = cv2.getTextSize(str(digit), cv2.FONT_HERSHEY_SIMPLEX, 3.4, 9)
    cv2.putText(large, str(digit), (56 - width // 2, 56 + height // 2), cv2.FONT_HERSHEY_SIMPLEX, 3.4, 255, 9, cv2.LINE_AA)
    return cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


BOTH = (
    Digits("digits-a", "Conv32-Pool-Dense64-Dense10", True, 0.96, 360_000),
    Digits("digits-b", "Conv32-Dense10", False, 0.955, 230_000),
)


def recipe(name: str) -> Digits:
    """Give one by its name."""
    return next(one for one in BOTH if one.name == name)
