"""Classic learners as plain arrays, evaluated in numpy: a support vector machine, a decision tree, a random forest.

The arrays come from a file that may be anything, so everything that the evaluation rests on is checked once, when they are
taken: kinds, shapes, finite numbers, and that every tree ends. training/classic.py writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reflexd_models.base import ModelError
from reflexd_models.features import Features

MOST_NODES = 1 << 18
DEEPEST = 64
Arrays = Mapping[str, NDArray[Any]]


class Learner(Protocol):
    """Something that turns features into a score for each label."""

    def scores(self, features: Features) -> NDArray[np.float64]:
        """Give float64 (labels) that sum to 1, for float64 (features)."""
        ...


class Svm:
    """One machine for each label against the rest; with two labels one machine, for the second.

    decision = weights @ z + intercept of standardised features z, or with `vectors`, dual @ exp(-gamma |z - vector|^2) +
    intercept. Platt's sigmoid 1 / (1 + exp(slope * decision + offset)), fitted on decisions of windows that were held
    out, makes it a share; the shares are scaled to the sum of 1.
    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """

    def __init__(self, arrays: Arrays, features: int, labels: int) -> None:
        """Take the arrays. Raises: ValueError."""
        machines = 1 if labels == 2 else labels
        self._mean = reals(arrays, "mean", (features,))
        self._std = reals(arrays, "std", (features,))
        if not (self._std > 0).all():
            raise ValueError("std has to be above 0")
        self._vectors = reals(arrays, "vectors", (None, features)) if "vectors" in arrays else None
        wide = features if self._vectors is None else len(self._vectors)
        self._weights = reals(arrays, "weights", (machines, wide))
        self._intercept = reals(arrays, "intercept", (machines,))
        self._platt = reals(arrays, "platt", (2, machines))
        self._gamma = 0.0 if self._vectors is None else float(reals(arrays, "gamma", ()))

    def scores(self, features: Features) -> NDArray[np.float64]:
        """Give a score for each label."""
        slope, offset = self._platt
        with np.errstate(over="ignore", invalid="ignore"):      # a sure no: 1 / (1 + inf) is 0; the caller looks for nan
            shares = 1 / (1 + np.exp(slope * self.decisions(features) + offset))
        if len(shares) == 1:
            return np.array([1 - shares[0], shares[0]])
        total = shares.sum()
        found: NDArray[np.float64] = np.full(len(shares), 1 / len(shares)) if total == 0 else shares / total
        return found

    def decisions(self, features: Features) -> NDArray[np.float64]:
        """Give the distance of each machine's border, before it becomes a share."""
        z = (features - self._mean) / self._std
        if self._vectors is not None:
            z = np.exp(-self._gamma * np.square(self._vectors - z).sum(1))
        found: NDArray[np.float64] = self._weights @ z + self._intercept
        return found


