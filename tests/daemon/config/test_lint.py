"""What check warns of: each finding at its place, and a neighbour of it of which nothing is said. @@ marks the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflexd.config.load import ConfigError, load
from reflexd.ctl.__main__ import main
from reflexd_drivers import registry
from reflexd_drivers.scaling import NumberKeys
from reflexd_models.bundle import find_bundle, of_folder, shipped
from reflexd_models.reach import largest_score

DETECTOR = """\
schema = 1
name = "finder"
file = "finder.tflite"
sha256 = "%s"
task = "detect"
labels = ["???", "person"]
""" % ("0" * 64)

BASE = """\
schema = 1
gpio.factory = "mock"

[camera.gate]
driver = "replay"
path = "gate.npz"
rate_hz = 10

[camera.slow]
driver = "replay"
path = "slow.npz"
rate_hz = 1
max_age_ms = 500

[model.meter]
bundle = "meter"
camera = "gate"
regions = [[0, 0, 0.2, 1], [0.2, 0, 0.2, 1], [0.4, 0, 0.2, 1], [0.6, 0, 0.2, 1], [0.8, 0, 0.2, 1]]

[model.day]
bundle = "bundles/kind"
camera = "gate"
only_while = [ { sensor = "light", is = true } ]

[model.night]
bundle = "bundles/kind"
camera = "gate"
only_while = [ { sensor = "light", is = false } ]

[model.yard]
bundle = "bundles/finder"
camera = "gate"
zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0]]
lines.door = [[0.5, 0.2], [0.5, 1.0]]

[model.sleepy]
bundle = "bundles/finder"
camera = "slow"
zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0]]
lines.door = [[0.5, 0.2], [0.5, 1.0]]

[sensor.light]
driver = "gpio-input"
pin = "GPIO4"
pull = "down"

[sensor.button]
driver = "gpio-input"
pin = "GPIO5"
pull = "down"

[sensor.stop]
driver = "gpio-input"
pin = "GPIO6"
pull = "down"

[sensor.key]
driver = "gpio-input"
pin = "GPIO7"
pull = "down"

[safety]
stop = { sensor = "stop", is = true }
arm = { sensor = "key", is = true }

[sensor.gap]
driver = "distance"
trigger_pin = "GPIO12"
echo_pin = "GPIO13"
max_distance_m = 2
every_ms = 200

[sensor.wind]
driver = "pulse-counter"
pin = "GPIO16"
pull = "down"

[sensor.chip]
driver = "cpu-temperature"

