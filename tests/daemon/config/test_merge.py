"""Several files are one configuration, and each value knows the file and line that set it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reflexd.config.effective import effective
from reflexd.config.load import ConfigError, load
from reflexd.ctl.__main__ import main
from tests.daemon.config.broken import BASE


def load_with(folder: Path, **dropins: str):
    (folder / "reflexd.toml").write_text(BASE)
    (folder / "conf.d").mkdir(exist_ok=True)
    for name, text in dropins.items():
        (folder / "conf.d" / f"{name}.toml").write_text(text)
    return load(folder / "reflexd.toml")


@pytest.mark.fault("F60", bound="at check", outcome="the later file counts; each value tells its file and line")
def test_tables_merge_by_key_and_the_later_scalar_wins(folder):
    loaded = load_with(folder, a="[actuator.lamp]\nmax_on_s = 60\n", b="[actuator]\nlamp.max_on_s = 50\nlamp.min_off_s = 2\n")
    lamp = loaded.settings.actuator["lamp"]
    assert (lamp.max_on_s, lamp.min_off_s, lamp.safe) == (50, 2, 0.0)


def test_a_rule_is_replaced_whole_by_its_name_and_keeps_its_place(folder):
    rule = '[[rule]]\nname = "{}"\nwhen = [ {{ sensor = "pir", is = true }} ]\n'
    rule += 'then = [ {{ actuator = "{}", set = {}, for_s = 1 }} ]\n'
    loaded = load_with(folder, a=rule.format("light the path", "lamp", 1) + rule.format("new", "bell", 0.5))
    assert [one.name for one in loaded.settings.rule] == ["light the path", "ring", "new"]
    assert loaded.settings.rule[0].unless == ()


def test_relative_paths_start_at_the_folder_of_the_main_file_also_in_drop_ins(folder):
    loaded = load_with(folder, a='[daemon]\nsocket = "run/x.sock"\n[sensor.depth]\npath = "other.csv"\n')
    assert loaded.settings.sensor["depth"].path == folder / "other.csv"
    assert loaded.settings.daemon.socket == str(folder / "run" / "x.sock")
    assert loaded.settings.daemon.state_dir == "/var/lib/reflexd"
    assert loaded.settings.model["kind"].bundle == str(folder / "bundles" / "kind")
    assert loaded.settings.model["meter"].bundle == "meter"


def test_the_gpio_section_reaches_the_drivers_that_have_its_keys(folder):
    loaded = load_with(folder, a='[actuator.lamp]\nfactory = "lgpio"\nchip = "x"\n')
    assert loaded.settings.sensor["pir"].factory == "mock"
    assert (loaded.settings.actuator["lamp"].factory, loaded.settings.actuator["lamp"].chip) == ("lgpio", "x")


def test_every_value_tells_the_file_and_line_that_set_it(folder):
    loaded = load_with(folder, a="[actuator.lamp]\nmax_on_s = 60\n")
    origins = {loaded.merged.write(one.location): one.origin for one in effective(loaded)}
    assert origins["actuator.lamp.max_on_s"] == f"{folder}/conf.d/a.toml:2"
    assert origins["actuator.lamp.pin"] == f"{folder}/reflexd.toml:{line('GPIO17')}"
    assert origins["actuator.lamp.factory"] == f"{folder}/reflexd.toml:{line('factory')}"
    assert origins["actuator.lamp.min_off_s"] == "default"
    assert origins["rule.ring.then"] == f"{folder}/reflexd.toml:{line('set = 0.5')}"


def line(text: str) -> int:
    return BASE[: BASE.index(text)].count("\n") + 1


def test_config_show_prints_values_as_they_are_written(folder, capsys):
    load_with(folder)
    assert main(["config", "show", str(folder / "reflexd.toml"), "--origin"]) == 0
    assert f'actuator.lamp.safe = "off"{" " * 34}  # {folder}/reflexd.toml' in capsys.readouterr().out
    assert main(["config", "show", str(folder / "reflexd.toml"), "--json"]) == 0
    values = {one["key"]: one["value"] for one in json.loads(capsys.readouterr().out)}
    assert values["model.meter.regions"] == [[0.1, 0.1, 0.1, 0.2]]
    assert values["rule.ring.then"] == [{"actuator": "bell", "set": 0.5, "follow": True}]


WARNINGS = [
    ("[sensor.spare]\ndriver = 'scripted'\npath = 'x'\n", "sensor.spare", "uses this sensor"),
    ("[camera.spare]\ndriver = 'replay'\npath = 'x'\n", "camera.spare", "uses this camera"),
    ("[actuator.lamp]\ninterlock = 'alone'\n", "actuator.lamp.interlock", "no other actuator"),
    ("[actuator.lamp]\nmax_on_s = 3\n", 'rule."light the path".then[0].for_s', "max_on_s = 3"),
    ("[actuator.bell]\naccept_unguarded = false\n", "actuator.bell", "killed"),
]


@pytest.mark.parametrize(("dropin", "where", "words"), WARNINGS, ids=[words for _, _, words in WARNINGS])
def test_what_is_hardly_meant_is_a_warning_and_no_error(folder, dropin, where, words):
    (warning,) = load_with(folder, a=dropin).warnings
    assert (warning.severity, warning.where) == ("warning", where)
    assert words in warning.headline


def test_nothing_is_said_to_be_missing_while_a_file_cannot_be_read(folder):
    text = '[camera.gate]\nrate_hz = 3\n[[rule]]\nname = "x"\nwhen = [ { sensor = "elsewhere", is = true } ]\n'
    with pytest.raises(ConfigError) as caught:
        load_with(folder, a=text + 'then = [ { actuator = "bell", set = "on", for_s = 1 } ]\npriority = 1\n', b="broken =\n")
    assert [problem.where for problem in caught.value.problems] == ["syntax"]
