"""Vibration of fans and motors on rubber feet, as a 3-axis accelerometer on the frame tells it: generated from physics.

The frame is a mass on a spring in each of three directions, driven by its rotor (z along the shaft, which
lies; x down, y across):

    x'' = f(t) - 2 zeta wn x' - wn^2 x - stop(x, x')

    f(t) = mu e w^2 cos(theta)                        imbalance: rotor's share of the mass, eccentricity, speed
         + (w/w0)^2 (two cos(2 theta) + blades cos(B theta))    misalignment, and each blade's push of air
         + rumble                                     the bearings' broadband force, and the building's
    theta' = w(t)                                     the speed drifts, so no line of the spectrum stands still

Eccentricity is told as a balance quality grade G = e w0, in mm/s at full speed. A weight on a blade adds an eccentricity in
its own direction. With a loose foot the frame lies on a stiff one-sided stop, held down by less than what shakes it: it is
thrown up and falls back, once a turn, every second turn or without order, which gives the harmonics and half harmonics that
looseness is known by.
The sensor adds its low-pass, its orientation, gravity, offset, noise and steps. Only numpy; the same seed gives the same
numbers. Values are in g, time in seconds, speeds in Hz.

Source: imbalance and the mass on a spring: S. S. Rao, Mechanical Vibrations, "rotating unbalance"; grades G2.5 and G6.3 for
fans: ISO 21940-11; the impact oscillator: S. W. Shaw and P. J. Holmes, J. Sound Vib. 90 (1983) 129; signs of looseness and
imbalance: ISO 13373-1 annexes; noise density and low-pass of the sensor: data sheets of LSM6DSO to LIS3DH (70 to
220 ug/sqrt(Hz), bandwidth at most half the output rate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LABELS = ("off", "normal", "unbalance", "loose")
CHANNELS = ("x", "y", "z")
RATE_HZ = 100
LENGTH = 100                   # samples in a window: one second
HOP = 50
G = 9.80665                    # m/s^2

STEPS_HZ = 2000                # of the integration: a stop rings at up to 120 Hz, so 16 steps a period at least
SETTLE_S = 3.0                 # until the start is forgotten: exp(-zeta wn t) < .02
LOWPASS_HZ = 42                # half height of the sensor's filter
BLOCK = 10                     # machines at a time: some 50 MB
SPEEDS = (0.7, 0.85, 1.0)      # low, medium, full

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Machine:
    """A fan or motor with its sensor: what stays the same over all its recordings."""

    name: str
    speed_hz: float            # at full speed
    grade_mm_s: float          # G = e w0, as it was balanced
    rotor_share: float         # mu: the rotor's share of the mass that swings
    natural_hz: Floats         # of the frame on its feet, in x, y, z
    damping: Floats            # zeta, of each
    axial: float               # how much of a radial force goes along the shaft
    blades: int
    blade_force: float         # m/s^2 at full speed
    misalignment: float        # m/s^2 at full speed, twice a turn
    rumble: float              # m/s^2 rms at full speed, broadband
    noise_g: float             # the sensor's, rms of a sample
    turned: Floats             # (3, 3): machine axes to sensor axes
    offset_g: Floats           # (3,)


class Run(NamedTuple):
    """One recording that is wanted: a machine in a condition at a speed."""

    machine: Machine
    label: str
    speed: float               # share of full speed; nothing turns while it is off
    grade_mm_s: float = 0.0    # of the weight on a blade, with its own direction
    held: float = 0.0          # what holds a loose foot down, as a share of what the imbalance shakes it with
    stop_hz: float = 0.0       # natural frequency of the frame against the stop; 0: no foot is loose
    drift: float = 0.0         # change of speed a second, as a share


class Windows(NamedTuple):
    """Labelled windows."""

    x: NDArray[np.float32]     # (n, LENGTH, 3) in g
    y: NDArray[np.int64]       # index in LABELS
    group: NDArray[np.str_]    # the machine's name: splits are by machine, never by window


def draw_machine(name: str, rng: np.random.Generator) -> Machine:
    """Draw a machine as workshops and homes have them: 840 to 1500 turns a minute, on rubber feet, sensor in any position."""
    speed = rng.uniform(14, 25)
    return Machine(
        name, speed,
        grade_mm_s=rng.uniform(2.5, 6.3), rotor_share=rng.uniform(0.3, 0.5),
        natural_hz=rng.uniform(2.5, 4.0, 3), damping=rng.uniform(0.1, 0.25, 3), axial=rng.uniform(0.05, 0.3),
        blades=int(rng.integers(3, 8)), blade_force=rng.uniform(0.02, 0.15), misalignment=rng.uniform(0.01, 0.06),
        rumble=rng.uniform(0.02, 0.08), noise_g=rng.uniform(0.0005, 0.0018), turned=_orientation(rng),
        offset_g=rng.normal(0, 0.02, 3),
    )


def draw_machines(count: int, seed: int) -> list[Machine]:
    """Draw that many machines; another seed gives strangers."""
    rng = np.random.default_rng(seed)
    return [draw_machine(f"machine {seed}-{number}", rng) for number in range(count)]


def draw_run(machine: Machine, label: str, speed: float, rng: np.random.Generator) -> Run:
    """Draw how strong a fault is.

    A weight on a blade has a grade of 30 to 100 mm/s (up to 6.3 is in order), a loose foot is held by .1 to .4 of its shaking.
    """
    drift = rng.normal(0, 0.01)
    if label == "unbalance":
        return Run(machine, label, speed, grade_mm_s=rng.uniform(30, 100), drift=drift)
    if label == "loose":
        return Run(machine, label, speed, held=rng.uniform(0.1, 0.4), stop_hz=rng.uniform(60, 100), drift=drift)
    return Run(machine, label, speed if label != "off" else 0.0, drift=drift)


def record(runs: Sequence[Run], seconds: float, seed: int) -> NDArray[np.float32]:
    """Let all runs happen and measure them: float32 (runs, seconds * RATE_HZ, 3), in g."""
    rng = np.random.default_rng(seed)
    settle, half = round(SETTLE_S * STEPS_HZ), _taps().size // 2
    swing = _integrate(runs, settle + round(seconds * STEPS_HZ) + half, rng)[settle - half:]
    thinned = np.lib.stride_tricks.sliding_window_view(swing, 2 * half + 1, axis=0)[:: STEPS_HZ // RATE_HZ]
    felt = (thinned @ _taps()).transpose(1, 0, 2) / G                     # runs, samples, machine axes
    turned = np.stack([run.machine.turned for run in runs])
    up = np.array([-1.0, 0.0, 0.0])                                       # at rest a sensor feels what holds it against gravity
    given = (felt + up) @ turned.transpose(0, 2, 1)
    noise = np.stack([run.machine.noise_g for run in runs])[:, None, None] * rng.standard_normal(given.shape)
    offset = np.stack([run.machine.offset_g for run in runs])[:, None, :]
    step = 4.0 / 2**14                                                    # 14 bits for -2 to 2 g
    return (np.clip(np.rint((given + offset + noise) / step), -(2**13), 2**13 - 1) * step).astype(np.float32)


def windows(recording: NDArray[np.float32], hop: int = HOP) -> NDArray[np.float32]:
    """Cut a recording (samples, 3) into windows (n, LENGTH, 3)."""
    cut = np.lib.stride_tricks.sliding_window_view(recording, LENGTH, axis=0)[::hop]
    return np.ascontiguousarray(cut.transpose(0, 2, 1))


def dataset(machines: Sequence[Machine], seconds: float, seed: int) -> Windows:
    """Record each machine off and, at each of its speeds, normal, with a weight on a blade and with a loose foot."""
    blocks = [machines[first : first + BLOCK] for first in range(0, len(machines), BLOCK)]
    seeds = np.random.SeedSequence(seed).generate_state(2 * len(blocks)).reshape(-1, 2).tolist()
    parts = [_block(block, seconds, *pair) for block, pair in zip(blocks, seeds, strict=True)]
    return Windows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _block(machines: Sequence[Machine], seconds: float, seed: int, record_seed: int) -> Windows:
    rng = np.random.default_rng(seed)
    runs = [draw_run(machine, label, speed, rng) for machine in machines for label in LABELS for speed in SPEEDS]
    cut = [windows(one) for one in record(runs, seconds, record_seed)]
    truth = np.repeat([LABELS.index(run.label) for run in runs], len(cut[0]))
    return Windows(np.concatenate(cut), truth.astype(np.int64), np.repeat([run.machine.name for run in runs], len(cut[0])))


def _integrate(runs: Sequence[Run], steps: int, rng: np.random.Generator) -> Floats:
    """Give the frame's acceleration (steps, runs, 3) in m/s^2, by semi-implicit Euler with implicit damping."""
    dt, frame = 1 / STEPS_HZ, [run.machine for run in runs]
    stiff = (2 * np.pi * np.stack([one.natural_hz for one in frame])) ** 2
    damp = 2 * np.stack([one.damping for one in frame]) * np.sqrt(stiff)
    stop, held = _stops(runs)
    push = _forces(runs, steps, rng)
    x, v = np.zeros_like(stiff), np.zeros_like(stiff)
    for force in push:                                                    # in place: what pushed becomes what is felt
        into = np.maximum(x, 0.0)
        lossy = damp + (into > 0) * 0.1 * np.sqrt(stop)                   # a knock loses a tenth of its speed or so
        faster = (v + dt * (force + held - stiff * x - stop * into)) / (1 + dt * lossy)
        force[:] = (faster - v) / dt
        v = faster
        x = x + dt * v
    return push


