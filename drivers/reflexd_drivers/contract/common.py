"""The promises of every driver, whatever its kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any, ClassVar

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import ActuatorSettings, CameraSettings, DriverError, DriverSettings, Moves, SensorSettings
from reflexd_drivers.contract.scenario import Scenario
from reflexd_drivers.contract.traces import Traces, within

BASES: Mapping[registry.Kind, type[DriverSettings]] = {
    "camera": CameraSettings, "sensor": SensorSettings, "actuator": ActuatorSettings,
}
VENDORS = ("cv2", "gpiozero", "lgpio", "picamera2", "libcamera", "minimalmodbus", "pynmea2", "serial", "smbus2", "spidev", "usb")


def assert_well_said(error: DriverError) -> None:
    """Hold a message to one line `where: what, found; remedy`, in lower case and without a full stop."""
    text = str(error)
    where, _, rest = text.partition(": ")
    assert "\n" not in text, "it is one line"
    assert "Traceback" not in text
    assert where, "it says where"
    assert rest[:1].islower(), "what follows says what, in lower case"
    assert ";" in rest, "behind a semicolon it says what to do"
    assert text[-1] not in ".!", "it ends without a full stop"


def settle(device: Any) -> None:   # noqa: ANN401  any actuator
    """Bring a movement to its end, as its worker does."""
    while isinstance(device, Moves) and (due_s := device.advance()) is not None:
        sleep(due_s)


class Contract:
    """What is promised of each kind; a class of tests refines that of its kind and names its scenarios."""

    kind: ClassVar[registry.Kind]
    scenarios: ClassVar[Mapping[str, Callable[[Path], Scenario]]] = {}
    vendors: ClassVar[tuple[str, ...]] = VENDORS     # libraries that only connect() may import

    @pytest.fixture
    def case(self, driver_name: str, tmp_path: Path) -> Iterator[Scenario]:
        """Make the scenario, and take it away after the test."""
        made = self.scenarios[driver_name](tmp_path)
        yield made
        made.end()

    def use(self, case: Scenario, device: Any) -> None:   # noqa: ANN401
        """Have the device do what it is for, once.

        Raises: DriverError.
        """
        raise NotImplementedError

    def test_settings_refine_those_of_the_kind_and_explain_each_key(self, case: Scenario) -> None:
        settings = case.driver(self.kind).Settings
        assert issubclass(settings, BASES[self.kind])
        schema = settings.model_json_schema()
        unexplained = [key for key, value in schema["properties"].items() if not value.get("description")]
        assert unexplained == [], "each key has a description"
        assert schema["additionalProperties"] is False
        json.dumps(schema)

    def test_settings_are_made_of_what_a_configuration_can_say(self, case: Scenario) -> None:
        said = json.dumps(case.table, default=str)      # a path is text there, and a tuple a list
        made = case.driver(self.kind).Settings.model_validate_json(said, strict=True)
        assert made == case.driver(self.kind).Settings.model_validate(case.table)

    def test_settings_are_made_without_any_library_of_a_vendor(self, case: Scenario) -> None:
        settings = case.driver(self.kind).Settings
        code = ("import importlib, sys\n"
                f"importlib.import_module({settings.__module__!r}).{settings.__qualname__}.model_json_schema()\n"
                f"print([name for name in {self.vendors!r} if name in sys.modules])")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert done.stdout.strip() == "[]", "a configuration is checked where the library is not installed"

    def test_a_device_that_is_not_there_gives_one_line_that_says_what_to_do(self, case: Scenario) -> None:
        absent = case.absent
        if absent is None:
            within(case.connect_s, lambda: case.open(self.kind)).close()
            return
        with suppress(DriverError):      # what a library keeps for the whole process is there afterwards
            within(case.connect_s, lambda: case.connect(self.kind, absent))
        before = Traces()
        with pytest.raises(DriverError) as caught:
            within(case.connect_s, lambda: case.connect(self.kind, absent))
        assert_well_said(caught.value)
        del caught
        assert before.left() == set(), "an opening that failed leaves nothing"

    def test_opening_and_closing_are_bounded_and_a_second_close_does_nothing(self, case: Scenario) -> None:
        device = within(case.connect_s, lambda: case.open(self.kind))
        within(case.close_s, device.close)
        within(case.close_s, device.close)

    def test_it_starts_no_thread_and_leaves_nothing_open(self, case: Scenario) -> None:
        self.once(case)      # what a library keeps for the whole process is there now
        before = Traces()
        device = case.open(self.kind)
        self.use(case, device)
        threads = {name for name in before.new_threads() if not name.startswith(case.threads or ("\0",))}
        device.close()
        assert threads == set(), "a driver starts no thread; those of its library are named by the scenario"
        assert before.left() == set(), "descriptors and threads that stay"
        assert before.files <= Traces().files, "it closes nothing that is not its own"

    def test_a_device_can_be_opened_again_after_close(self, case: Scenario) -> None:
        for _ in range(3):
            self.once(case)

    def test_a_second_opening_is_refused_with_the_reason_or_works_and_the_first_works_on(self, case: Scenario) -> None:
        first = case.open(self.kind)
        try:
            self.use(case, first)
            refused = self.open_and_close(case)
            assert case.exclusive is None or case.exclusive is refused, "the scenario says whether a second opening is refused"
            self.use(case, first)
        finally:
            first.close()

    def open_and_close(self, case: Scenario) -> bool:
        """Open it, and close it again. Returns whether that was refused."""
        try:
            case.open(self.kind).close()
        except DriverError as error:
            assert_well_said(error)
            return True
        return False

    def test_a_device_that_goes_away_while_it_is_open_ends_in_an_error_and_leaves_nothing(self, case: Scenario) -> None:
        self.once(case)
        before = Traces()
        device = case.open(self.kind)
        self.use(case, device)
        case.vanish()
        if case.can_vanish:
            assert_well_said(self.failure(case, device))
        with suppress(DriverError):
            within(case.close_s, device.close)
        del device
        assert before.left() == set()

    def failure(self, case: Scenario, device: Any) -> DriverError:   # noqa: ANN401
        """Use a device that is gone until it says so; its silence alone says too little."""
        raise NotImplementedError

    def once(self, case: Scenario) -> None:
        """Open it, use it and close it."""
        device = case.open(self.kind)
        try:
            self.use(case, device)
        finally:
            device.close()
