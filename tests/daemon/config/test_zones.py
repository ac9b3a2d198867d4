"""Zones, masks, lines and rates: what fits, and each message at its place. @@ marks where an error is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflexd.config.load import ConfigError, Loaded, load
from reflexd_models import tasks

FINDER = """\
schema = 1
name = "finder"
file = "finder.tflite"
sha256 = "%s"
task = "finder"
labels = ["person", "dog"]
""" % ("0" * 64)

# The first lines of [model.person] and of the rule stand in the design as they are here.
BASE = """\
schema = 1

[gpio]
factory = "mock"

[camera.gate]
driver = "replay"
path = "gate.npz"
rate_hz = 30
max_age_ms = 200

[model.person]
bundle = "bundles/finder"
camera = "gate"
only_while = [ { sensor = "pir", is = true } ]
zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]
masks = [ [[0, 0], [0.2, 0], [0, 0.2]] ]
lines.gate = [[0.5, 0.2], [0.5, 1.0]]
min_area = 0.01
max_area = 0.5
stands_at = "bottom"
rate_hz = 10

[model.kind]
bundle = "bundles/kind"
camera = "gate"

[sensor.pir]
driver = "gpio-input"
pin = "GPIO4"
pull = "down"

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"
max_on_s = 300

[[rule]]
name = "light the path"
when = [
  { model = "person", label = "person", at_least = 0.70, release_below = 0.50, hits = 3, of = 5, zone = "path" },
]
then = [ { actuator = "lamp", set = "on", for_s = 30 } ]

[[rule]]
name = "greet"
when = [ { model = "person", label = "dog", crosses = "gate", direction = "forward" } ]
unless = [ { model = "person", label = "person", at_least = 0.5, zone = "path", count = 3, dwell_s = 2.5 } ]
then = [ { actuator = "lamp", set = "on", for_s = 3 } ]

[[rule]]
name = "cat"
when = [ { model = "kind", label = "cat", at_least = 0.5 } ]
then = [ { actuator = "lamp", set = "on", for_s = 3 } ]
"""


@pytest.fixture
def scene(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the bundle of a detector beside the one of a classifier."""
    monkeypatch.setitem(tasks.TASKS, "finder", "tests.daemon.config.finder")
    bundle = folder / "bundles" / "finder"
    bundle.mkdir()
    (bundle / "model.toml").write_text(FINDER)
    return folder


def read(folder: Path, text: str) -> Loaded:
    (folder / "reflexd.toml").write_text(text)
    return load(folder / "reflexd.toml")


def test_what_the_design_writes_is_taken_as_it_is(scene):
    loaded = read(scene, BASE)
    assert loaded.warnings == ()
    model = loaded.settings.model["person"]
    assert model.zones == {"path": ((0.1, 0.4), (0.9, 0.4), (0.9, 1.0), (0.1, 1.0))}
    assert model.lines == {"gate": ((0.5, 0.2), (0.5, 1.0))}
    assert loaded.settings.rule[0].when[0].zone == "path"