def _forces(runs: Sequence[Run], steps: int, rng: np.random.Generator) -> Floats:
    """Give what pushes the frame (steps, runs, 3), in m/s^2."""
    frame, count = [run.machine for run in runs], len(runs)
    speed, angle = _turning(runs, steps, rng)                             # (steps, runs): share of full speed, radians

    def of(name: str) -> Floats:
        return np.array([getattr(one, name) for one in frame], np.float64)

    weight = np.array([run.grade_mm_s for run in runs]) * np.exp(1j * rng.uniform(0, 2 * np.pi, count))
    grade = np.abs(of("grade_mm_s") + weight)                             # eccentricities add as vectors
    rotating = np.array([_rotating(one, mm_s) for one, mm_s in zip(frame, grade, strict=True)]) * speed**2
    own, second, third = rng.uniform(0, 2 * np.pi, (3, count))
    twice = of("misalignment") * speed**2 * np.cos(2 * angle + second)
    air = of("blade_force") * speed**2 * np.cos(of("blades") * angle + third)
    push = np.empty((steps, count, 3))
    push[:, :, 0] = rotating * np.cos(angle + own) + twice
    push[:, :, 1] = rotating * np.sin(angle + own) + 0.5 * twice + 0.5 * air
    push[:, :, 2] = of("axial") * push[:, :, 0] + air
    still = 0.004                                                         # m/s^2 rms: 0.4 mg of the building, always
    strength = np.hypot(of("rumble") * speed, still)[:, :, None]
    return push + strength * _below(rng.standard_normal(push.shape))


