"""A sensor of a third party that tries what the sandbox has to refuse, and leaves what came of it: in the guest only."""

import json
import os
import socket
import time
from pathlib import Path

from reflexd_drivers.base import Reading, SensorSettings

TOLD = Path("/run/reflexd/probe.json")


def tried(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return "allowed"


def probe():
    return {
        "internet": tried(lambda: socket.socket(socket.AF_INET)),
        "internet, version 6": tried(lambda: socket.socket(socket.AF_INET6)),
        "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "configuration": tried(lambda: Path("/etc/open-to-all/file").write_text("")),
        "foreign device": tried(lambda: os.open("/dev/hwrng", os.O_RDONLY)),
    }


class Settings(SensorSettings):
    """Nothing but what every sensor has."""


class Probe:
    """A sensor that is always false."""

    def read(self, timeout_s):
        time.sleep(timeout_s)
        return Reading(False, time.monotonic_ns(), 0, 0, 0)

    def close(self):
        """Nothing is open."""


def connect(settings):
    TOLD.write_text(json.dumps(probe()))
    return Probe()
