"""reflexctl probe: what is found is told with a table that passes the check as it stands."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflexd.config.load import load
from reflexd.ctl.__main__ import main
from reflexd.ctl.probe import comment, lines, toml
from reflexd.found import Item, camera_item, chip_item, everything, lens_item, listened, port_item, pwm_item, sensor_item, unseen
from reflexd.paste import Names, Table, value_in
from reflexd_drivers.cameras.libcamera_list import FoundSensor as FoundLens
from reflexd_drivers.probe import FoundCamera, FoundChip, FoundPort
from reflexd_drivers.probe_kernel import FoundPwm, FoundSensor
from reflexd_drivers.probe_serial import Heard
from tests.drivers.terminals import Terminal
from tests.drivers.test_probe_more import plant

VGA, ANY = ((640, 480), (640, 480)), ((16, 16), (4096, 2160))
SAID = ["21.5", "1,2.5,x", "T=71.5 P=1.2", '{"temp": 21.5}', '{"on": true}', "x,y", "ready",
        'say "\\d+" (now)', "[[", "a.b: 3", "7.5 °C"]


def items() -> list[Item]:
    """Give everything that can be found at once, and some of it twice."""
    names = Names()
    return [
        camera_item(FoundCamera("/dev/v4l/by-id/usb-Cam", 'Cam "x"\x07', {"YUYV": (VGA,), "MJPG": (ANY,)},
                                "motion (pid 7)"), names),
        camera_item(FoundCamera("/dev/video2", "Bare", {"GREY": ()}), names),
        chip_item(FoundChip("/dev/gpiochip0", "pinctrl-rp1", 54, {4: "fan", 17: "the kernel"}), True, names),
        chip_item(FoundChip("/dev/gpiochip1", "expander", 16), False, names),
        *(port_item(FoundPort(f"/dev/ttyUSB{at}"), Heard("text", 115200, (line,)), names) for at, line in enumerate(SAID)),
        port_item(FoundPort("/dev/ttyS0", "getty"), Heard("silent"), names),
        port_item(FoundPort("/dev/ttyUSB99"), Heard("text", 4800, ("$GPGGA,1,2", "$GPXXX,1", "$GPRMC,1,2")), names),
        lens_item(FoundLens("/base/soc/i2c0mux/i2c@1/imx708@1a", 0, "imx708", ((1536, 864), (4608, 2592))), names),
        lens_item(FoundLens("sim", 1, "tiny", ((321, 241),)), names),
        sensor_item(FoundSensor("iio", "/sys/bus/iio/devices/iio:device0", "mcp3008", {"in_voltage0_raw": "512"}), names),
        sensor_item(FoundSensor("hwmon", "/sys/class/hwmon/hwmon0", "sht3x", {"temp1_input": ""}), names),
        sensor_item(FoundSensor("one-wire", "/sys/bus/w1/devices/28-0316a2795fff", "28", {"temperature": "2"}), names),
        sensor_item(FoundSensor("thermal", "/sys/class/thermal/thermal_zone0", "cpu-thermal", {"temp": "48312"}), names),
        pwm_item(FoundPwm("/sys/class/pwm/pwmchip0", "1f00098000.pwm", 4, (2,)), names),
    ]


def errors(text: str, folder: Path) -> list[str]:
    """Give what the check finds wrong with a configuration of tables; that nothing uses them yet is no error."""
    (folder / "reflexd.toml").write_text(f"schema = 1\n{text}\n")
    try:
        load(folder / "reflexd.toml")
    except Exception as error:     # with each problem on a line of its own
        return [line for line in str(error).splitlines() if ": warning: " not in line and ".toml:" in line] or [str(error)]
    return []


@pytest.mark.parametrize("item", items(), ids=lambda one: one.where)
def test_every_table_passes_the_check_as_it_stands(item: Item, tmp_path: Path) -> None:
    assert errors(toml(item), tmp_path) == []


def test_the_whole_output_is_one_configuration(tmp_path: Path) -> None:
    text = "\n".join(lines(items(), ["/dev/video9: permission denied\n[evil]"]))
    assert errors(text, tmp_path) == []
    made = tomllib.loads(text)
    assert len(made["sensor"]) >= len(SAID)
    assert made["camera"]["camera1"] == {"driver": "usb", "device": "/dev/v4l/by-id/usb-Cam", "size_px": [640, 480]}


def test_a_chip_that_is_not_the_headers_is_named_for_every_pin(tmp_path: Path) -> None:
    item = chip_item(FoundChip("/dev/gpiochip0", 'INT33FF:00 "x"', 8, {2: "x", 3: "y"}), True, Names())
    assert errors(toml(item), tmp_path) == []
    assert tomllib.loads(toml(item))["gpio"] == {"chip": 'INT33FF:00 "x"'}
    assert tomllib.loads(toml(item))["sensor"]["pin1"]["pin"] == "GPIO4"


def test_the_fan_of_the_board_is_not_offered_as_an_output() -> None:
    item = pwm_item(FoundPwm("/sys/class/pwm/pwmchip2", "1f0009c000.pwm", 4), Names())
    assert item.tables == ()
    assert "it drives the fan of the board itself: leave it alone" in item.about


def test_no_pin_is_offered_that_somebody_uses() -> None:
    chip = FoundChip("/dev/gpiochip0", "pinctrl-bcm2711", 58, dict.fromkeys(range(58), "all"))
    assert chip_item(chip, True, Names()).tables == ()
    free = tomllib.loads(toml(chip_item(FoundChip("/dev/gpiochip0", "pinctrl-bcm2711", 58, {4: "w1", 17: "fan"}), True, Names())))
    assert (free["sensor"]["pin1"]["pin"], free["actuator"]["output1"]["pin"]) == ("GPIO22", "GPIO27")


@pytest.mark.parametrize(("line", "keys"), list(zip(SAID, [
    {}, {"column": 1}, {"pattern": "T=(-?[0-9.]+)"}, {"json": "temp"}, {"value": "text"}, {"value": "text"}, {"value": "text"},
    {"value": "text"}, {"value": "text"}, {"pattern": "b: (-?[0-9.]+)"}, {"value": "text"},
], strict=True)))
def test_what_to_take_out_of_a_line_is_proposed(line: str, keys: dict[str, object]) -> None:
    assert value_in(line) == keys


def test_a_port_is_listened_to_only_where_it_is_known_that_nobody_holds_it() -> None:
    heard: list[str] = []

    def listener(port: str) -> Heard:
        heard.append(port)
        return Heard("silent")

    free, held = FoundPort("/dev/ttyUSB0"), FoundPort("/dev/ttyUSB1", "octoprint (process 7)")
    assert listened(free, "free", True, listener).found == "silent"
    assert "only root sees whether" in listened(free, "free", False, listener).found
    assert listened(free, "always", False, listener).found == "silent"
    assert listened(free, "never", True, listener).found == "not opened: --no-listen"
    for how in ("free", "always", "never"):
        assert listened(held, how, True, listener).found == "not opened: it is in use by octoprint (process 7)"
    assert heard == ["/dev/ttyUSB0", "/dev/ttyUSB0"]


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "dev").mkdir()
    terminal = Terminal(tmp_path / "dev" / "ttyUSB0")
    terminal.keep_saying(b'{"temp": 21.5}\n', 0.05)
    yield tmp_path
    terminal.close()


def test_everything_below_a_root_is_found_and_pasted(talking: Path) -> None:
    plant(talking, "sys/class/thermal/thermal_zone0", type="cpu-thermal", temp="48312")
    plant(talking, "sys/class/pwm/pwmchip0", npwm="2")
    found = {one.kind: one for one in everything("always", talking, tuple)}
    assert found["serial"].about[:2] == (
        "opened to listen, which restarts many boards: text at 9600 baud", 'says: {"temp": 21.5}')
    assert tomllib.loads(toml(found["serial"]))["sensor"]["serial1"]["json"] == "temp"
    assert tomllib.loads(toml(found["sensor"]))["sensor"]["chip1"]["driver"] == "cpu-temperature"
    assert found["sensor"].about == ("thermal: cpu-thermal", "temp = 48312")
    assert found["pwm"].about[0].startswith("2 channels")


def test_who_may_not_see_all_is_told_what_and_why(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("video0", "gpiochip0", "null"):
        (tmp_path / "dev" / name).touch()
    assert unseen(tmp_path, root_user=True) == []
    video, *others = unseen(tmp_path, root_user=False, may=lambda node: node.name != "video0")
    assert video.startswith(f"{tmp_path}/dev/video0: permission denied; ")
    assert video.endswith("use sudo")
    assert others == ["which program holds a device of another user: use sudo"]


def test_this_computer_is_probed_without_a_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["probe", "--no-listen"]) == 0
    told = capsys.readouterr()
    assert errors(told.out, tmp_path) == []
    assert "Traceback" not in told.err
    assert main(["probe", "--no-listen", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


def test_listen_and_no_listen_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["probe", "--listen", "--no-listen"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_comment_stays_one_line_whatever_a_device_says() -> None:
    assert comment("a\nb\x1b[31m\x85") == "# a?b?[31m?"


def test_a_table_says_what_its_keys_are_for() -> None:
    table = Table("sensor.a", {"driver": "x\x7f"}, {"driver": "why"})
    assert str(table) == "[sensor.a]\n" + 'driver = "x\\u007f"'.ljust(40) + " # why"
