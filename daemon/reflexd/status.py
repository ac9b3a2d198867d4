"""What a running daemon says of itself: to reflexctl status, and to whoever wants to aim a camera."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns

from reflexd import __version__
from reflexd.config.messages import suggest
from reflexd.config.settings import Settings
from reflexd.evidence.evidence import Evidence
from reflexd.health import Described
from reflexd.history.writer import Writer
from reflexd.jobs import CameraJob, ModelJob, SensorJob
from reflexd.journal import Journal
from reflexd.loop import Loop
from reflexd.output import Output, level_text
from reflexd.parts import Parts
from reflexd.rules.asked import asks_time
from reflexd.rules.rule import Rule
from reflexd.rules.scores import Score
from reflexd.rules.sources import Source
from reflexd.rules.telling import hits_of, stopper
from reflexd.series import SeriesJob
from reflexd.trace import Chunk
from reflexd_models.runtime import runtime

Report = dict[str, object]


class Observer:
    """Looks at every part; called by the main thread between two cycles, so nothing moves meanwhile."""

    def __init__(self, loop: Loop, parts: Parts, journal: Journal, history: Writer, evidence: Evidence) -> None:
        self.loop = loop
        self.history = history
        self.evidence = evidence
        self.cameras = parts.cameras
        self.models = parts.models
        self._sensors = parts.sensors
        self._journal = journal
        self._started = monotonic_ns()
        self.boot = history.run.boot                       # of the machine: its times count from there
        self.run = f"{os.getpid()}-{self._started}"        # tells this process from another after it

    @property
    def settings(self) -> Settings:
        """What the daemon works by now."""
        return self.loop.stage.settings

    def __call__(self) -> Report:
        """Describe everything; times of the far past are ages in milliseconds."""
        now = monotonic_ns()
        states = self.loop.monitor.states(now)
        outputs = self.loop.outputs
        return {
            "version": __version__,
            "pid": os.getpid(),
            "state": self._state(states),
            "uptime_s": round((now - self._started) / 1e9, 3),
            "runtime": runtime(),
            "dry_run": outputs.dry_run,
            "decided": self.loop.decided,
            "cameras": {name: self._camera(name, job, states) for name, job in self.cameras.items()},
            "models": {name: self._model(name, job, states, now) for name, job in self.models.items()},
            "sensors": {name: self._sensor(name, job, states, now) for name, job in self._sensors.items()},
            "rules": {rule.name: _rule(rule, now) for rule in self.loop.stage.rules},
            "outputs": {output.name: _output(output, now) | {"hindrance": outputs.hindrance(output, now)}
                        for output in outputs.outputs.values()},
            "inhibited": dict(outputs.inhibited),
            "clock": self._clock(),
            "latency_ms": {
                "frame_to_decision": self.loop.to_decision.percentiles_ms(),
                "frame_to_pin": self.loop.to_pin.percentiles_ms(),
            },
            "log_lines_dropped": self._journal.dropped,
            "events": self.history.report(),
            "evidence": self.evidence.report(),
        }

    def trace(self, number: int | None, since_s: float) -> tuple[Chunk, dict[str, str]]:
        """Give some of what was decided on, and the hashes of the networks that speak."""
        kept = self.loop.trace
        chunk = kept.since(monotonic_ns() - round(since_s * 1e9)) if number is None else kept.following(number)
        return chunk, {name: job.held.origin.sha256 for name, job in self.models.items() if job.held.origin}

    def one(self, wanted: str) -> Report | str:
        """Describe one source, "button" or "sensor.button"; or say that there is none of that name."""
        now = monotonic_ns()
        states = self.loop.monitor.states(now)
        kinds: dict[str, Callable[[str], Report]] = {
            "sensor": lambda name: self._sensor(name, self._sensors[name], states, now),
            "model": lambda name: self._model(name, self.models[name], states, now),
            "camera": lambda name: self._camera(name, self.cameras[name], states),
        }
        jobs: dict[str, Mapping[str, object]] = {"sensor": self._sensors, "model": self.models, "camera": self.cameras}
        known = [f"{kind}.{name}" for kind in kinds for name in jobs[kind]]
        found = [one for one in known if wanted in (one, one.partition(".")[2])]
        if not found:
            names = known if "." in wanted else [one.partition(".")[2] for one in known]
            return f'nothing is called "{wanted}"; {suggest(wanted, names, "the configuration has no sensor")}'
        kind, _, name = found[0].partition(".")
        return {"source": found[0], **kinds[kind](name)}

    def _clock(self) -> Report | None:
        """Describe the wall clock; None while no rule asks for the time of day."""
        clock = self.loop.clock
        return {"synchronised": clock.known, "why": clock.why} if asks_time(self.settings) else None

    def _state(self, states: Mapping[str, Described]) -> str:
        if self.loop.outputs.inhibited:
            return "SAFE"
        return "RUN" if all(one["state"] == "run" for one in states.values()) else "DEGRADED"

    def _camera(self, name: str, job: CameraJob, states: Mapping[str, Described]) -> Report:
        told = states[f"camera.{name}"]
        known = job.looking.state if told["state"] == "run" or job.looking.state == "frozen" else None
        return {**told, "frames": job.frames, "gaps": job.gaps, "picture": known or "not known", **job.counts.total()}

    def _model(self, name: str, job: ModelJob | SeriesJob, states: Mapping[str, Described], now: int) -> Report:
        source = self.loop.stage.sources[f"model.{name}"]
        return {
            **states[f"model.{name}"],
            **(_of_window(self.settings.model[name].sensors, job) if isinstance(job, SeriesJob) else
               {"camera": self.settings.model[name].camera, "frames_dropped": job.frames_dropped,
                "frames_unread": job.frames_unread}),
            "bundle": self.settings.model[name].bundle,
            "sha256": job.held.origin.sha256 if job.held.origin else None,
            "predictions": job.predictions,
            "predictions_dropped": job.predictions_dropped,
            "resting": job.resting,
            "latency_ms": job.spans.percentiles_ms(),
            "tracks": len(source.tracks),
            **_source(source, now),
            "scores": {label: round(score, 4) for label, score in source.scores.items()},
        }

    def _sensor(self, name: str, job: SensorJob, states: Mapping[str, Described], now: int) -> Report:
        source = self.loop.stage.sources[f"sensor.{name}"]
        return {**states[f"sensor.{name}"], "readings": job.readings, **job.counts.total(),
                **_source(source, now)}


def _of_window(sensors: Sequence[str], job: SeriesJob) -> Report:
    windows = job.windows
    return {
        "sensors": list(sensors),
        "window": {"filled": windows.filled, "length": windows.plan.length, "gaps": windows.gaps, "last_gap": windows.trouble,
                   "skipped": windows.skipped},
        "readings_dropped": job.readings_dropped,
    }


def _source(source: Source, now: int) -> Report:
    return {
        "value": source.value,
        "unknown": source.unusable(now) or (source.trouble if source.value is None else ""),
        "age_ms": None if source.taken_at < 0 else round((now - source.taken_at) / 1e6, 1),
        "late": source.late,
        "rises": source.rises,
        "falls": source.falls,
    }


def _rule(rule: Rule, now: int) -> Report:
    held = rule.held_back(now)
    return {
        "truth": rule.truth,
        "reasons": [str(one) for one in rule.verdicts],
        "conditions": [
            {"what": one.what, "truth": one.truth, "observed": one.observed, "margin": one.margin, "unit": one.unit,
             "note": one.note, "hits": None if one.truth is None else hits_of(test, now),
             "needed": core.needed if isinstance(core := test.parts[-1], Score) else None}
            for test, one in zip(rule.tests, rule.verdicts, strict=False)],      # none before the first decision
        "first": stopper(rule.verdicts, rule.settings),
        "rests": str(held or ""),
        "acts": bool(rule.acting(now)),
        **({} if rule.due is None else {"acts_in_s": round(max(rule.due - now, 0) / 1e9, 1)}),
    }


def _output(output: Output, now: int) -> Report:
    since = max(output.active_since, output.rested_since)
    return {
        "level": level_text(output.level),
        "active": output.active,
        "safe": level_text(output.settings.safe),
        "why": output.why,
        "since_s": None if since < 0 else round((now - since) / 1e9, 3),
        "changes": output.changes,
        "claimed_by": sorted(output.claims),
    }
