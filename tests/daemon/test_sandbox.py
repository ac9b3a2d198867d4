"""A device that the sandbox refuses names what would allow it."""

from __future__ import annotations

import pytest

from reflexd.sandbox import explained
from reflexd_drivers.base import DriverError


def refused() -> DriverError:
    try:
        try:
            raise PermissionError(1, "Operation not permitted", "/dev/video9")
        except PermissionError as error:
            raise DriverError("/dev/video9: cannot be opened") from error
    except DriverError as error:
        return error


def test_under_systemd_a_refused_device_names_its_drop_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOCATION_ID", "1")
    assert explained(refused()).endswith("systemctl edit reflexd, then [Service] DeviceAllow=/dev/video9 rw")


def test_elsewhere_an_error_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert explained(refused()) == "/dev/video9: cannot be opened"
    monkeypatch.setenv("INVOCATION_ID", "1")
    assert explained(DriverError("gone")) == "gone"
