"""Train the meter reader: a digit wheel's picture → 0 to 9 or "between", and write the bundle models/zoo/meter.

The split is by kind of meter, never by picture: pictures of one meter are near
copies of each other, and a network that has seen a meter says nothing of how it reads another. Each fold
holds whole kinds out; the network that ships is the one whose held-out fold has the most kinds, so its
figures can be measured again on the shipped file. Nothing but this data set and its augmentation is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reflexd_models.accuracy import Figures, by_group, class_of, figures
from training.judge import Judged
from training.recipe import AtLeast, AtMost, Bar, DataError, How
from training.recipe import Trained as Made

SEED = 7
EPOCHS = 36
SAMPLES = 400          # pictures that calibrate the quantization
SMALL_EPOCHS, SMALL_PICTURES, SMALL_MEMORY = 12, 5000, 0.98
BANDS = {"within_tenth": 0.955, "within_tenth_covered": 0.99, "coverage": 0.70}
SMALL_BANDS = {"within_tenth": 0.85, "within_tenth_covered": 0.98, "coverage": 0.35}
LARGEST = 100_000
TOLERANCE = 26         # of 256 steps: kernels of other processors round differently
LABELS = (*"0123456789", "between")
HEIGHT, WIDTH = 32, 20    # px, as augment.py and the network have them

# Collections without a known meter, and what shares pictures with them: always for training, never for judging.
MIXED = ("new", "powermeter/unknown", "watermeter/Unknown", "watermeter/OOVW")
# Several names for one meter are one kind; lcd and Metrona share near copies.
FOLDS = {
    "A": ("powermeter/ISKRA T3F-01S1", "powermeter/ISKRA.T3F-01S1_20250630"),
    "B": ("watermeter/Techem", "powermeter/ itron_C114U_2", "watermeter/jvi", "watermeter/watermeter_lcd"),
    "C": ("powermeter/emeter1", "watermeter/Wasser_Geraete_GmbH", "lcd/lcd_pb", "lcd2", "lcd/digital italic",
          "gasmeter/rockberte"),
    "D": ("powermeter/betar", "lcd", "watermeter/Metrona", "watermeter/integra", "powermeter/Landis+Gyr - MM2600JH",
          "powermeter/LandisGyrT330_C"),
}
SHIPPED = "C"


@dataclass(frozen=True, slots=True)
class Digits:
    """The data set, or a part of it."""

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray

    def part(self, chosen: np.ndarray) -> Digits:
        """Give the chosen ones."""
        return Digits(self.x[chosen], self.y[chosen], self.group[chosen])


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with what it reached on the kinds that it never saw."""

    file: bytes
    of_float: Figures
    of_int8: Figures
    float_by_kind: dict[str, Figures]
    int8_by_kind: dict[str, Figures]
    float_scores: np.ndarray
    int8_scores: np.ndarray
    answered: float        # share of answers at the bundle's threshold
    wrong: float           # share of these that are a wrong digit


def load(folder: Path) -> Digits:
    """Read the data set. Raises: DataError."""
    path = folder / "data" / "meter_digits.npz"
    if not path.is_file():
        raise DataError(f"{path}: is not there; set REFLEXD_TEST_DATA, or --data, to the folder that has data/meter_digits.npz")
    with np.load(path, allow_pickle=False) as found:
        digits = Digits(found["x"], found["y"].astype(np.int64), found["group"])
    known = {*MIXED, *[kind for kinds in FOLDS.values() for kind in kinds]}
    if set(digits.group) != known:
        raise DataError(f"{path}: has other kinds of meter than the folds; new: {set(digits.group) ^ known}")
    return digits