PLACE = "tells no place"
FAULTS = [
    ("a zone that crosses itself", "zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]",
     "zones.path = @@[[0.1, 0.4], [0.9, 1.0], [0.9, 0.4], [0.1, 1.0]]", "model.person.zones.path", "sides of this polygon cross"),
    ("a zone without area", "zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]",
     "zones.path = @@[[0.1, 0.4], [0.5, 0.4], [0.9, 0.4]]", "model.person.zones.path", "next to no area"),
    ("a zone of two corners", "zones.path = [[0.1, 0.4], [0.9, 0.4], [0.9, 1.0], [0.1, 1.0]]",
     "zones.path = @@[[0.1, 0.4], [0.5, 0.4]]", "model.person.zones.path", "a list of at least 3"),
    ("a corner out of the frame", "[0.9, 1.0], [0.1, 1.0]]", "[0.9, @@1.5], [0.1, 1.0]]",
     "model.person.zones.path[2][1]", "at most 1"),
    ("a corner of three numbers", "[0.9, 1.0], [0.1, 1.0]]", "@@[0.9, 1.0, 0], [0.1, 1.0]]",
     "model.person.zones.path[2]", "a list of at most 2"),
    ("a name that no zone can have", "zones.path", "zones.'the path' = [[0, 0], [1, 0], [1, 1]]\nzones.path",
     "model.person.zones", 'found "the path"'),
    ("a zone that is no list", "min_area = 0.01", "min_area = 0.01\nzones.door = @@3", "model.person.zones.door", "a list"),
    ("a mask without area", "[0.2, 0], [0, 0.2]]", "[0.2, 0], [0.1, 0]]", "model.person.masks[0]", "next to no area"),
    ("a line of one point", "[[0.5, 0.2], [0.5, 1.0]]", "@@[[0.5, 0.2], [0.5, 0.2]]", "model.person.lines.gate", "where it ends"),
    ("a line of three points", "[[0.5, 0.2], [0.5, 1.0]]", "@@[[0.5, 0.2], [0.5, 0.2], [0, 0]]",
     "model.person.lines.gate", "a list of at most 2"),
    ("areas the wrong way round", "min_area = 0.01", "min_area = @@0.6", "model.person.min_area", "greater than max_area"),
    ("an area in pixels", "max_area = 0.5", "max_area = @@400", "model.person.max_area", "at most 1"),
    ("a place to stand that there is not", '"bottom"', '@@"botom"', "model.person.stands_at", 'did you mean "bottom"'),
    ("a zone that the model does not have", 'of = 5, zone = "path"', 'of = 5, zone = @@"pahth"',
     'rule."light the path".when[0].zone', 'did you mean "path"'),
    ("a zone that is nothing like one", 'of = 5, zone = "path"', 'of = 5, zone = @@"door"',
     'rule."light the path".when[0].zone', "known here: path"),
    ("a line that the model does not have", 'crosses = "gate"', 'crosses = @@"gaet"', "rule.greet.when[0].crosses",
     'did you mean "gate"'),
    ("a direction that there is not", '"forward"', '@@"forwards"', "rule.greet.when[0].direction", 'did you mean "forward"'),
    ("a direction without a line", 'crosses = "gate", ', "", "rule.greet.when[0]", "crosses is missing"),
    ("hits of a crossing", '"gate", direction', '"gate", @@hits = 2, direction', "rule.greet.when[0].hits", "no such key"),
    ("a label that the bundle does not have", '"dog", crosses', '@@"dgo", crosses',
     "rule.greet.when[0].label", 'did you mean "dog"'),
    ("a count of none", "count = 3", "count = @@0", "rule.greet.unless[0].count", "at least 1"),
    ("a count of more than the model ever tells", "count = 3", "count = @@21", "rule.greet.unless[0].count", "at most 20 things"),
    ("a dwell of no time", "dwell_s = 2.5", "dwell_s = @@0", "rule.greet.unless[0].dwell_s", "greater than 0"),
    ("a zone of a classifier", 'label = "cat", at_least = 0.5', 'label = "cat", at_least = 0.5, @@zone = "path"',
     "rule.cat.when[0].zone", PLACE),
    ("a count of a classifier", 'label = "cat", at_least = 0.5', 'label = "cat", at_least = 0.5, @@count = 2',
     "rule.cat.when[0].count", PLACE),
    ("a dwell of a classifier", 'label = "cat", at_least = 0.5', 'label = "cat", at_least = 0.5, @@dwell_s = 2',
     "rule.cat.when[0].dwell_s", PLACE),
    ("a crossing of a classifier", 'label = "cat", at_least = 0.5', 'label = "cat", @@crosses = "gate"',
     "rule.cat.when[0].crosses", PLACE),
    ("zones of a classifier", '[model.kind]\n', '[model.kind]\n@@zones.path = [[0, 0], [1, 0], [1, 1]]\n',
     "model.kind.zones", "gives no detections"),
    ("masks of a classifier", '[model.kind]\n', '[model.kind]\n@@masks = []\n', "model.kind.masks", "gives no detections"),
    ("predictions so rare that nothing is known between", "rate_hz = 10\n", "rate_hz = @@5\n", "model.person.rate_hz",
     "predictions come up to 233 ms apart"),
    ("a rate of nothing", "rate_hz = 10\n", "rate_hz = @@0\n", "model.person.rate_hz", "greater than 0"),
]


@pytest.mark.parametrize(("old", "new", "where", "words"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_every_error_of_a_scene_is_told_at_its_place(scene, old, new, where, words):
    assert BASE.count(old) == 1, old
    text = BASE.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        read(scene, text.replace("@@", ""))
    (error,) = [one for one in caught.value.problems if one.severity == "error"]
    assert error.where == where
    assert words in error.headline
    assert error.remedy
    if "@@" in text:
        before = text[:text.index("@@")]
        assert (error.line, error.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(("old", "new", "where", "words"), [
    ('of = 5, zone = "path"', "of = 5", "", ""),       # another rule still uses it
    ('zone = "path", count = 3', "count = 3", "", ""),
    ("min_area = 0.01", "min_area = 0.01\nzones.door = [[0, 0], [1, 0], [1, 1]]",
     "model.person.zones.door", "no rule uses this zone"),
    ("min_area = 0.01", "min_area = 0.01\nlines.door = [[0, 0], [1, 0]]", "model.person.lines.door", "no rule uses this line"),
    ("rate_hz = 10\n", "rate_hz = 30\n", "model.person.rate_hz", "its camera gives 30 frames a second"),
], ids=["used by the other", "used by the one", "zone", "line", "rate"])
def test_what_is_hardly_meant_in_a_scene_is_a_warning(scene, old, new, where, words):
    assert BASE.count(old) == 1, old
    told = [(one.where, words in one.headline) for one in read(scene, BASE.replace(old, new)).warnings]
    assert told == ([(where, True)] if where else [])


def test_zones_of_several_files_come_together(scene):
    (scene / "conf.d").mkdir()
    (scene / "conf.d" / "a.toml").write_text("[model.person]\nzones.door = [[0, 0], [1, 0], [1, 1]]\n")
    assert set(read(scene, BASE).settings.model["person"].zones) == {"path", "door"}
