"""Twenty reloads through systemd while outputs are active: what differs goes safe, is closed and opened, in that order.

Levels are read from the chip all the while. What is the same in two configurations must not move at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from tests.lab.service import Service

HEADER = "schema = 1\n"
PULLS = {"line17": "up", "line27": "down", "line22": "up", "line23": "down"}


@dataclass(frozen=True)
class Config:
    """What is varied."""

    outputs: dict[str, dict[str, Any]]
    sensors: dict[str, dict[str, Any]]
    rules: dict[str, tuple[str, str]]         # name → sensor, output
    more: str = ""
    rule_keys: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Write it as TOML."""
        parts = [HEADER, self.more]
        for kind, tables in (("sensor", self.sensors), ("actuator", self.outputs)):
            parts += [f"[{kind}.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
                      for name, keys in tables.items()]
        for name, (sensor, output) in self.rules.items():
            parts.append(f'[[rule]]\nname = "{name}"\n{self.rule_keys.get(name, "")}\n'
                         f'when = [{{ sensor = "{sensor}", is = true }}]\n'
                         f'then = [{{ actuator = "{output}", set = "on", follow = true }}]\n')
        return "\n".join(parts)

    def with_output(self, name: str, **keys: Any) -> Config:
        before = self.outputs.get(name, {"driver": "gpio-output", "safe": "off"})
        return replace(self, outputs={**self.outputs, name: {**before, **keys}})

    def without(self, *names: str) -> Config:
        return replace(self, outputs={name: one for name, one in self.outputs.items() if name not in names},
                       sensors={name: one for name, one in self.sensors.items() if name not in names},
                       rules={name: one for name, one in self.rules.items() if not {name, *one} & set(names)})


def button(pin: str) -> dict[str, Any]:
    """Write an input. With a pull of its own it would let the simulated button go whenever it is opened anew.

    A network that is loaded under emulation starves everything for seconds: a reading has to stay fresh for longer.
    """
    return {"driver": "gpio-input", "pin": pin, "pull": "none", "max_age_ms": 10_000}


BASE = Config(
    outputs={"lamp": {"driver": "gpio-output", "pin": "GPIO17", "safe": "off"},
             "valve": {"driver": "gpio-output", "pin": "GPIO27", "safe": "off", "active": "low"}},
    sensors={"door": button("GPIO4"), "key": button("GPIO5")},
    rules={"light": ("door", "lamp"), "flow": ("key", "valve")},
)
METER = """
[camera.meter]
driver = "replay"
path = "/usr/share/doc/reflexd/examples/meter/meter.avi"
rate_hz = 2
max_age_ms = 5000

[model.meter]
bundle = "meter"
camera = "meter"
regions = [[0.1133, 0.25, 0.1328, 0.4219], [0.2734, 0.25, 0.1328, 0.4219]]
"""
ON = {17: 1, 27: 0}
horn = BASE.with_output("horn", pin="GPIO22")
loud = replace(horn, rules={**horn.rules, "alarm": ("door", "horn")})
swapped = loud.with_output("lamp", pin="GPIO22").with_output("horn", pin="GPIO17")
flipped = swapped.with_output("horn", active="low")
moved = BASE.with_output("lamp", pin="GPIO23")
belled = replace(BASE.without("lamp"), sensors={**BASE.sensors, "bell": button("GPIO17")})
aged = replace(BASE, sensors={**BASE.sensors, "door": {**BASE.sensors["door"], "max_age_ms": 9000}})
watching = replace(aged, more=METER)
stopped = replace(BASE, sensors={**BASE.sensors, "stop": button("GPIO6")},
                  more='[safety]\nstop = { sensor = "stop", is = true }\n')

# name, configuration, levels in the end, lines that must not move meanwhile
STEPS: list[tuple[str, Config, dict[int, int], tuple[int, ...]]] = [
    ("an output is added", horn, {**ON, 22: 0}, (17, 27)),
    ("a rule is added", loud, {**ON, 22: 1}, (17, 27)),
    ("two pins are swapped", swapped, {**ON, 22: 1}, (27,)),
    ("an active level is turned round", flipped, {17: 0, 27: 0, 22: 1}, (22, 27)),
    ("and back", swapped, {**ON, 22: 1}, (22, 27)),
    ("a rule is removed", replace(swapped, rules={**BASE.rules}), {17: 0, 27: 0, 22: 1}, (22, 27)),
    ("an output is removed", BASE, {**ON, 22: 0}, (27,)),
    ("a pin is moved", moved, {17: 0, 27: 0, 23: 1}, (27,)),
    ("and back again", BASE, {**ON, 23: 0}, (27,)),
    ("a rule gets another name", replace(BASE, rules={"lamp by door": ("door", "lamp"), "flow": ("key", "valve")}), ON, (27,)),
    ("a rule gets a rest", replace(BASE, rule_keys={"light": "cooldown_s = 0.1"}), ON, (27,)),
    ("a sensor is changed", aged, ON, (27,)),
    ("a camera and its network are added", watching, ON, (17, 27)),
    ("a network is changed", replace(watching, more=METER + "plausible.max_rise_per_min = 60\n"), ON, (17, 27)),
    ("both are removed", aged, ON, (17, 27)),
    ("an output's bound is changed", BASE.with_output("lamp", max_on_s=300), ON, (27,)),
    ("an output becomes an input", belled, {27: 0}, (27,)),
    ("and an output", BASE, ON, (27,)),
    ("a stop is added", stopped, ON, ()),
    ("and removed", BASE, ON, ()),            # until nothing asks for it any more, a stop that is gone is a stop
]

