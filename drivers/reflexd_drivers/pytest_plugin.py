"""The pytest plugin: a test of each promise for each scenario, with asserts that tell what they compared.

pytest loads it in every run where reflexd is installed, so it imports nothing but pytest and looks only at classes that
have scenarios. It stands outside of the contract's folder, which would be imported with it, before its asserts are rewritten.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("reflexd_drivers.contract.common", "reflexd_drivers.contract.sources",
                               "reflexd_drivers.contract.actuators", "reflexd_drivers.contract.traces")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each promise of a contract the name of each scenario in turn."""
    scenarios = getattr(metafunc.cls, "scenarios", None)
    if "driver_name" in metafunc.fixturenames and scenarios is not None:
        metafunc.parametrize("driver_name", sorted(scenarios))
