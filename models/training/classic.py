"""Fit classic learners on features of windows, and write them as the plain arrays that the task `features` evaluates.

fit() gives what scikit-learn fitted with its arrays, so that a training script can judge either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from reflexd_models import features

KINDS = ("svm", "tree", "forest")
LEAST_IN_LEAF = 3        # windows: a leaf of one is a window learnt by heart
Arrays = dict[str, np.ndarray]


def fit(kind: str, windows: np.ndarray, labels: np.ndarray, seed: int, **chosen: Any) -> Arrays:
    """Fit a learner on float32 windows (n, length, channels) in their units; give the arrays of its file.

    `labels` are whole numbers from 0, the place of each window's label in the bundle's `labels`. `chosen` goes to
    scikit-learn: kernel ("linear" or "rbf"), C and gamma of the SVM, n_estimators, max_depth … of the trees.
    """
    return arrays_of(learn(kind, features.table(windows), labels, seed, **chosen))


def learn(kind: str, table: np.ndarray, labels: np.ndarray, seed: int, **chosen: Any) -> Any:
    """Fit scikit-learn's learner on features (n, features); its predict_proba is what the device gives."""
    if kind == "svm":
        # one machine against the rest each, and Platt's sigmoid from windows that it was not fitted on
        machine = OneVsRestClassifier(SVC(**{"kernel": "linear", "C": 1.0, "gamma": 1 / table.shape[1], **chosen}))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        learner = make_pipeline(StandardScaler(), CalibratedClassifierCV(machine, cv=folds, ensemble=False))
    elif kind == "tree":
        learner = DecisionTreeClassifier(random_state=seed, **{"min_samples_leaf": LEAST_IN_LEAF, "max_depth": 12, **chosen})
    elif kind == "forest":
        learner = RandomForestClassifier(
            random_state=seed, **{"n_estimators": 50, "min_samples_leaf": LEAST_IN_LEAF, "max_depth": 16, **chosen})
    else:
        raise ValueError(f"there are {', '.join(KINDS)}, found {kind}")
    return learner.fit(table, labels)


def arrays_of(learner: Any) -> Arrays:
    """Take a fitted learner apart."""
    if isinstance(learner, RandomForestClassifier):
        parts = forest([one.tree_ for one in learner.estimators_])
    elif isinstance(learner, DecisionTreeClassifier):
        parts = forest([learner.tree_])
    else:
        parts = svm(learner)
    return {"features": np.array(features.NAMES), **parts}


def forest(trees: list[Any]) -> Arrays:
    """Put trees one after the other."""
    starts = np.cumsum([0, *[tree.node_count for tree in trees]])[:-1].astype(np.int32)
    value = np.concatenate([tree.value[:, 0, :] for tree in trees])
    left = moved([tree.children_left for tree in trees], starts)
    return {
        "kind": np.array("forest"),
        "roots": starts,
        "left": left,
        "right": moved([tree.children_right for tree in trees], starts),
        "feature": np.concatenate([tree.feature for tree in trees]).clip(0).astype(np.int16),
        "threshold": rounded_down(np.concatenate([tree.threshold for tree in trees])),
        "value": np.where(left[:, None] < 0, value / value.sum(1, keepdims=True), 0).astype(np.float32),
    }


def moved(children: list[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Count nodes through all trees; -1 stays, for a leaf."""
    counted = [np.where(one < 0, -1, one + start) for one, start in zip(children, starts, strict=True)]
    return np.concatenate(counted).astype(np.int32)


def rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """Give the greatest float32 that is not above each threshold: a float32 is at most one just when it is at most the other."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)


def svm(pipeline: Any) -> Arrays:
    """Take the machines apart; those with a kernel share their support vectors."""
    scaler, calibrated = pipeline[0], pipeline[1].calibrated_classifiers_[0]
    machines = calibrated.estimator.estimators_
    parts = {
        "kind": np.array("svm"), "mean": scaler.mean_, "std": scaler.scale_,
        "intercept": np.concatenate([one.intercept_ for one in machines]),
        "platt": np.array([[one.a_ for one in calibrated.calibrators], [one.b_ for one in calibrated.calibrators]]),
    }
    if machines[0].kernel == "linear":
        return {**parts, "weights": np.concatenate([one.coef_ for one in machines])}
    used = np.unique(np.concatenate([one.support_ for one in machines]))
    vectors, weights = np.empty((len(used), len(scaler.mean_))), np.zeros((len(machines), len(used)))
    for row, one in enumerate(machines):
        at = np.searchsorted(used, one.support_)
        vectors[at], weights[row, at] = one.support_vectors_, one.dual_coef_[0]
    return {**parts, "vectors": vectors, "weights": weights, "gamma": np.array(machines[0].gamma)}


def write(path: Path, arrays: Arrays) -> None:
    """Write the file that a bundle of the task `features` is about; the same arrays give the same bytes."""
    np.savez_compressed(path, **arrays)
