"""What every driver promises, as tests: for the drivers of this project and for those of anybody else.

The author of a driver writes a Scenario, which opens the driver without hardware, and a class of two lines that names it:

    class TestHygrometer(SensorContract):
        scenarios = {"hygrometer": hygrometer}

pytest then runs every promise of its kind over it. The plugin `reflexd` makes a test of each scenario; pytest loads it
wherever reflexd is installed, and nothing of the daemon does.
"""

from reflexd_drivers.contract.actuators import ActuatorContract
from reflexd_drivers.contract.common import Contract
from reflexd_drivers.contract.scenario import Scenario
from reflexd_drivers.contract.sources import CameraContract, SensorContract

__all__ = ["ActuatorContract", "CameraContract", "Contract", "Scenario", "SensorContract"]
