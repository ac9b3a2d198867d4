"""Make new pictures of digit wheels out of known ones: other light, other paint, other aim, worse cameras.

Every picture keeps its label, so a digit moves up or down by no more than about a third of a tenth of a
wheel's turn (1.2 of 32 px); everything else may change a lot. All chance comes from the given generator:
the same seed gives the same pictures.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
HEIGHT, WIDTH = 32, 20


def batch(pictures: Pictures, rng: np.random.Generator) -> NDArray[np.float32]:
    """Vary uint8 (n, 32, 20, 3) pictures; give float32 of the same shape, 0 to 255."""
    moved = np.stack([_move(picture, rng) for picture in pictures]).astype(np.float32)
    lit = _glare(_shade(_paint(moved, rng), rng), rng)
    return np.clip(_noise(_blur(lit, rng), rng), 0, 255)


def _move(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """Aim a little elsewhere: shift, size, lean and turn."""
    wide, high = 1 + rng.uniform(-0.16, 0.16), 1 + rng.uniform(-0.10, 0.10)
    lean, turn = rng.normal(0, 0.08), rng.normal(0, 0.04)
    linear = np.array([[wide, lean + turn], [-turn, high]])
    middle = np.array([WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5])
    shift = middle - linear @ middle + np.array([rng.normal(0, 1.3), np.clip(rng.normal(0, 0.6), -1.2, 1.2)])
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _paint(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change paint and exposure: negative, other colours, grey, contrast, brightness, gamma."""
    n = len(x)
    x = np.where(rng.random((n, 1, 1, 1)) < 0.4, 255 - x, x)
    order = np.stack([rng.permutation(3) if rng.random() < 0.5 else np.arange(3) for _ in range(n)])
    x = np.take_along_axis(x, order[:, None, None, :], axis=3)
    grey = rng.beta(0.6, 0.6, (n, 1, 1, 1))
    x = x * (1 - grey) + x.mean(axis=3, keepdims=True) * grey
    x = 255 * (np.clip(x, 0, 255) / 255) ** np.exp(rng.normal(0, 0.3, (n, 1, 1, 1)))
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    x = (x - mean) * np.exp(rng.normal(0, 0.4, (n, 1, 1, 1))) + mean
    return (x * rng.normal(1, 0.06, (n, 1, 1, 3)) + rng.normal(0, 35, (n, 1, 1, 1))).astype(np.float32)


def _shade(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light one side more than the other, as a wheel's curve and a lamp do."""
    down, across = np.linspace(-1, 1, HEIGHT)[None, :, None, None], np.linspace(-1, 1, WIDTH)[None, None, :, None]
    sides, ends = rng.normal(0, 0.18, (2, len(x), 1, 1, 1))
    curve = rng.uniform(0, 0.4, (len(x), 1, 1, 1)) * (rng.random((len(x), 1, 1, 1)) < 0.4)
    return (x * np.clip(1 + sides * across + ends * down - curve * down**2, 0.15, 2)).astype(np.float32)


def _glare(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Lay a soft bright spot over one picture in four."""
    n = len(x)
    down, across = np.arange(HEIGHT)[None, :, None, None], np.arange(WIDTH)[None, None, :, None]
    top, left = rng.uniform(0, HEIGHT, (n, 1, 1, 1)), rng.uniform(0, WIDTH, (n, 1, 1, 1))
    high, wide = rng.uniform(2, 16, (2, n, 1, 1, 1))
    light = rng.uniform(20, 150, (n, 1, 1, 1)) * (rng.random((n, 1, 1, 1)) < 0.25)
    return (x + light * np.exp(-(((down - top) / high) ** 2) - ((across - left) / wide) ** 2)).astype(np.float32)


def _blur(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Lose focus in two of five."""
    for one in np.flatnonzero(rng.random(len(x)) < 0.4):
        x[one] = cv2.GaussianBlur(np.clip(x[one], 0, 255), (0, 0), rng.uniform(0.3, 1.2))
    return x


def _noise(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add a sensor's grain."""
    strength = np.abs(rng.normal(0, 7, (len(x), 1, 1, 1))).astype(np.float32)
    return x + strength * rng.standard_normal(x.shape, dtype=np.float32)
