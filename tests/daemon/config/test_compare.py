"""A reload has to know which parts are the same, so that they stay open."""

from __future__ import annotations

from reflexd.config.compare import Change, changed_sections
from reflexd.config.load import load
from tests.daemon.config.broken import BASE


def settings(folder, text):
    (folder / "reflexd.toml").write_text(text)
    return load(folder / "reflexd.toml").settings


def test_the_same_files_are_no_change(folder):
    assert changed_sections(settings(folder, BASE), settings(folder, "# a comment\n" + BASE)) == {}


def test_only_what_differs_is_named(folder):
    text = BASE.replace("GPIO17", "GPIO18").replace("regions = [[0.1", "regions = [[0.2")
    text = text.replace("sensor.depth", "sensor.level").replace('sensor = "depth"', 'sensor = "level"')
    changes = changed_sections(settings(folder, BASE), settings(folder, text))
    assert changes == {
        "actuator": Change(changed=frozenset({"lamp"})),
        "sensor": Change(added=frozenset({"level"}), removed=frozenset({"depth"})),
        "model": Change(changed=frozenset({"meter"})),
        "rule": Change(changed=frozenset({"ring"})),
    }


def test_another_pin_factory_changes_each_gpio_device(folder):
    changes = changed_sections(settings(folder, BASE), settings(folder, BASE.replace('"mock"', '"lgpio"')))
    assert changes["sensor"].changed == {"pir"}
    assert changes["actuator"].changed == {"lamp"}
    assert changes["gpio"].changed == {"gpio"}