def _turning(runs: Sequence[Run], steps: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Give each moment's speed, as a share of full speed, and the angle that was turned: (steps, runs) each."""
    time = np.arange(steps) / STEPS_HZ - SETTLE_S
    share, drift = np.array([run.speed for run in runs]), np.array([run.drift for run in runs])
    slow = np.cumsum(rng.standard_normal((steps, len(runs))), axis=0) * 0.004 / np.sqrt(STEPS_HZ)     # 0.4 % in a second
    speed = share * np.clip(1 + drift * time[:, None] + slow, 0.8, 1.2)
    turned = np.cumsum(speed * np.array([run.machine.speed_hz for run in runs]), axis=0) * 2 * np.pi / STEPS_HZ
    return speed, turned


def _stops(runs: Sequence[Run]) -> tuple[Floats, Floats]:
    """Give stiffness per mass of each direction's stop, and what presses on it in m/s^2: (runs, 3); only x has one."""
    stop = (2 * np.pi * np.array([run.stop_hz for run in runs])) ** 2
    shaking = np.array([_rotating(run.machine, run.machine.grade_mm_s) * run.speed**2 for run in runs])
    held = np.array([run.held for run in runs]) * shaking
    down = np.array([1.0, 0.0, 0.0])
    return np.outer(stop, down), np.outer(held, down)


def _rotating(machine: Machine, grade_mm_s: float) -> float:
    """Give what an imbalance pushes with at full speed, in m/s^2: mu e w0^2 = mu G w0."""
    return machine.rotor_share * grade_mm_s / 1000 * 2 * np.pi * machine.speed_hz


def _below(white: Floats) -> Floats:
    """Take the upper part from white noise over the first axis, and keep its rms: what bearings push is below 100 Hz here."""
    width = STEPS_HZ // 200
    summed = np.cumsum(np.concatenate([np.zeros((width, *white.shape[1:])), white]), axis=0)
    return (summed[width:] - summed[:-width]) / np.sqrt(width)


def _taps() -> Floats:
    """Give the sensor's low-pass before it thins out: a windowed sinc, half height at LOWPASS_HZ."""
    at = np.arange(-STEPS_HZ // 20, STEPS_HZ // 20 + 1)
    taps = np.sinc(2 * LOWPASS_HZ / STEPS_HZ * at) * np.hamming(at.size)
    return taps / taps.sum()


def _orientation(rng: np.random.Generator) -> Floats:
    """Draw any orientation, all alike likely: the QR decomposition of random numbers. Source: Mezzadri, Notices AMS 54 (2007)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
