"""Map the three source roots to their import packages; everything else is in pyproject.toml.

setuptools can only be told one root in pyproject.toml, and this project has three on purpose: what
knows hardware, what knows tensors and what knows neither are kept apart by their folders.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOTS = {"reflexd": "daemon", "reflexd_drivers": "drivers", "reflexd_models": "models"}
ZOO = "reflexd_models.zoo"
MANAGING = "reflexd_models.managing"      # the catalogue of public networks
SERVICE = "reflexd.systemd"     # for reflexctl install-service


def packages() -> dict[str, str]:
    """Give every package's folder, relative to this file."""
    found = {ZOO: "models/zoo", SERVICE: "systemd"}
    for top, root in ROOTS.items():
        names = [top, *(f"{top}.{name}" for name in find_namespace_packages(f"{root}/{top}"))]
        found |= {name: f"{root}/{name.replace('.', '/')}" for name in names if "__pycache__" not in name}
    return found


def zoo_files() -> list[str]:
    """List the shipped bundles' files, relative to the zoo."""
    zoo = Path(__file__).parent / "models" / "zoo"
    return [str(path.relative_to(zoo)) for path in zoo.rglob("*") if path.is_file() and path.suffix != ".py"]


FOLDERS = packages()
setup(
    packages=list(FOLDERS),
    package_dir=FOLDERS,
    package_data={ZOO: zoo_files(), SERVICE: ["*", "drop-ins/*"], MANAGING: ["*.toml"],
                  **{top: ["py.typed"] for top in ROOTS}},
)
