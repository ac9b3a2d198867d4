"""The generated vibration does what the physics that it states says."""

from dataclasses import replace

import numpy as np
import pytest

from training import vibration
from training.vibration import LABELS, RATE_HZ, Machine, Run

SECONDS = 4.0
PLAIN = Machine(      # nothing but an imbalance: no air, no misalignment, no rumble, a sensor without noise, mounted straight
    "plain", speed_hz=20.0, grade_mm_s=5.0, rotor_share=0.4, natural_hz=np.array([3.0, 3.0, 3.0]), damping=np.full(3, 0.2),
    axial=0.0, blades=5, blade_force=0.0, misalignment=0.0, rumble=0.0, noise_g=0.0, turned=np.eye(3), offset_g=np.zeros(3))
STRANGER = vibration.draw_machine("stranger", np.random.default_rng(3))
RUNS = {
    "normal": Run(PLAIN, "normal", 1.0),
    "twice": Run(replace(PLAIN, grade_mm_s=10.0), "normal", 1.0),
    "slow": Run(PLAIN, "normal", 0.6),
    "soft": Run(replace(PLAIN, natural_hz=np.array([3.0, 12.0, 3.0])), "normal", 1.0),
    "loose": Run(PLAIN, "loose", 1.0, held=0.3, stop_hz=80.0),
    "weight": Run(STRANGER, "unbalance", 0.9, grade_mm_s=60.0),
    "off": Run(STRANGER, "off", 0.0),
    "turned": Run(replace(PLAIN, turned=STRANGER.turned), "normal", 1.0),
    "blades": Run(replace(PLAIN, blades=2, blade_force=0.2), "normal", 0.8),
}


@pytest.fixture(scope="module")
def recorded():
    given = vibration.record(list(RUNS.values()), SECONDS, seed=4)
    return dict(zip(RUNS, given.astype(np.float64), strict=True))


def spectrum(recording):
    """Give frequencies and the amplitude of each, in g: (bins, 3)."""
    taper = np.hanning(len(recording))[:, None]
    lines = np.abs(np.fft.rfft(taper * (recording - recording.mean(0)), axis=0))
    return np.fft.rfftfreq(len(recording), 1 / RATE_HZ), 2 * lines / taper.sum()


def strength(recording, hertz, width=2.0):
    """Give the amplitude near a frequency on each axis, over all that drift and Hann's taper (by 1.5) spread it."""
    at, amplitude = spectrum(recording)
    return np.sqrt((amplitude[np.abs(at - hertz) <= width] ** 2).sum(0) / 1.5)


def total(recording, hertz, width=2.0):
    """Give the amplitude near a frequency over all axes."""
    return float(np.linalg.norm(strength(recording, hertz, width)))


def swing(recording):
    """Give the largest distance from the mean, on the axis that has it."""
    return float(np.abs(recording - recording.mean(0)).max())


def loudest(recording):
    at, amplitude = spectrum(recording)
    return float(at[amplitude.max(1).argmax()])


@pytest.mark.parametrize("name", ["normal", "slow", "weight"])
def test_the_loudest_line_is_the_speed_of_rotation(recorded, name):
    run = RUNS[name]
    assert loudest(recorded[name]) == pytest.approx(run.machine.speed_hz * run.speed, rel=0.03)      # it drifts a little


@pytest.mark.parametrize("name", ["normal", "twice", "slow", "soft"])
def test_its_strength_is_that_of_a_mass_on_a_spring(recorded, name):
    run = RUNS[name]
    w, wn, zeta = 2 * np.pi * 20.0 * run.speed, 2 * np.pi * run.machine.natural_hz[:2], run.machine.damping[:2]
    push = run.machine.rotor_share * run.machine.grade_mm_s / 1000 * 2 * np.pi * 20.0 * run.speed**2      # mu e w^2
    wanted = push * w**2 / np.hypot(wn**2 - w**2, 2 * zeta * wn * w) / vibration.G
    assert strength(recorded[name], 20.0 * run.speed)[:2] == pytest.approx(wanted, rel=0.06)


def test_twice_the_weight_shakes_twice_as_much(recorded):
    assert total(recorded["twice"], 20) == pytest.approx(2 * total(recorded["normal"], 20), rel=0.05)


def test_above_its_resonance_a_slower_rotor_shakes_with_the_square_of_its_speed(recorded):
    assert total(recorded["slow"], 12) == pytest.approx(0.36 * total(recorded["normal"], 20), rel=0.1)


def test_a_loose_foot_has_harmonics_that_a_tight_one_has_not(recorded):
    assert total(recorded["loose"], 40) > 10 * total(recorded["normal"], 40)
    assert swing(recorded["loose"]) > 1.5 * swing(recorded["normal"])


def test_blades_are_heard_at_their_number_times_the_speed(recorded):
    assert total(recorded["slow"], 24) < 0.001
    assert strength(recorded["blades"], 32)[2] == pytest.approx(0.2 * 0.64 / vibration.G, rel=0.1)


def test_what_is_off_has_noise_and_gravity_alone(recorded):
    away = recorded["off"] - recorded["off"].mean(0)
    assert away.std() == pytest.approx(np.hypot(STRANGER.noise_g, 0.004 / vibration.G), rel=0.25)
    assert np.linalg.norm(recorded["off"].mean(0) - STRANGER.offset_g) == pytest.approx(1.0, abs=0.002)


def test_how_the_sensor_is_mounted_changes_nothing_but_the_axes(recorded):
    assert total(recorded["turned"], 20) == pytest.approx(total(recorded["normal"], 20), rel=0.05)
    assert np.linalg.norm(recorded["turned"].mean(0)) == pytest.approx(1.0, abs=0.002)
    up = recorded["turned"].mean(0) @ STRANGER.turned         # back to the machine's axes, where x points down
    assert up == pytest.approx([-1, 0, 0], abs=0.005)
    assert np.linalg.det(STRANGER.turned) == pytest.approx(1)
    assert STRANGER.turned @ STRANGER.turned.T == pytest.approx(np.eye(3), abs=1e-9)


def test_the_sensor_has_a_low_pass_before_it_thins_out():
    taps = vibration._taps()
    turn = -2j * np.pi / vibration.STEPS_HZ * np.arange(taps.size)
    gain = [abs(np.sum(taps * np.exp(turn * hertz))) for hertz in (20, 42, 60, 80)]
    assert gain == pytest.approx([1, 0.5, 0, 0], abs=0.02)


def test_the_same_seed_gives_the_same_and_another_seed_strangers():
    first, again, other = (vibration.dataset(vibration.draw_machines(1, seed), 1.5, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first.x, other.x)
    assert set(first.group).isdisjoint(other.group)
    assert first.x.shape == (12 * 2, vibration.LENGTH, 3)
    assert first.x.dtype == np.float32
    assert np.bincount(first.y).tolist() == [6] * len(LABELS)
