"""In the guest, within picamera2: what lets it work on vimc, the kernel's simulated camera, without a Raspberry Pi's archive."""

import importlib.machinery
import sys
import types

UNUSED = ("PIL", "av", "pidng", "piexif", "prctl", "pykms", "simplejpeg")     # for previews, recordings and files


class Unused:
    """Anything of a module that is not there: it can be named, and fails when it is used."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Unused()

    def __call__(self, *_args, **_options):
        raise RuntimeError("this part of picamera2 is left out of the lab")


class Finder:
    """Finds the modules that are left out."""

    @staticmethod
    def find_spec(name, _path=None, _target=None):
        if name.split(".")[0] in UNUSED:
            return importlib.machinery.ModuleSpec(name, Finder, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = Unused().__getattr__
        return module

    @staticmethod
    def exec_module(_module):
        """Nothing."""


def apply(camera_class):
    """Give vimc's sensor, which has no raw stream, a mode to choose."""
    original = camera_class._get_raw_modes      # noqa: SLF001  what is replaced is its own affair

    def modes(self):
        try:
            found = original(self)
        except (AttributeError, IndexError):
            found = []
        return found or [{"format": "SBGGR8", "size": (640, 480)}]

    camera_class._get_raw_modes = modes      # noqa: SLF001


sys.meta_path.append(Finder)      # the last one: what is there is taken
