"""The contract itself: a driver that keeps it passes, and each promise is broken by a driver with one defect."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from reflexd_drivers.contract import ActuatorContract, CameraContract, Contract, SensorContract

from .defects import DEFECTS, SOUND, Camera, Case, ClosesTwice, Device

CONTRACTS: dict[str, type[Contract]] = {"camera": CameraContract, "sensor": SensorContract, "actuator": ActuatorContract}
IN_A_PROCESS_OF_ITS_OWN = "test_settings_are_made_without_any_library_of_a_vendor"    # it needs a module that can be imported


def kind_of(driver: type[Device]) -> str:
    return next(kind for kind, sound in SOUND.items() if issubclass(driver, sound))


def promises(contract: type[Contract]) -> list[str]:
    return [name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test_")]


@contextmanager
def made(driver: type[Device]) -> Iterator[Case]:
    case = Case(driver)
    try:
        yield case
    finally:
        case.end()


def keep(driver: type[Device], promise: str, **values: Any) -> None:
    """Hold a driver to a promise."""
    contract: Any = CONTRACTS[kind_of(driver)]()
    check = getattr(contract, promise)
    for safe in ("off", "on") if "safe" in inspect.signature(check).parameters else ("",):
        with made(driver) as case:
            for name, value in values.items():
                setattr(case.world, name, value)
            check(case, safe) if safe else check(case)


@pytest.mark.parametrize(("kind", "promise"), [(kind, promise) for kind in SOUND for promise in promises(CONTRACTS[kind])
                                               if promise != IN_A_PROCESS_OF_ITS_OWN])
def test_a_sound_driver_keeps_each_promise(kind: str, promise: str) -> None:
    keep(SOUND[kind], promise)


@pytest.mark.parametrize(("driver", "promise"), DEFECTS, ids=lambda one: one if isinstance(one, str) else one.__name__)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")    # a driver that broke in a thread
def test_a_driver_with_a_defect_breaks_its_promise(driver: type[Device], promise: str) -> None:
    other = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(BaseException) as caught:    # noqa: PT011  whatever a driver may raise
            keep(driver, promise, **({"other": other} if driver is ClosesTwice else {}))
        assert not isinstance(caught.value, (KeyboardInterrupt, SystemExit, TypeError, NameError)), "the test itself is wrong"
    finally:
        with suppress(OSError):
            os.close(other)


def test_every_promise_has_a_driver_that_breaks_it() -> None:
    broken = {(kind_of(driver), promise) for driver, promise in DEFECTS}
    all_of_them = {promise for contract in CONTRACTS.values() for promise in promises(contract)}
    assert {promise for _, promise in broken} == all_of_them - {IN_A_PROCESS_OF_ITS_OWN}


def test_a_driver_that_imports_a_library_of_a_vendor_at_its_top_breaks_that_promise(tmp_path: Path) -> None:
    contract = CameraContract()
    with made(Camera) as case:
        contract.vendors = ("numpy",)     # which tests.drivers.defects does import
        with pytest.raises(AssertionError):
            contract.test_settings_are_made_without_any_library_of_a_vendor(case)
        contract.vendors = ("pymodbus",)
        contract.test_settings_are_made_without_any_library_of_a_vendor(case)
