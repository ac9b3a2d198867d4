"""Train the meter reader: a digit wheel's picture → 0 to 9 or "between", and write the bundle models/zoo/meter.

Run by scripts/train. The split is by kind of meter, never by picture: pictures of one meter are near
copies of each other, and a network that has seen a meter says nothing of how it reads another. Each fold
holds whole kinds out; the network that ships is the one whose held-out fold has the most kinds, so its
figures can be measured again on the shipped file. Nothing but this data set and its augmentation is used.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# before TensorFlow: its oneDNN kernels round in another order, so the setting belongs to the result
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from reflexd_models.accuracy import Figures, by_group, class_of, figures
from training import augment, card, network
from training.package import THRESHOLD, write_bundle

SEED = 7
EPOCHS = 36
SAMPLES = 400          # pictures that calibrate the quantization
BANDS = {"within_tenth": 0.955, "within_tenth_covered": 0.99, "coverage": 0.70}
LARGEST = 100_000

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

    x: augment.Pictures
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
    answered: float        # share of answers at the bundle's threshold
    wrong: float           # share of these that are a wrong digit


def load(folder: Path) -> Digits:
    """Read the data set."""
    path = folder / "data" / "meter_digits.npz"
    if not path.is_file():
        sys.exit(f"{path}: is not there; set REFLEXD_TEST_DATA to the folder that has data/meter_digits.npz")
    with np.load(path, allow_pickle=False) as found:
        digits = Digits(found["x"], found["y"].astype(np.int64), found["group"])
    known = {*MIXED, *[kind for kinds in FOLDS.values() for kind in kinds]}
    if set(digits.group) != known:
        sys.exit(f"{path}: has other kinds of meter than the folds; new: {set(digits.group) ^ known}")
    return digits


def train_fold(digits: Digits, fold: str, epochs: int) -> Trained:
    """Train without the kinds of that fold, quantize, and judge on them."""
    held = np.isin(digits.group, FOLDS[fold])
    seen, unseen = digits.part(~held), digits.part(held)
    print(f"fold {fold}: {len(seen.y)} pictures to train, {len(unseen.y)} of {len(FOLDS[fold])} names held out", flush=True)
    model = network.train(seen.x, class_of(seen.y), epochs, SEED, lambda line: print(f"  {line}", flush=True))
    chosen = np.random.default_rng(SEED).permutation(len(seen.x))[:SAMPLES]
    file = network.convert(model, seen.x[chosen])
    told = network.scores(model, unseen.x)
    told8 = (network.ask(file, unseen.x).astype(np.float64) + 128) / 256
    trusted = told8.max(1) >= THRESHOLD
    trained = Trained(file, *[judge(unseen.y, scores) for scores in (told, told8)],
                      *[by_group(unseen.y, scores.argmax(1), scores.max(1), unseen.group) for scores in (told, told8)],
                      answered=float(trusted.mean()), wrong=float(judge(unseen.y[trusted], told8[trusted])["wrong_digit"] or 0))
    print(f"  float {trained.of_float}\n  int8  {trained.of_int8}", flush=True)
    return trained


def judge(tenths: np.ndarray, scores: np.ndarray) -> Figures:
    """Judge scores (n, 11)."""
    return figures(tenths, scores.argmax(1), scores.max(1))


def assert_bands(trained: Trained) -> None:
    """Refuse to ship a network that is worse than what was promised."""
    short = [f"{key} {trained.of_int8[key]} < {least}" for key, least in BANDS.items() if (trained.of_int8[key] or 0) < least]
    if len(trained.file) > LARGEST:
        short.append(f"{len(trained.file)} bytes > {LARGEST}")
    if short:
        sys.exit(f"not written: {'; '.join(short)}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/train meter", description="Train the meter reader and write its bundle.")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", action="store_true", help="skip the other folds: the card then tells of the shipped one alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "zoo" / "meter")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REFLEXD_TEST_DATA", "../shared")))
    return parser.parse_args()


def main() -> None:
    """Train, judge, and write."""
    args, begun = arguments(), time.monotonic()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    digits = load(args.data)
    folds = [SHIPPED] if args.only else [SHIPPED, *[fold for fold in FOLDS if fold != SHIPPED]]
    trained: dict[str, Trained] = {}
    for fold in folds:
        trained[fold] = train_fold(digits, fold, args.epochs)
        if fold == SHIPPED:
            assert_bands(trained[fold])
            write_bundle(args.out, trained[fold].file, FOLDS[SHIPPED])
        (args.out / "MODEL_CARD.md").write_text(card.text(trained, FOLDS, SHIPPED, MIXED), encoding="utf-8")
    print(f"written to {args.out} in {(time.monotonic() - begun) / 60:.0f} min")


if __name__ == "__main__":
    main()
