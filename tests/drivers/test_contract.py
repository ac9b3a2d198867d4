"""One contract for every registered driver: that which ships, as everybody gets it. A driver without a scenario fails here."""

from __future__ import annotations

from reflexd_drivers import registry
from reflexd_drivers.contract import ActuatorContract, CameraContract, SensorContract

from .scenarios import SCENARIOS


def of(kind: registry.Kind) -> dict:
    return {name: SCENARIOS[name] for name in registry.DRIVERS[kind] if name in SCENARIOS}


class TestCameras(CameraContract):
    scenarios = of("camera")


class TestSensors(SensorContract):
    scenarios = of("sensor")


class TestActuators(ActuatorContract):
    scenarios = of("actuator")


def test_every_driver_has_a_scenario() -> None:
    registered = {name for drivers in registry.DRIVERS.values() for name in drivers}
    assert registered == SCENARIOS.keys(), "see tests/drivers/scenarios.py"