class Forest:
    """Trees in flat arrays, all gone down at once; a decision tree is a forest of one.

    Node i asks whether features[feature[i]], as float32, is at most threshold[i]: then left[i], else right[i]. A node with
    left[i] = -1 is a leaf, and value[i] its scores. `roots` are the first nodes of the trees.
    """

    def __init__(self, arrays: Arrays, features: int, labels: int) -> None:
        """Take the arrays. Raises: ValueError."""
        self._roots = _whole(arrays, "roots")
        left, right, feature = (_whole(arrays, name) for name in ("left", "right", "feature"))
        nodes = len(left)
        self._threshold = reals(arrays, "threshold", (nodes,)).astype(np.float32)
        self._value = reals(arrays, "value", (nodes, labels))
        if not len(self._roots) or not 0 < nodes <= MOST_NODES or not len(right) == len(feature) == nodes:
            raise ValueError(f"left, right and feature have a number for each of 1 to {MOST_NODES} nodes, and roots at least one")
        leaf, here = left == -1, np.arange(nodes)
        if feature[~leaf].size and not 0 <= feature[~leaf].min() <= feature[~leaf].max() < features:
            raise ValueError(f"feature has to be 0 to {features - 1}")
        _check_family(self._roots, left[~leaf], right[~leaf], here[~leaf], nodes)
        if (self._value[leaf] < 0).any() or (np.abs(self._value[leaf].sum(1) - 1) > 1e-3).any():
            raise ValueError("value has to be shares with the sum of 1 at each leaf")
        # a leaf leads to itself, so that trees of any depth take the same number of steps
        self._left, self._right = np.where(leaf, here, left), np.where(leaf, here, right)
        self._feature = np.where(leaf, 0, feature)
        self._depth = self._deepest(leaf)

    def scores(self, features: Features) -> NDArray[np.float64]:
        """Give a score for each label: the mean of the leaves that were reached."""
        x, node = features.astype(np.float32), self._roots      # scikit-learn's trees compare float32 as well
        for _ in range(self._depth):
            node = np.where(x[self._feature[node]] <= self._threshold[node], self._left[node], self._right[node])
        found: NDArray[np.float64] = self._value[node].mean(0)
        return found

    def _deepest(self, leaf: NDArray[np.bool_]) -> int:
        level, depth = self._roots[~leaf[self._roots]], 0
        while level.size:
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"a tree is deeper than {DEEPEST}")
            level = np.concatenate((self._left[level], self._right[level]))
            level = level[~leaf[level]]
        return depth


def learner(arrays: Arrays, features: int, labels: int, where: str) -> Learner:
    """Make the learner that a file holds.

    Raises: ModelError.
    """
    kinds: dict[str, type[Svm] | type[Forest]] = {"svm": Svm, "forest": Forest}
    found = arrays.get("kind")
    kind = str(found) if found is not None and found.dtype.kind == "U" and not found.shape else ""
    if kind not in kinds:
        raise ModelError(f'{where}: kind has to be "svm" or "forest"; write it with training/classic.py')
    if labels < 2:
        raise ModelError(f"{where}: a learner tells at least two labels apart, found {labels}; list them in model.toml")
    try:
        return kinds[kind](arrays, features, labels)
    except ValueError as problem:
        raise ModelError(f"{where}: {problem}; fit it again for {features} features and {labels} labels") from None


def _check_family(roots: NDArray[np.intp], left: NDArray[np.intp], right: NDArray[np.intp],
                  parents: NDArray[np.intp], nodes: int) -> None:
    """Refuse what is no tree: every node has one parent before it, and a root none, so that every way down ends."""
    children = np.concatenate((left, right))
    if any(part.size and not 0 <= part.min() <= part.max() < nodes for part in (roots, children)):
        raise ValueError(f"left, right and roots have to be 0 to {nodes - 1}")
    if (children <= np.concatenate((parents, parents))).any():
        raise ValueError("a node leads back to itself or to one before it")
    if (np.bincount(np.concatenate((children, roots)), minlength=nodes) != 1).any():
        raise ValueError("a node belongs to two others, or to none")


def _array(arrays: Arrays, name: str) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    return arrays[name]


def reals(arrays: Arrays, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Take finite numbers of that shape; None stands for any length but 0."""
    found = _array(arrays, name)
    fits = found.ndim == len(shape) and all(size == wanted if wanted is not None else size > 0
                                            for size, wanted in zip(found.shape, shape, strict=True))
    if not fits or found.dtype.kind != "f" or not np.isfinite(found).all():
        wanted = ["any" if size is None else size for size in shape]
        raise ValueError(f"{name} has to be finite floats of shape {wanted}, found {found.dtype} {list(found.shape)}")
    return found.astype(np.float64)


def _whole(arrays: Arrays, name: str) -> NDArray[np.intp]:
    found = _array(arrays, name)
    if found.ndim != 1 or found.dtype.kind != "i":
        raise ValueError(f"{name} has to be a list of signed whole numbers, found {found.dtype} {list(found.shape)}")
    return found.astype(np.intp)