[sensor.any]
driver = "scripted"
path = "any.csv"

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 300
"""
LAMP = 'then = [ { actuator = "lamp", set = "on", for_s = 30 } ]\n'


def rule(when: str, unless: str = "", then: str = LAMP) -> str:
    return f'\n[[rule]]\nname = "this"\nwhen = [ {when} ]\nunless = [ {unless} ]\n{then}'


def motor(then: str, bound: str = "", safe: str = "off", more: str = "", when: str = '{ sensor = "button", is = true }') -> str:
    """An output of its own, and a rule that moves it."""
    return (f'\n@@[actuator.motor]\ndriver = "gpio-output"\npin = "GPIO18"\nsafe = "{safe}"\n{bound}'
            f'\n[[rule]]\nname = "run"\nwhen = [ {when} ]\nthen = [ {then} ]\n{more}')


def servo(for_s: str) -> str:
    return ('\n[actuator.arm]\ndriver = "servo"\npin = "GPIO18"\nsafe = 0\nmax_on_s = 60\nslew_deg_per_s = 45\n'
            f'\n[[rule]]\nname = "wave"\nwhen = [ {{ sensor = "button", is = true }} ]\n'
            f'then = [ {{ actuator = "arm", set = 0.5, for_s = {for_s} }} ]\n')


def score(more: str, label: str = "person", model: str = "yard") -> str:
    return f'{{ model = "{model}", label = "{label}", {more} }}'


def is_(sensor: str, value: str) -> str:
    return f'{{ sensor = "{sensor}", is = {value} }}'


MONDAY = '{ between = ["sunset", "sunrise"], days = ["mon"] }'
NIGHT = '{ between = ["sunset", "sunrise"] }'
PLACE = "\n[place]\nlatitude = 52.5\nlongitude = 18.9\n"
DIAL = BASE[BASE.index("[model.meter]"):BASE.index("[model.day]")].replace("meter]", "dial]").replace("gate", "slow")
ON, EDGE = is_("button", "true"), '{ sensor = "button", edge = "rise" }'
ACTS, KEEPS = "never acts", "never keeps the rule from acting"

# name, what is added with @@ at the place, words of the finding, and what is added instead of which nothing is said
FOUND = [
    ("a sensor that is two things", rule(f"{ON}, {is_('button', '@@false')}"), ACTS,
     rule(f"{ON}, {is_('light', 'false')}")),
    ("a text that is another", rule(f"{is_('any', chr(34) + 'a' + chr(34))}, {is_('any', '@@' + chr(34) + 'b' + chr(34))}"), ACTS,
     rule(f"{is_('any', chr(34) + 'a' + chr(34))}", f"{is_('any', chr(34) + 'b' + chr(34))}")),
    ("a text above a number", rule(f"{is_('any', chr(34) + 'a' + chr(34))}, {{ sensor = \"any\", above = @@2 }}"), ACTS,
     rule('{ sensor = "any", above = 2 }')),
    ("above and below that do not meet", rule('{ sensor = "any", above = 5 }, { sensor = "any", below = @@5 }'), ACTS,
     rule('{ sensor = "any", above = 5 }, { sensor = "any", below = 5.1 }')),
    ("hysteresis that reaches far enough",
     rule('{ sensor = "any", above = 5, release_below = 3 }, { sensor = "any", below = @@3 }'), ACTS,
     rule('{ sensor = "any", above = 5, release_below = 3 }, { sensor = "any", below = 4 }')),
    ("a number in no gap",
     rule('{ sensor = "any", changed = true }', '{ sensor = "any", above = 3 }, { sensor = "any", below = @@4 }'), ACTS,
     rule('{ sensor = "any", changed = true }', '{ sensor = "any", above = 4 }, { sensor = "any", below = 3 }')),
    ("two states of one camera", rule('{ camera = "gate", is = "black" }, { camera = "gate", is = @@"covered" }'), ACTS,
     rule('{ camera = "gate", is = "black" }, { camera = "slow", is = "covered" }')),
    ("neither of two", rule(is_("any", "3"), f"{is_('button', 'true')}, {is_('button', '@@false')}"), ACTS,
     rule(is_("any", "3"), f"{is_('button', 'true')}, {is_('light', 'false')}")),
    ("a number that is neither true nor false", rule(is_("any", "3"), is_("any", "@@true")), ACTS,
     rule(is_("any", "1"), is_("any", "false"))),
    ("the same in unless", rule(ON, is_("button", "@@true")), ACTS, rule(ON, is_("button", "false"))),
    ("a wider threshold in unless", rule('{ sensor = "any", above = 5 }', '{ sensor = "any", above = @@4 }'), ACTS,
     rule('{ sensor = "any", above = 4 }', '{ sensor = "any", above = 5 }')),
    ("the same with hysteresis in unless", rule('{ sensor = "any", above = 5, release_below = 3 }',
     '@@{ sensor = "any", above = 5, release_below = 3 }'), ACTS,
     rule('{ sensor = "any", above = 5, release_below = 3 }', '{ sensor = "any", above = 5 }')),
    ("a shorter climb in unless",
     rule('{ sensor = "any", rising_for_s = 60 }', '@@{ sensor = "any", rising_for_s = 30, pause_s = 30 }'), ACTS,
     rule('{ sensor = "any", rising_for_s = 60 }', '{ sensor = "any", rising_for_s = 30 }')),
    ("a weaker score in unless", rule(score("at_least = 0.8"), "@@" + score("at_least = 0.7")), ACTS,
     rule(score("at_least = 0.7"), score("at_least = 0.8"))),
    ("a score anywhere in unless", rule(score('at_least = 0.7, zone = "path", count = 2'), "@@" + score("at_least = 0.7")), ACTS,
     rule(score("at_least = 0.7"), score('at_least = 0.7, zone = "path"'))),
    ("fewer hits in unless",
     rule(score("at_least = 0.7, hits = 3, of = 5"), "@@" + score("at_least = 0.7, hits = 2, of = 5")), ACTS,
     rule(score("at_least = 0.7, hits = 2, of = 5"), score("at_least = 0.7, hits = 3, of = 5"))),
    ("a shorter stay in unless", rule(score("at_least = 0.7, dwell_s = 3"), "@@" + score("at_least = 0.7, dwell_s = 2")), ACTS,
     rule(score("at_least = 0.7, dwell_s = 2"), score("at_least = 0.7, dwell_s = 3"))),
    ("either way in unless", rule(score('crosses = "door", direction = "forward"'), "@@" + score('crosses = "door"')), ACTS,
     rule(score('crosses = "door"'), score('crosses = "door", direction = "forward"'))),
    ("a network that rests then", rule(f"{score('at_least = 0.7', model='day')}, {is_('light', '@@false')}"), ACTS,
     rule(f"{score('at_least = 0.7', model='night')}, {is_('light', 'false')}")),
    ("a network that rests then, in unless", rule(is_("light", "@@false"), score("at_least = 0.7", model="day")), ACTS,
     rule(is_("light", "false"), score("at_least = 0.7", model="night"))),
    ("two networks that never run together",
     rule(f"{score('at_least = 0.7', model='day')}, {score('at_least = 0.7', model='night')}").replace("[[", "@@[["), ACTS,
     rule(score("at_least = 0.7", model="day")) + rule(score("at_least = 0.7", model="night")).replace("this", "that")),
    ("a rule for when all is stopped", rule(is_("stop", "@@true")), ACTS, rule(is_("stop", "false"))),
    ("a rule for when nothing is armed", rule(ON, is_("key", "@@true")), ACTS, rule(ON, is_("key", "false"))),
    ("two moments", rule(f'{EDGE}, @@{{ sensor = "any", changed = true }}'), ACTS,
     rule('{ sensor = "any", above = 3 }, { sensor = "any", changed = true }')),
    ("a step and a press", rule(f'{EDGE}, @@{score(chr(99) + "rosses = " + chr(34) + "door" + chr(34))}'), ACTS,
     rule(f"{EDGE}, {score('at_least = 0.5')}")),
    ("a label that is nothing", rule(score("at_least = 0.5", label="???").replace('label = ', 'label = @@')), ACTS,
     rule(score("at_least = 0.5"))),
    ("a score that quantized outputs do not reach", rule(score("at_least = @@0.999", label="7", model="meter")), ACTS,
     rule(score("at_least = 0.996", label="7", model="meter"))),
    ("the same in unless, where it suppresses nothing", rule(ON, score("at_least = @@1", label="7", model="meter")), KEEPS,
     rule(ON, score("at_least = 0.9", label="7", model="meter"))),
    ("a score that is 1, of which nothing is known", rule(score("at_least = @@1", label="7", model="meter")), ACTS,
     rule(score("at_least = 1", label="person", model="day"))),
    ("more than five wheels show", rule('{ model = "meter", above = @@99999 }'), ACTS,
     rule('{ model = "meter", above = 99998 }')),
    ("less than nothing", rule('{ model = "meter", below = @@0 }'), ACTS, rule('{ model = "meter", below = 0.5 }')),
    ("an unless beyond the wheels", rule(ON, '{ model = "meter", above = @@100000 }'), KEEPS,
     rule(ON, '{ model = "meter", above = 9 }')),
    ("an unless that always holds", rule(ON, '{ model = "meter", above = @@-1 }'), ACTS,
     rule(ON, '{ model = "meter", above = 0 }')),
    ("farther than it hears", rule('{ sensor = "gap", above = @@2.5 }'), ACTS, rule('{ sensor = "gap", above = 1.9 }')),
    ("wind from the other side", rule('{ sensor = "wind", below = @@0 }'), ACTS, rule('{ sensor = "wind", below = 0.1 }')),
    ("colder than cold", rule('{ sensor = "chip", below = @@-300 }'), ACTS, rule('{ sensor = "chip", below = -20 }')),
    ("a release that never comes", rule('{ sensor = "gap", above = 1, release_below = @@0 }'), "stays so",
     rule('{ sensor = "gap", above = 1, release_below = 0.5 }')),
    ("hits that are forgotten", rule(score("at_least = 0.5, hits = @@2, of = 3", model="sleepy")), ACTS,
     rule(score("at_least = 0.5, hits = 1, of = 3", model="sleepy"))),
    ("a stay that is forgotten", rule(ON, score("at_least = 0.5, dwell_s = @@2", model="sleepy")), KEEPS,
     rule(ON, score("at_least = 0.5, dwell_s = 2"))),
    ("a step that is forgotten", rule(score('crosses = @@"door"', model="sleepy")), ACTS, rule(score('crosses = "door"'))),
    ("a change that is forgotten", rule('{ camera = "slow", changed = @@true }'), ACTS,
     rule('{ camera = "gate", changed = true }')),
    ("pauses that are shorter than it says something", rule('{ sensor = "gap", rising_for_s = 60, pause_s = @@0.05 }'), ACTS,
     rule('{ sensor = "gap", rising_for_s = 60, pause_s = 0.1 }')),
    ("a follow that lasts a moment", rule(EDGE, then='then = [ { actuator = "lamp", set = "on", follow = @@true } ]\n'),
     "next reading", rule(EDGE)),
    ("no bound on a follow", motor('{ actuator = "motor", set = "on", follow = true }'), "nothing bounds",
     motor('{ actuator = "motor", set = "on", follow = true }', bound="max_on_s = 31536000")),
    ("no bound on a time that starts over", motor('{ actuator = "motor", set = "on", for_s = 5 }', more="cooldown_s = 5"),
     "nothing bounds", motor('{ actuator = "motor", set = "on", for_s = 5 }', more="cooldown_s = 6")),
    ("no bound on what is safe on", motor('{ actuator = "motor", set = "off", follow = true }', safe="on"), "nothing bounds",
     motor('{ actuator = "motor", set = "on", follow = true }', safe="on")),
    ("two rules that relieve each other", motor('{ actuator = "motor", set = "on", for_s = 5 }', more="cooldown_s = 6")
     + rule(is_("light", "true"), then='then = [ { actuator = "motor", set = "on", for_s = 5 } ]\ncooldown_s = 6\n'),
     "nothing bounds", motor('{ actuator = "motor", set = "on", for_s = 5 }', more="cooldown_s = 6")),
    ("two spans that do not meet", rule(f'{ON}, {{ between = ["08:00", "12:00"] }}, @@{{ between = ["12:00", "18:00"] }}'), ACTS,
     rule(f'{ON}, {{ between = ["08:00", "12:01"] }}, {{ between = ["12:00", "18:00"] }}')),
    ("a night that ends before the day of the other",
     rule('{ between = ["22:00", "06:00"], days = ["fri"] }, @@{ days = ["sun"] }'), ACTS,
     rule('{ between = ["22:00", "06:00"], days = ["fri"] }, { days = ["sat"] }')),
    ("days that are none", rule('{ days = ["mon", "tue"] }, @@{ days = ["wed"] }'), ACTS,
     rule('{ days = ["mon", "tue"] }, { days = ["tue", "wed"] }')),
    ("a span within one of unless", rule('{ between = ["23:00", "01:00"] }', '@@{ between = ["22:00", "06:00"] }'), ACTS,
     rule('{ between = ["22:00", "06:00"] }', '{ between = ["23:00", "01:00"] }')),
    ("two that leave nothing", rule('{ between = ["08:00", "18:00"] }', '{ between = ["07:00", "12:00"] }, '
     '@@{ between = ["12:00", "19:00"] }'), ACTS,
     rule('{ between = ["08:00", "18:00"] }', '{ between = ["07:00", "12:00"] }, { between = ["12:00", "17:59"] }')),
    ("the same span of the sun", PLACE + rule(NIGHT, "@@" + NIGHT), ACTS,
     PLACE + rule(NIGHT, NIGHT.replace("sunset", "sunset+00:30"))),
    ("the same while the clock is known", rule('{ days = ["mon"] }', '@@{ days = ["mon"] }'), ACTS,
     rule('{ days = ["mon"], otherwise = true }', '{ days = ["mon"], otherwise = false }')),
    ("the sun on days that are far apart", PLACE + rule(f'{MONDAY}, @@{{ days = ["fri"] }}'), ACTS,
     PLACE + rule(f'{MONDAY}, {{ days = ["wed"] }}')),
    ("the sun where it does not rise on some days",
     PLACE.replace("52.5", "69.6") + rule(NIGHT.replace("= [", "= @@[")), "does not set",
     PLACE.replace("52.5", "65") + rule(NIGHT)),
    ("what is silent and heard", rule(f'{{ sensor = "button", silent_for_s = @@5 }}, {ON}'), ACTS,
     rule(f'{{ sensor = "light", silent_for_s = 5 }}, {ON}')),
    ("what is stuck and goes on", rule(f'{{ sensor = "button", stuck_for_s = @@5 }}, {EDGE}'), ACTS,
     rule(f'{{ sensor = "light", stuck_for_s = 5 }}, {EDGE}')),
    ("what is stuck for longer than a pause of a climb",
     rule('{ sensor = "any", stuck_for_s = @@6 }, { sensor = "any", rising_for_s = 10 }'), ACTS,
     rule('{ sensor = "any", stuck_for_s = 5 }, { sensor = "any", rising_for_s = 10 }')),
    ("a lower rate in unless",
     rule('{ sensor = "any", rate_above = 2, over_s = 5 }', '@@{ sensor = "any", rate_above = 1, over_s = 5 }'), ACTS,
     rule('{ sensor = "any", rate_above = 2, over_s = 5 }', '{ sensor = "any", rate_above = 3, over_s = 5 }')),
    ("less silence in unless", rule('{ sensor = "any", silent_for_s = 60 }', '@@{ sensor = "any", silent_for_s = 30 }'), ACTS,
     rule('{ sensor = "any", silent_for_s = 30 }', '{ sensor = "any", silent_for_s = 60 }')),
    ("what is in unless for longer", rule(ON, '{ sensor = "button", is = @@true, within_s = 5 }'), ACTS,
     rule(ON, '{ sensor = "light", is = true, within_s = 5 }')),
    ("a rate beyond all that it hears", rule('{ sensor = "gap", rate_above = @@2, over_s = 10 }'), ACTS,
     rule('{ sensor = "gap", rate_above = 1, over_s = 10 }')),
    ("a rate that suppresses nothing", rule(ON, '{ sensor = "gap", rate_below = @@-2, over_s = 10 }'), KEEPS,
     rule(ON, '{ sensor = "gap", rate_below = -1, over_s = 10 }')),
    ("a rate over frames that are forgotten", rule('{ camera = "slow", silent_for_s = 2 }') + rule(
     '{ model = "dial", rate_above = 1, over_s = @@30 }').replace("this", "that") + DIAL, ACTS,
     rule('{ model = "dial", rate_above = 1, over_s = 30 }') + DIAL.replace("slow", "gate")),
    ("what is over before the next reading", rule(ON, '{ sensor = "gap", above = 1, within_s = @@0.09 }'), "over too soon",
     rule(ON, '{ sensor = "gap", above = 1, within_s = 0.2 }')),
    ("a way that takes longer", servo("@@0.9"), "turns back", servo("1")),
]


@pytest.fixture
def place(folder: Path) -> Path:
    """Give a folder with the bundles of a classifier and of a detector."""
    bundle = folder / "bundles" / "finder"
    bundle.mkdir()
    (bundle / "model.toml").write_text(DETECTOR)
    return folder


def warned(folder: Path, text: str) -> list[tuple[int, int, str]]:
    """Give what is said of a configuration, but that it has parts which no rule uses."""
    file = folder / "reflexd.toml"
    file.write_text(text)
    return [(one.line, one.column, one.headline) for one in load(file).warnings if "no rule" not in one.what
            and "no model or rule" not in one.what]


def test_nothing_is_said_of_what_the_cases_add_to(place):
    assert warned(place, BASE) == []


@pytest.mark.parametrize(("text", "words", "neighbour"), [one[1:] for one in FOUND], ids=[one[0] for one in FOUND])
def test_each_finding_is_told_at_its_place_and_nothing_of_its_neighbour(place, text, words, neighbour):
    before, _, after = (BASE + text).partition("@@")
    ((line, column, said),) = warned(place, before + after)
    assert (line, column) == (before.count("\n") + 1, len(before) - before.rfind("\n")), said
    assert words in said
    assert "; " in said, "there is a remedy"
    assert warned(place, BASE + neighbour.replace("@@", "")) == []


def test_a_finding_names_the_other_place(place):
    ((_, _, said),) = warned(place, BASE + rule(f"{score('at_least = 0.7', model='day')}, {is_('light', 'false')}"))
    line = BASE[:BASE.index("only_while")].count("\n") + 1
    assert said.endswith(
        "warning: rule.this.when[1].is: the rule never acts: sensor.light is false, against model.day rests unless sensor.light "
        f"is true ({place}/reflexd.toml:{line}), found false; correct one of them")


def test_nothing_is_looked_for_while_there_are_errors(place):
    text = BASE + rule(f"{ON}, {is_('button', 'false')}")
    (place / "reflexd.toml").write_text(text + "\n[actuator.lamp2]\n")
    with pytest.raises(ConfigError) as caught:
        load(place / "reflexd.toml")
    assert not any("never acts" in one.what for one in caught.value.problems)


def test_many_conditions_are_looked_at_in_no_time(place):
    conditions = ", ".join(f'{{ sensor = "any", above = {number} }}' for number in range(3000))
    assert warned(place, BASE + rule(conditions, conditions)) == []


@pytest.mark.parametrize(("strict", "json", "status"), [(False, False, 0), (True, False, 78), (True, True, 78)])
def test_the_command_can_let_a_warning_fail(place, capsys, strict, json, status):
    (place / "reflexd.toml").write_text(BASE + rule(f"{ON}, {is_('button', 'false')}"))
    given = ["check", str(place / "reflexd.toml"), *(["--strict"] if strict else []), *(["--json"] if json else [])]
    assert main(given) == status
    told = capsys.readouterr()
    assert "the rule never acts" in (told.out if json else told.err)
    assert ('"ok": false' if json else "ok: ") in told.out or (strict and not json)


def test_strict_has_nothing_against_what_is_in_order(place, capsys):
    camera, lamp = BASE[:BASE.index("[camera.slow]")], BASE[BASE.index("[actuator.lamp]"):]
    (place / "reflexd.toml").write_text(camera + lamp + rule('{ camera = "gate", is = "covered" }'))
    assert main(["check", "--strict", str(place / "reflexd.toml")]) == 0
    assert capsys.readouterr().out.startswith("ok: 1 camera")


@pytest.mark.parametrize("name", registry.DRIVERS["sensor"])
def test_every_driver_with_a_range_says_that_it_is_one(name):
    settings = registry.load("sensor", name).Settings
    if issubclass(settings, NumberKeys):
        made = settings.model_construct(range=(1.0, 2.0), scale=1, offset=0)
        assert made.bounds == (1.0, 2.0)
    else:
        assert "range" not in settings.model_fields


@pytest.mark.parametrize("name", shipped())
def test_the_largest_score_is_the_one_that_the_runtime_tells_of(name):
    bundle = find_bundle(name)
    greatest = largest_score(bundle)
    if bundle.path.suffix != ".tflite":
        assert greatest == 1.0
        return
    from reflexd_models.runtime import Network

    outputs = Network(bundle.path.read_bytes(), name).outputs
    steps = [(127 - one.zero_point) * one.scale if one.dtype.name == "int8" else 1.0 for one in outputs]
    assert greatest == pytest.approx(min(1.0, max(steps)))


def test_of_a_network_that_cannot_be_read_nothing_is_known(place):
    bundle = of_folder(place / "bundles" / "kind")
    assert largest_score(bundle) == 1.0
    bundle.path.write_bytes(b"\xff" * 3 + b"\0TFL3" + b"\xff" * 20)
    assert largest_score(bundle) == 1.0
