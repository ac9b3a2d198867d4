"""Write learners.npz: small learners, and what scikit-learn itself says of some windows. Needs .venv-train:

PYTHONPATH=models .venv-train/bin/python tests/models/networks/series/make_learners.py
"""

from pathlib import Path

import numpy as np

from reflexd_models import features
from training import classic

CASES = {
    "svm": ("svm", 3, {}), "svm-of-two": ("svm", 2, {}), "svm-rbf": ("svm", 3, {"kernel": "rbf"}),
    "svm-rbf-of-two": ("svm", 2, {"kernel": "rbf"}), "tree": ("tree", 3, {}),
    "forest": ("forest", 3, {"n_estimators": 7, "min_samples_leaf": 1}),
}


def windows(count: int, labels: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows of two channels whose labels overlap: a tone, the louder the higher its label, in noise."""
    y = np.arange(count) % labels
    at = np.arange(32)[None, :, None] * np.array([0.4, 0.9]) + rng.uniform(0, 6, (count, 1, 1))
    x = (1 + 0.4 * y[:, None, None]) * np.sin(at) + rng.normal(0, 0.8, (count, 32, 2))
    return x.astype(np.float32), y


def main() -> None:
    """Fit, ask, write."""
    rng = np.random.default_rng(5)
    asked, _ = windows(24, 3, rng)
    table = features.table(asked)
    written = {"windows": asked, "table": table}
    for name, (kind, labels, chosen) in CASES.items():
        x, y = windows(90, labels, rng)
        learner = classic.learn(kind, features.table(x), y, 5, **chosen)
        written |= {f"{name}/{key}": value for key, value in classic.arrays_of(learner).items()}
        written[f"{name}/told"] = learner.predict_proba(table)
    np.savez_compressed(Path(__file__).with_name("learners.npz"), **written)


if __name__ == "__main__":
    main()