DRIVER = """
import json, os, shutil, subprocess, sys, time
limit_s = float(sys.argv[1])
lines = [17, 27, 22, 23]
files = [os.open(f"/run/lab-chip/sim_gpio{line}/value", os.O_RDONLY) for line in lines]
levels = lambda: [int(os.pread(file, 8, 0)) for file in files]
for number, wanted in enumerate(json.load(open("/run/steps/wanted.json"))):
    shutil.copy(f"/run/steps/{number}.toml", "/etc/reflexd/reflexd.toml")
    began = time.monotonic()
    reload = subprocess.Popen(["systemctl", "reload", "reflexd"])
    last = levels()
    moves, gap, sampled = [], 0.0, began
    while time.monotonic() - began < limit_s:
        now, seen = time.monotonic(), levels()
        gap, sampled = max(gap, now - sampled), now
        moves += [[now - began, line, new] for line, old, new in zip(lines, last, seen) if old != new]
        last = seen
        if reload.poll() is not None and all(dict(zip(lines, seen))[int(line)] == level for line, level in wanted.items()):
            break
        time.sleep(0.001)
    print(json.dumps({"moves": moves, "status": reload.wait(), "end": dict(zip(lines, last)), "gap_ms": gap * 1e3,
                      "took_s": time.monotonic() - began}), flush=True)
    if reload.returncode:
        break
"""


def test_twenty_reloads_exchange_what_differs_and_move_nothing_else(service: Service) -> None:
    assert len(STEPS) == 20
    service.devices("keep", **PULLS)
    service.start(BASE.text())
    pid = service.show("MainPID")
    service.pull(4, "up")
    service.pull(5, "up")
    service.until("both outputs are on", lambda: {line: service.level(line) for line in ON} == ON)
    for number, (_, config, _, _) in enumerate(STEPS):
        service.put(f"/run/steps/{number}.toml", config.text())
    service.put("/run/steps/wanted.json", json.dumps([wanted for _, _, wanted, _ in STEPS]))
    results = service.script(DRIVER, 12 * service.machine.pace, limit_s=200)
    before = BASE
    for (name, config, wanted, still), seen in zip(STEPS, results, strict=False):      # the first that fails is the last
        print(f"{name}: {seen}")
        assert seen["status"] == 0, f"{name}\n{service.log()}"
        assert {line: seen["end"][str(line)] for line in wanted} == wanted, f"{name}\n{service.log()}"
        assert not [move for move in seen["moves"] if move[1] in still], f"{name}: what is the same moved: {seen['moves']}"
        assert_safe_before_open(name, before, config, seen["moves"])
        before = config
    assert len(results) == len(STEPS)
    assert service.show("MainPID") == pid, "the same process all the while"


def driven(config: Config) -> dict[str, tuple[int, int, int]]:
    """Give line, safe level and on level of each output."""
    levels = {"high": (0, 1), "low": (1, 0)}
    return {name: (int(keys["pin"].removeprefix("GPIO")), *levels[keys.get("active", "high")])
            for name, keys in config.outputs.items()}


def assert_safe_before_open(name: str, old: Config, new: Config, moves: list[list[Any]]) -> None:
    """Everything that leaves is at its safe level before anything that comes is driven on. A short level may be missed."""
    gone = [one for output, one in driven(old).items() if new.outputs.get(output) != old.outputs[output]]
    come = [one for output, one in driven(new).items() if new.outputs[output] != old.outputs.get(output)]
    first = {(line, level): at for at, line, level in reversed(moves)}
    last = {(line, level): at for at, line, level in moves}
    safe_at = {(line, safe): first[line, safe] for line, safe, _ in gone if (line, safe) in first}
    # turned round, a line's old safe level is its new active one: seen once only, nobody can tell which of the two it was
    on_at = [last[line, on] for line, _, on in come if (line, on) in last and last[line, on] != safe_at.get((line, on))]
    if safe_at and on_at:
        assert max(safe_at.values()) < min(on_at), f"{name}: {moves}"
