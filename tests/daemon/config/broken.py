"""Fifty broken configurations. @@ marks where an error has to be shown; it is taken out before the file is written.

`expected` has one (where, words) per mark, in the order of the files and marks. Every other file of a
case, and everything else in it, is right, so nothing else may be said.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE = """\
schema = 1

[gpio]
factory = "mock"

[camera.gate]
driver = "replay"
path = "gate.npz"

[model.meter]
bundle = "meter"
camera = "gate"
regions = [[0.1, 0.1, 0.1, 0.2]]

[model.kind]
bundle = "bundles/kind"
camera = "gate"
only_while = [ { sensor = "pir", is = true } ]

[sensor.pir]
driver = "gpio-input"
pin = "GPIO4"
pull = "down"

[sensor.depth]
driver = "scripted"
path = "depth.csv"

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 300

[actuator.bell]
driver = "recorder"
path = "bell.jsonl"
max_on_s = 60
safe = "off"
accept_unguarded = true

[[rule]]
name = "light the path"
when = [ { model = "kind", label = "person", at_least = 0.7, release_below = 0.5, hits = 3, of = 5 } ]
unless = [ { sensor = "pir", is = false } ]
then = [ { actuator = "lamp", set = "on", for_s = 30 } ]

[[rule]]
name = "ring"
when = [ { model = "meter", rising_for_s = 60 }, { sensor = "depth", above = 2, release_below = 1 } ]
then = [ { actuator = "bell", set = 0.5, follow = true } ]
"""


@dataclass(frozen=True)
class Case:
    """One broken configuration."""

    name: str
    files: dict[str, str]
    expected: list[tuple[str, str]]


def main(name: str, text: str, *expected: tuple[str, str]) -> Case:
    """Break the main file by a text that is not added to anything."""
    return Case(name, {"reflexd.toml": text}, list(expected))


def more(name: str, text: str, *expected: tuple[str, str]) -> Case:
    """Add a text to a good configuration."""
    return main(name, BASE + text, *expected)


def change(name: str, old: str, new: str, *expected: tuple[str, str]) -> Case:
    """Replace a text of a good configuration."""
    assert BASE.count(old) == 1, (name, old)
    return main(name, BASE.replace(old, new), *expected)


def dropin(name: str, files: dict[str, str], *expected: tuple[str, str]) -> Case:
    """Put drop-ins beside a good configuration."""
    return Case(name, {"reflexd.toml": BASE, **{f"conf.d/{key}": text for key, text in files.items()}}, list(expected))


RULE = '\n[[rule]]\nname = "new"\n'
THEN = 'then = [ { actuator = "lamp", set = "on", follow = true } ]\n'
WHEN = 'when = [ { sensor = "pir", is = true } ]\n'
SET = 'then = [ { actuator = "lamp", follow = true, set = %s } ]\n'
PLACE = "\n[place]\nlatitude = 52.5\nlongitude = 13.4\n"
SCALE = (
    '\n[sensor.scale]\ndriver = "serial-lines"\nport = "/dev/ttyUSB0"\n'
    '\n[sensor.word]\ndriver = "serial-lines"\nport = "/dev/ttyUSB1"\nvalue = "text"\n'
)

PORTS = (
    '\n[sensor.first]\ndriver = "serial-lines"\nport = @\n'
    '\n[sensor.second]\ndriver = "nmea"\nport = @\nsentence = "MTW"\nfield = "temperature"\n'
)
BUS = (
    '\n[sensor.first]\ndriver = "modbus"\nport = "/dev/ttyUSB9"\nunit = 1\nregister = 0\n'
    '\n[sensor.second]\ndriver = "modbus"\nport = @@"/dev/ttyUSB9"\nunit = 2\nregister = 0\nbaud = 9600\n'
    '\n[sensor.third]\ndriver = "modbus"\nport = "/dev/ttyUSB9"\nunit = 3\nregister = 0\n'
)
USE_PORTS = RULE + 'when = [ { sensor = "first", above = 1 }, { sensor = "second", above = 1 } ]\n' + THEN

CASES = [
    # F52: syntax, one error per file
    main("an empty file", "@@", ("", "schema is missing")),
    main("a key without a value", "schema = 1\n[gpio]\nfactory =@@\n", ("syntax", "value is missing")),
    main("a text without quotes", "schema = 1\n[camera.gate]\ndriver = @@replay\n", ("syntax", 'as "replay"')),
    main("a text that is not closed", 'schema = 1\n[daemon]\nsocket = "/run/x.sock@@\n', ("syntax", "closing")),
    main("a header that is not closed", "schema = 1\n[camera.gate@@\n", ("syntax", "closing ]")),
    main(
        "a key given twice",
        "schema = 1\n[gpio]\nfactory = 'mock'\n@@factory = 'auto'\n",
        ("syntax", "second time; keep this one or the one on line 3"),
    ),
    main("a table given twice", "schema = 1\n[gpio]\n[@@gpio]\n", ("syntax", "gpio is given a second time")),
    main("an inline table over two lines", "schema = 1\n[safety]\nstop = { sensor = 'a',@@\n is = true }\n", ("syntax", "")),
    main("two values on a line", "schema = 1 @@2\n", ("syntax", "goes on after its value")),
    main("a yaml colon", "schema = 1\n[gpio]\nfactory@@: 'mock'\n", ("syntax", "needs =")),
    main("true with a capital", "schema = 1\n[daemon]\ndry_run = @@True\n", ("syntax", "true or false")),
    main("a backslash as on windows", 'schema = 1\n[daemon]\nsocket = "C:\\q@@"\n', ("syntax", "backslash")),
    main("lists without end", "schema = 1\n@@a = " + "[" * 5000 + "\n", ("syntax", "nested too deeply")),
    main("a number of five thousand digits", "schema = 1\na = @@" + "9" * 5000 + "\n", ("syntax", "too many digits")),
    # F53: unknown keys, at the key
    more("an unknown table", "\n[@@sensors.x]\ndriver = 'scripted'\n", ("sensors", 'did you mean "sensor"')),
    change("an unknown key of a section", 'factory = "mock"', '@@factry = "mock"', ("gpio.factry", 'did you mean "factory"')),
    change(
        "an unknown key of a driver",
        'path = "gate.npz"',
        'path = "gate.npz"\n@@size_px = [1, 2]',
        ("camera.gate.size_px", "no such key"),
    ),
    change("an unknown key of a task", "regions = [[", "@@wheels = []\nregions = [[", ("model.meter.wheels", "no such key")),
    change(
        "an unknown key of a condition",
        "hits = 3, of = 5",
        "@@hit = 3, of = 5",
        ('rule."light the path".when[0].hit', 'did you mean "hits"'),
    ),
    change(
        "an unknown key of an action", "for_s = 30", "for_s = 30, @@dim = 3", ('rule."light the path".then[0].dim', "known here")
    ),
    more(
        "unknown keys behind characters of several bytes",
        RULE.replace("new", "größe")
        + WHEN
        + 'then = [ { actuator = "lamp", @@"ö" = "é", @@x.y = 1, set = "on", follow = true } ]\n',
        ('rule."größe".then[0]."ö"', "no such key"),
        ('rule."größe".then[0].x', "no such key"),
    ),
    # F54: types and ranges, at the value
    main("no schema", '@@[gpio]\nfactory = "mock"\n', ("", "schema is missing")),
    change("another schema", "schema = 1", "schema = @@2", ("schema", "must be 1")),
    change("true is no version", "schema = 1", "schema = @@true", ("schema", "must be 1")),
    change("a number in quotes", "max_on_s = 300", 'max_on_s = @@"300"', ("actuator.lamp.max_on_s", "must be a number")),
    change("a number that is too small", "max_on_s = 300", "max_on_s = @@0", ("actuator.lamp.max_on_s", "greater than 0")),
    change("a number that is no number", "max_on_s = 300", "max_on_s = @@nan", ("actuator.lamp.max_on_s", "finite")),
    change("a date", "max_on_s = 300", "max_on_s = @@1979-05-27", ("actuator.lamp.max_on_s", "the date or time 1979-05-27")),
    change("a score above one", "at_least = 0.7", "at_least = @@70", ('rule."light the path".when[0].at_least', "at most 1")),
    change(
        "a level that is none",
        'safe = "off"\nmax_on_s',
        'safe = @@"of"\nmax_on_s',
        ("actuator.lamp.safe", '"on", "off" or a number'),
    ),
    change("half a level for a relay", 'safe = "off"\nmax_on_s', "safe = @@0.5\nmax_on_s", ("actuator.lamp.safe", "gpio-output")),
    change(
        "a word that is not among the choices", 'pull = "down"', 'pull = @@"donw"', ("sensor.pir.pull", 'did you mean "down"')
    ),
    change(
        "a region that lacks a number",
        "[[0.1, 0.1, 0.1, 0.2]]",
        "[@@[0.1, 0.1, 0.1]]",
        ("model.meter.regions[0]", "list of more than 3"),
    ),
    change(
        "a table where a text belongs",
        'camera = "gate"\nregions',
        "camera = @@{ name = 1 }\nregions",
        ("model.meter.camera", "must be text"),
    ),
    change(
        "a text where a table belongs",
        'only_while = [ { sensor = "pir", is = true } ]',
        'only_while = [ @@"pir" ]',
        ("model.kind.only_while[0]", "must be a table"),
    ),
    more("a rule without conditions", RULE + "when = @@[]\n" + THEN, ("rule.new.when", "at least 1")),
    change(
        "missing safe, at the header",
        '[actuator.lamp]\ndriver = "gpio-output"\npin = "GPIO17"\nsafe = "off"',
        '@@[actuator.lamp]\ndriver = "gpio-output"\npin = "GPIO17"',
        ("actuator.lamp", "safe is missing"),
    ),
    change(
        "an action without an end",
        '{ actuator = "lamp", set = "on", for_s = 30 }',
        '@@{ actuator = "lamp", set = "on" }',
        ('rule."light the path".then[0]', "for_s"),
    ),
    change("hits that can never be", "hits = 3, of = 5", "hits = @@6, of = 5", ('rule."light the path".when[0].hits', "never")),
    change(
        "release above the threshold",
        "release_below = 0.5",
        "release_below = @@0.9",
        ('rule."light the path".when[0].release_below', "above at_least"),
    ),
    more("a name that cannot be", '\n[sensor.@@"a b"]\ndriver = "scripted"\npath = "x"\n', ('sensor."a b"', "a name has")),
    # conditions on the time
    more(
        "times that are none",
        PLACE + RULE + 'when = [ { between = ["22:00", @@"6:30"] }, { between = [@@"sunset-12:01", "sunset"] },\n'
        '  { between = @@["06:00", "07:00", "08:00"] }, { between = @@["sunrise", "sunrise-00:30"] },\n'
        '  { between = @@["24:00", "06:00"] }, { days = ["sat", @@"sunday"] }, { otherwise = @@true } ]\n' + THEN,
        ("rule.new.when[0].between[1]", 'is no moment of a day, found "6:30"; write "22:00", "sunset"'),
        ("rule.new.when[1].between[0]", "is more than 12 hours from sunset"), ("rule.new.when[2].between", "list"),
        ("rule.new.when[3].between", "empty on every day"), ("rule.new.when[4].between", 'write "00:00"'),
        ("rule.new.when[5].days[1]", 'did you mean "sun"'), ("rule.new.when[6].otherwise", "goes with between or days"),
    ),
    more("the sun of nowhere", RULE + 'when = [ { between = ["22:00", @@"sunrise"] } ]\n' + THEN,
         ("rule.new.when[0].between[1]", "there is no [place]")),
    more("a place that is none", "\n@@[place]\nlatitude = @@91.0\n",
         ("place", "longitude is missing"), ("place.latitude", "at most 90")),
    more(
        "rates without a time, and what has none",
        RULE + 'when = [ { sensor = "depth", rate_above = @@2 }, { sensor = "depth", above = 2, over_s = @@30 },\n'
        '  @@{ camera = "gate", stuck_for_s = 60 } ]\n' + THEN,
        ("rule.new.when[0].rate_above", "rate_above goes with over_s"), ("rule.new.when[1].over_s", "goes with rate_above"),
        ("rule.new.when[2]", "silent_for_s"),
    ),
    more(
        "what cannot be told, or not be acted on",
        RULE + 'when = [ { sensor = "pir", rate_below = @@2, over_s = 9 }, { sensor = "depth", silent_for_s = @@0.1 },\n'
        '  { sensor = "pir", edge = "rise", within_s = @@30 } ]\nunless = [ { sensor = "pir", edge = "fall", within_s = 9 } ]\n'
        + THEN,
        ("rule.new.when[0].rate_below", "true or false"),
        ("rule.new.when[1].silent_for_s", "sensor depth may take up to its max_age_ms"),
        ("rule.new.when[2].within_s", "move the condition to unless"),
    ),
    # F55, F56 and what else does not fit together
    change("an unknown driver", 'driver = "replay"', 'driver = @@"repaly"', ("camera.gate.driver", 'did you mean "replay"')),
    change("a pin used twice", 'pin = "GPIO17"', 'pin = @@"GPIO4"', ("actuator.lamp.pin", "sensor.pir has it")),
    change("a sense pin used twice", "max_on_s = 300", 'max_on_s = 300\nsense_pin = @@"GPIO4"',
           ("actuator.lamp.sense_pin", "GPIO4 is used twice: sensor.pir has it")),
    main(
        "a pin of a bus that another device has",
        BASE.replace('[sensor.depth]\ndriver = "scripted"\npath = "depth.csv"',
                     '@@[sensor.depth]\ndriver = "mcp3xxx"\ntype = "MCP3008"').replace('pin = "GPIO17"', 'pin = "GPIO10"'),
        ("sensor.depth", "its bus needs GPIO10, and actuator.lamp has it"),
    ),
    more("evidence of what is not there", '\n[evidence]\nbefore_s = @@90\n', ("evidence.before_s", "at most 60")),
    more("evidence of cameras and rules that are not there", '\n[evidence]\ncameras = [@@"gat"]\nrules = ["ring", @@"rang"]\n',
         ("evidence.cameras[0]", 'no camera called "gat"'), ("evidence.rules[1]", 'did you mean "ring"')),
    main("evidence without a camera", "schema = 1\n@@[evidence]\n", ("evidence", "no camera whose frames could be kept")),
    more("evidence of events that are not stored", "\n[events]\nenabled = false\n\n@@[evidence]\n",
         ("evidence", "[events] enabled is false")),
    more("a port used twice", PORTS.replace('@', '"/dev/ttyUSB9"', 1).replace('@', '@@"/dev/ttyUSB9"') + USE_PORTS,
         ("sensor.second.port", "sensor.first has it at")),
    more("a bus whose users disagree", BUS + USE_PORTS, ("sensor.second.port", "another baud")),
    change("a pin that does not exist", 'pin = "GPIO17"', 'pin = @@"GPIO99"', ("actuator.lamp.pin", "GPIO2 to GPIO27")),
    change(
        "an unknown camera",
        'camera = "gate"\nregions',
        'camera = @@"gat"\nregions',
        ("model.meter.camera", 'did you mean "gate"'),
    ),
    change("an unknown bundle", 'bundle = "meter"', 'bundle = @@"metre"', ("model.meter.bundle", "none of that name")),
    change(
        "a label that the network does not have",
        'label = "person"',
        'label = @@"persons"',
        ('rule."light the path".when[0].label', 'did you mean "person"'),
    ),
    change(
        "a value of a network that gives scores",
        'model = "meter", rising',
        'model = @@"kind", rising',
        ("rule.ring.when[0].model", "scores and no value"),
    ),
    change(
        "a size of a switch",
        'sensor = "depth", above = 2, release_below = 1',
        'sensor = "pir", above = @@2',
        ("rule.ring.when[1].above", "true or false"),
    ),
    change(
        "a number for a switch",
        'sensor = "pir", is = false',
        'sensor = "pir", is = @@0',
        ('rule."light the path".unless[0].is', "true or false"),
    ),
    more(
        "conditions that the kind of a serial sensor cannot fulfil",
        SCALE + RULE + 'when = [ { sensor = "scale", edge = @@"rise" }, { sensor = "word", above = @@2 } ]\n' + THEN
        + "\n[safety]\narm = { sensor = 'scale', is = @@true }\n",
        ("rule.new.when[0].edge", "a number"), ("rule.new.when[1].above", "a text"), ("safety.arm.is", "a number"),
    ),
    more(
        "two ways to read one line",
        '\n@@[sensor.x]\ndriver = "serial-lines"\nport = "/dev/ttyUSB0"\ncolumn = 1\njson = "a"\n',
        ("sensor.x", "column and json"),
    ),
    more(
        "conditions that no picture can fulfil",
        RULE + 'when = [ { camera = @@"gat", is = "black" }, '
        + '@@{ camera = "gate", above = 1 }, @@{ camera = "gate", sensor = "pir", is = "black" } ]\n' + THEN,
        ("rule.new.when[0].camera", 'did you mean "gate"'), ("rule.new.when[1]", "a camera's picture is in a state"),
        ("rule.new.when[2]", "one model, one sensor or one camera"),
    ),
    more(
        "a state that no picture is in",
        RULE + WHEN + 'unless = [ { camera = "gate", is = @@"coverd" } ]\n' + THEN,
        ("rule.new.unless[0].is", 'did you mean "covered"'),
    ),
    more(
        "a state that is switched off",
        '\n[camera.drawn]\ndriver = "pattern"\n' + RULE + 'when = [ { camera = "drawn", is = @@"frozen" } ]\n' + THEN,
        ("rule.new.when[0].is", "frozen_after_s"),
    ),
    more(
        "cameras that are arranged wrongly",
        '''
[camera.low]
driver = "pattern"
rotate = @@45
flip = @@"sideway"
crop = @@[0.5, 0, 0.6, 1]
masks = [ @@[[0, 0], [1, 1]], [[0, 0], [@@1.5, 0], [0, 1]], @@[[0, 0], [1, 1], [1, 0], [0, 1]] ]
frozen_after_s = @@-1
scene = @@"bar"
size_px = [@@63, 48]
''',
        ("camera.low.rotate", "0 or 90 or 180 or 270"), ("camera.low.flip", "write"), ("camera.low.crop", "reaches out"),
        ("camera.low.masks[0]", "at least 3"), ("camera.low.masks[1][1][0]", "at most 1"), ("camera.low.masks[2]", "cross"),
        ("camera.low.frozen_after_s", "at least 0"), ("camera.low.scene", 'did you mean "bars"'),
        ("camera.low.size_px[0]", "multiple of 2"),
    ),
    more(
        "an unknown stop switch",
        "\n[safety]\nstop = { sensor = @@'pri', is = true }\n",
        ("safety.stop.sensor", 'did you mean "pir"'),
    ),
    more(
        "two rules that want two levels",
        RULE + WHEN + 'then = [ { actuator = "lamp", set = @@"off", follow = true } ]\n',
        ("rule.new.then[0].set", "same priority"),
    ),
    more(
        "two rules that want two patterns",
        RULE + WHEN + 'then = [ { actuator = "lamp", set = @@"on", follow = true, pattern = [1, 1] } ]\n',
        ("rule.new.then[0].set", "set to another pattern"),
    ),
    more(
        "patterns that are none",
        RULE + WHEN + 'priority = 1\nthen = [ { actuator = "lamp", set = "on", follow = true, pattern = @@[0.2, 0.8, 0.2] } ]\n'
        + '[[rule]]\nname = "b"\n' + WHEN
        + 'then = [ { actuator = "lamp", set = "on", follow = true, pattern = [@@0.001, @@4000], times = @@0 } ]\n'
        + '[[rule]]\nname = "c"\n' + WHEN + 'then = [ { actuator = "lamp", set = "on", follow = true, pattern = @@[1] } ]\n'
        + '[[rule]]\nname = "d"\n' + WHEN + 'then = [ { actuator = "lamp", set = "on", follow = true, times = @@3 } ]\n',
        ("rule.new.then[0].pattern", "an even number"), ("rule.b.then[0].pattern[0]", "at least 0.02"),
        ("rule.b.then[0].pattern[1]", "at most 3600"), ("rule.b.then[0].times", "at least 1"),
        ("rule.c.then[0].pattern", "at least 2"), ("rule.d.then[0].times", "add pattern"),
    ),
    more(
        "a pattern to and fro on the spot",
        RULE + WHEN + 'priority = 1\nthen = [ { actuator = "lamp", set = @@"off", follow = true, pattern = [0.2, 0.8] } ]\n',
        ("rule.new.then[0].set", 'write set = "on"'),
    ),
    more(
        "levels that follow nothing",
        RULE + "priority = 1\n" + WHEN + SET % '@@{ sensor = @@"dept", from = [1, 2], to = [0.2, 1] }'
        + '[[rule]]\nname = "b"\n' + WHEN + SET % '{ sensor = "depth", from = @@[1, 1], to = [0.2, 1] }'
        + '[[rule]]\nname = "c"\n' + WHEN + SET % '{ sensor = "depth", from = [1, 2], to = [0.2, @@1.5], @@setp = 1 }'
        + '[[rule]]\nname = "d"\n' + WHEN + SET.replace("follow = true", "for_s = 3")
        % '@@{ sensor = "depth", from = [1, 2], to = [0, 1] }'
        + '[[rule]]\nname = "e"\n' + WHEN + SET % '@@{ sensor = "depth", model = "meter", from = [1, 2], to = [0, 1] }',
        ("rule.new.then[0].set", "is on or off"), ("rule.new.then[0].set.sensor", 'did you mean "depth"'),
        ("rule.b.then[0].set.from", "two values that differ"), ("rule.c.then[0].set.to[1]", "level"),
        ("rule.c.then[0].set.setp", 'did you mean "step"'), ("rule.d.then[0].set", "follow = true"),
        ("rule.e.then[0].set", "either a sensor or a model"),
    ),
    more(
        "a level of what is no number",
        "\n[actuator.dimmer]\ndriver = 'pwm'\npin = 'GPIO18'\nsafe = 'off'\nmax_on_s = 60\n" + RULE + WHEN
        + 'then = [ { actuator = "dimmer", follow = true, set = { sensor = @@"pir", from = [0, 1], to = [0.2, 1] } } ]\n'
        + '[[rule]]\nname = "b"\npriority = 1\n' + WHEN
        + 'then = [ { actuator = "dimmer", follow = true, set = { model = @@"kind", from = [0, 1], to = [0.2, 1] } } ]\n'
        + '[[rule]]\nname = "c"\npriority = 1\n' + WHEN + 'then = [ { actuator = "dimmer", follow = true, set = @@0.5 } ]\n',
        ("rule.new.then[0].set.sensor", "gives no number"), ("rule.b.then[0].set.model", "scores and no value"),
        ("rule.c.then[0].set", "same priority"),
    ),
    more(
        "delays that cannot be",
        "\n[safety]\narm = { sensor = 'pir', is = true, delay_s = @@4000 }\n"
        + RULE + WHEN + "delay_s = @@30\n" + THEN
        + '[[rule]]\nname = "b"\n' + WHEN + "delay_s = @@601\n" + THEN.replace("follow = true", "for_s = 3"),
        ("safety.arm.delay_s", "at most 3600"), ("rule.new.delay_s", "nothing can follow"), ("rule.b.delay_s", "at most 600"),
    ),
    more(
        "times that no clock counts, and a line that no number is on",
        "\n[actuator.dimmer]\ndriver = 'recorder'\npath = 'dimmer.jsonl'\nsafe = 'off'\naccept_unguarded = true\n"
        "max_on_s = 9\n" + RULE + "when = [ { model = 'meter', rising_for_s = @@1e300, pause_s = @@1e300 } ]\n"
        "cooldown_s = @@1e300\nmax_per_hour = @@1_000_000_000_000_000_000_000\n"
        "then = [ { actuator = 'bell', set = 'on', for_s = @@1e300 },\n"
        "  { actuator = 'dimmer', follow = true, set = { sensor = 'depth', from = @@[-1e308, 1e308], to = [0, 1] } } ]\n",
        ("rule.new.when[0].rising_for_s", "at most 31536000"), ("rule.new.when[0].pause_s", "at most 31536000"),
        ("rule.new.cooldown_s", "at most 31536000"), ("rule.new.max_per_hour", "at most 100000"),
        ("rule.new.then[0].for_s", "at most 31536000"), ("rule.new.then[1].set.from", "further apart than a number can say"),
    ),
    more(
        "an output that one rule claims twice",
        RULE + WHEN + "priority = 1\nthen = [ { actuator = 'lamp', set = 'on', follow = true },\n"
        "  { actuator = @@'lamp', set = 'on', for_s = 30 } ]\n",
        ("rule.new.then[1].actuator", "a rule has one claim on lamp, and this is its second action"),
    ),
    more(
        "a rule name twice in a file", '\n[[rule]]\nname = @@"ring"\n' + WHEN + THEN, ("rule.ring.name", "a rule with this name")
    ),
    change(
        "half a level set at a relay",
        'set = "on", for_s',
        "set = @@0.5, for_s",
        ('rule."light the path".then[0].set', "on or off"),
    ),
    # several errors at once, in one file and over several
    more(
        "five errors in one rule",
        RULE
        + 'when = [ { sensor = @@"pri", @@aboev = 3, above = @@"x" } ]\n'
        + 'then = [ { actuator = @@"lmap", set = @@"onn", follow = true } ]\n',
        ("rule.new.when[0].sensor", "no sensor"),
        ("rule.new.when[0].aboev", "above"),
        ("rule.new.when[0].above", "a number"),
        ("rule.new.then[0].actuator", "lamp"),
        ("rule.new.then[0].set", "level"),
    ),
    more(
        "three sections",
        "\n@@[camera.b]\npath = 'x'\n\n[sensor.c]\ndriver = @@3\n\n@@[actuator.d]\ndriver = 'recorder'\npath = @@4\n",
        ("camera.b", "driver is missing"),
        ("sensor.c.driver", "must be text"),
        ("actuator.d", "safe is missing"),
        ("actuator.d.path", "path"),
    ),
    main(
        "a file of other things",
        "schema = 1\n@@name = 1\n[@@server]\nport = 1\n[[@@rules]]\n",
        ("name", "no such"),
        ("server", "no such"),
        ("rules", 'did you mean "rule"'),
    ),
    more(
        "an unknown driver whose common keys are wrong too",
        "\n[sensor.x]\ndriver = @@'gpoi-input'\nmax_age_ms = @@0\nrequired = @@'yes'\n",
        ("sensor.x.driver", 'did you mean "gpio-input"'),
        ("sensor.x.max_age_ms", "greater than 0"),
        ("sensor.x.required", "true or false"),
    ),
    main(
        "sections that are no tables",
        "schema = 1\ngpio = @@3\ncamera = @@[]\nsensor = { a = @@1 }\nrule = @@'x'\n",
        ("gpio", "must be a table"),
        ("camera", "table of tables"),
        ("sensor.a", "must be a table"),
        ("rule", "list of tables"),
    ),
    dropin(
        "errors in two drop-ins",
        {"10-a.toml": "[actuator.lamp]\nmax_on_s = @@-1\n", "20-b.toml": "[gpio]\n@@chp = 'x'\n"},
        ("actuator.lamp.max_on_s", "greater than 0"),
        ("gpio.chp", 'did you mean "chip"'),
    ),
    dropin(
        "a syntax error ends its own file only",
        {"10-a.toml": "[gpio]\nfactory =@@\n", "20-b.toml": "[gpio]\nfactory = @@'mok'\n"},
        ("syntax", "value is missing"),
        ("gpio.factory", 'did you mean "mock"'),
    ),
    dropin(
        "a drop-in that uses a pin of the main file",
        {"10-a.toml": "[actuator.fan]\ndriver = 'gpio-output'\npin = @@'GPIO17'\nsafe = 'on'\n"},
        ("actuator.fan.pin", "actuator.lamp has it"),
    ),
    dropin(
        "a drop-in that replaces a rule by a broken one",
        {
            "10-a.toml": '[[rule]]\nname = "ring"\nwhen = [ { sensor = "depth", @@abov = 1, above = 1 } ]\n'
            + THEN.replace("lamp", "bell")
            + "cooldown_s = @@-1\n"
        },
        ("rule.ring.when[0].abov", "above"),
        ("rule.ring.cooldown_s", "at least 0"),
    ),
    dropin(
        "a plain value where the main file has a table",
        {"10-a.toml": "gpio = @@3\n", "20-b.toml": "[camera]\ngate = @@'x'\n"},
        ("gpio", "a plain value here"),
        ("camera.gate", "a plain value here"),
    ),
    Case(
        "a main file with a syntax error, and a drop-in with another",
        {"reflexd.toml": "schema @@1\n", "conf.d/a.toml": "[daemon]\ndry_run = @@1\n[camera.gate]\nrate_hz = @@0\n"},
        [("syntax", "needs ="), ("daemon.dry_run", "true or false"), ("camera.gate.rate_hz", "greater than 0")],
    ),
    dropin(
        "windows line ends and characters of several bytes",
        {"a.toml": "# größer\r\n[daemon]\r\nsocket = '日本'\r\n\"dry_run\" = @@'日本'\r\n"},
        ("daemon.dry_run", "true or false"),
    ),
]
