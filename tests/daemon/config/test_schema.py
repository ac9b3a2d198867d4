"""The schema and the documentation are those of the settings, and checking needs neither hardware nor its libraries."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import jsonschema
import pytest

from reflexd.config.schema import replace_keys, schema
from reflexd.ctl.__main__ import main
from tests.daemon.config.broken import BASE


@pytest.fixture(scope="module")
def validator():
    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole)


def test_the_shipped_example_is_accepted(root, validator):
    path = root / "docs" / "examples" / "meter" / "reflexd.toml"
    assert list(validator.iter_errors(tomllib.loads(path.read_text()))) == []
    assert main(["check", str(path)]) == 0
    assert path.read_text().startswith("#:schema ../../reflexd.schema.json\n")


CHANGES = [
    ("schema = 1", "schema = 2"), ('driver = "replay"', 'driver = "repaly"'), ('path = "gate.npz"', "size = 3"),
    ("max_on_s = 300", "max_on_s = 0"), ("at_least = 0.7", 'at_least = "x"'), ('pull = "down"', 'pull = "left"'),
    ('set = "on"', 'set = "onn"'), ("rising_for_s", "rising"), ('factory = "mock"', "factry = 1"),
    ("[sensor.pir]", "[sensors.pir]"),
    ('pin = "GPIO17"\nsafe = "off"', 'pin = "GPIO17"'), ('camera = "gate"\nregions', 'camera = "gate"\nzone'),
]


def test_what_this_breaks_is_good(validator):
    assert list(validator.iter_errors(tomllib.loads(BASE))) == []


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[new for _, new in CHANGES])
def test_a_broken_configuration_is_refused(validator, old, new):
    assert old in BASE
    assert list(validator.iter_errors(tomllib.loads(BASE.replace(old, new, 1))))


def test_the_shipped_schema_is_current(root, capsys):
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    shipped = (root / "docs" / "reflexd.schema.json").read_text()
    assert json.loads(shipped) == json.loads(printed), "run scripts/docs"


def test_the_documented_keys_are_current(root):
    page = (root / "docs" / "configuration.md").read_text()
    assert page == replace_keys(page), "run scripts/docs"


def test_checking_imports_no_library_of_hardware_or_networks(root):
    program = (
        "import sys; from reflexd.ctl.__main__ import main; status = main(sys.argv[1:]);"
        "print(*(name for name in ('gpiozero', 'lgpio', 'serial', 'ai_edge_litert', 'tflite_runtime', 'tensorflow', 'astral')"
        " if name in sys.modules)); sys.exit(status)"
    )
    example = str(root / "docs" / "examples" / "meter" / "reflexd.toml")
    command = [sys.executable, "-c", program, "check", example]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["ok: 1 camera, 1 model, 1 sensor, 2 actuators, 1 rule", ""]
