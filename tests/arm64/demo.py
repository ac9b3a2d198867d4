"""Run the shipped example through the daemon and keep, frame by frame, what its network was given and what it said.

Run twice, here and on emulated ARM, from whatever reflexd the interpreter finds. Frames come as fast as the network takes
them, so that both are given all of them. At the end the network is given once more what another run's was given.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from reflexd.config.load import load
from reflexd.config.settings import Settings
from reflexd.journal import Journal
from reflexd.wiring import build, open_network
from reflexd_models.base import Model, Prediction, View
from reflexd_models.runtime import runtime


class Noted:
    """The example's own network, and notes: the scaled picture of each wheel, its raw scores, and the number that was read."""

    def __init__(self, model: Any) -> None:
        self.labels = model.labels
        self.given_: list[Any] = []
        self.raw: list[Any] = []
        self.values: list[float] = []        # no number: nan
        self._model = model
        self._sight = model._sight

    def predict(self, view: View, taken_at: int) -> Prediction:
        told: Prediction = self._model.predict(view, taken_at)
        self.given_.append(self._sight.given(view))
        self.raw.append([self._sight.look(view, at).copy() for at in range(len(self._sight.regions))])
        self.values.append(float("nan") if told.value is None else told.value)
        return told

    def given(self, view: View) -> list[Any]:
        return list(self._model.given(view))

    def infer(self, picture: Any) -> Any:
        """Give the raw scores of a picture that was scaled before."""
        return self._sight.network.run(lambda tensor: self._sight._write(picture, tensor[0]))[0].copy()


def configured(example: Path, recording: Path, folder: Path) -> Settings:
    """Read the example, but at the network's pace, and with nothing too old for an emulated processor."""
    for file in example.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "conf.d").mkdir()
    camera = f'[camera.meter]\npath = "{recording.resolve()}"\npace = "fast"\nmax_age_ms = 60000\n'
    (folder / "conf.d" / "camera.toml").write_text(camera)
    return load(folder / "reflexd.toml").settings


def main(example: Path, recording: Path, frames: int, out: Path, other: Path | None) -> None:
    noted: list[Noted] = []

    def open_noted(*told: Any) -> Model:
        noted.append(Noted(open_network(*told)))
        return noted[-1]

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as nowhere:   # noqa: PTH123  a descriptor is wanted
        journal = Journal(nowhere.fileno())
        daemon = build(configured(example, recording, Path(folder)), journal, open_with=open_noted)
        status = daemon.run(frames=frames, seconds=600)
        journal.close(1)
    one = noted[0]
    notes = {"given": np.array(one.given_[:frames]), "raw": np.array(one.raw[:frames]), "values": np.array(one.values[:frames])}
    if other is not None:
        given = np.load(other)["given"]
        notes["raw_of_other"] = np.array([[one.infer(picture) for picture in pictures] for pictures in given])
    np.savez(out, machine=platform.machine(), runtime=runtime(), status=status, **notes)


if __name__ == "__main__":
    example, recording, frames, out, *other = sys.argv[1:]
    main(Path(example), Path(recording), int(frames), Path(out), Path(other[0]) if other else None)