def train_fold(digits: Digits, fold: str, how: How) -> Trained:
    """Train without the kinds of that fold, quantize, and judge on them."""
    from training import keras
    from training import meter_network as network
    from training.meter_card import THRESHOLD

    held, epochs = np.isin(digits.group, FOLDS[fold]), SMALL_EPOCHS if how.small else EPOCHS
    seen, unseen = digits.part(~held), digits.part(held)
    if how.small:
        seen = seen.part(np.random.default_rng(SEED).permutation(len(seen.y))[:SMALL_PICTURES])
    how.say(f"fold {fold}: {len(seen.y)} pictures to train, {len(unseen.y)} of {len(FOLDS[fold])} names held out")
    model = network.train(seen.x, class_of(seen.y), epochs, SEED, how.say, *([SMALL_MEMORY] if how.small else []))
    chosen = np.random.default_rng(SEED).permutation(len(seen.x))[:SAMPLES]
    file = keras.quantized(model, seen.x[chosen].astype(np.float32) / 255)
    told = network.scores(model, unseen.x)
    told8 = (keras.ask_pictures(file, unseen.x).astype(np.float64) + 128) / 256
    trusted = told8.max(1) >= THRESHOLD
    trained = Trained(file, *[judge(unseen.y, scores) for scores in (told, told8)],
                      *[by_group(unseen.y, scores.argmax(1), scores.max(1), unseen.group) for scores in (told, told8)],
                      told.astype(np.float64), told8,
                      answered=float(trusted.mean()), wrong=float(judge(unseen.y[trusted], told8[trusted])["wrong_digit"] or 0))
    how.say(f"fold {fold}: float {trained.of_float}, int8 {trained.of_int8}")
    return trained


def judge(tenths: np.ndarray, scores: np.ndarray) -> Figures:
    """Judge scores (n, 11)."""
    return figures(tenths, scores.argmax(1), scores.max(1))


def drawn(position: float) -> np.ndarray:
    """Draw a wheel at that position, for the golden case: 4.5 stands half way between 4 and 5."""
    import cv2

    large = np.full((128, 80, 3), 40, np.uint8)
    for digit in range(int(position) - 1, int(position) + 3):
        text, middle = str(digit % 10), 64 + (digit - position) * -128
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 4.0, 8)
        corner = (40 - width // 2, round(middle + height / 2))
        cv2.putText(large, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 4.0, (225, 225, 225), 8, cv2.LINE_AA)
    return np.asarray(cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True, slots=True)
class Meter:
    """The meter reader's recipe."""

    name: str = "meter"
    file_name: str = "meter.tflite"
    purpose: str = "digit wheels of gas, water and power meters"
    text: str = ""                     # its card has a text of its own
    limits: tuple[str, ...] = ()
    licence: str = "Apache-2.0"

    def bars(self, small: bool) -> tuple[Bar, ...]:
        """Tell what has to be reached."""
        bands = [AtLeast(name, least) for name, least in (SMALL_BANDS if small else BANDS).items()]
        return (*bands, AtMost("quantization_loss", 0.02 if small else 0.005), AtMost("size_bytes", LARGEST))

    def train(self, how: How) -> Made:
        """Train the fold that ships, and the others for the card unless it is to be only that."""
        from training import keras, meter_card

        digits = load(how.data)
        trained = {SHIPPED: train_fold(digits, SHIPPED, how)}
        if not how.only and not how.small:
            trained |= {fold: train_fold(digits, fold, how) for fold in FOLDS if fold != SHIPPED}
        best, unseen = trained[SHIPPED], digits.part(np.isin(digits.group, FOLDS[SHIPPED]))
        given = np.stack([drawn(position) for position in (*range(10), 4.5)])
        about: dict[str, Any] = {"task": "regions", "labels": LABELS, "threshold": meter_card.THRESHOLD,
                                 "held_out": FOLDS[SHIPPED], "input": {"layout": "rgb", "width": WIDTH, "height": HEIGHT}}
        truth = class_of(unseen.y)
        return Made(
            best.file, about, {"given": (given ^ 0x80).view(np.int8), "told": keras.ask_pictures(best.file, given)}, TOLERANCE,
            Judged(truth, best.int8_scores, unseen.group, LABELS), Judged(truth, best.float_scores, unseen.group, LABELS),
            {name: float(best.of_int8[name] or 0) for name in (*BANDS, "wrong_digit")},
            card=lambda _: meter_card.text(trained, FOLDS, SHIPPED, MIXED),
        )


def recipe(name: str) -> Meter:
    """Give it."""
    return Meter(name)
