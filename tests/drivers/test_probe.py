"""What is found of what is plugged in, in trees of devices that are planted."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from reflexd_drivers.cameras.v4l2 import CAP_CAPTURE, CAP_MEDIA, CAP_STREAMING, Card, SizeRange
from reflexd_drivers.probe import ANSWER_S, Found, FoundCamera, FoundChip, FoundPort, find_cameras, find_chips, find_ports, probe
from tests.drivers.terminals import Terminal

STREAMS = CAP_CAPTURE | CAP_STREAMING
VGA, HD = ((640, 480), (640, 480)), ((1280, 720), (1280, 720))


class Node:
    """A video node that answers as the kernel would, or not at all."""

    def __init__(self, name: str = "Webcam", can: int = STREAMS, driver: str = "uvcvideo",
                 formats: dict[str, list[SizeRange]] | None = None, hangs: threading.Event | None = None) -> None:
        self._card = Card(driver, name, can)
        self._formats = {"YUYV": [VGA, HD], "H264": [HD]} if formats is None else formats
        self._hangs = hangs
        self.closed = False

    def card(self) -> Card:
        if self._hangs is not None:
            self._hangs.wait()
        return self._card

    def codes(self) -> list[str]:
        return list(self._formats)

    def sizes(self, code: str) -> list[SizeRange]:
        return self._formats[code]

    def close(self) -> None:
        self.closed = True


class Tree:
    """A root in which video nodes are planted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.nodes: dict[str, Node | OSError] = {}

    def plant(self, name: str, node: Node | OSError, link: str = "") -> None:
        path = self.root / "dev" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        self.nodes[str(path)] = node
        if link:
            place = self.root / "dev" / link
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)

    def open(self, path: str) -> Node:
        node = self.nodes[path]
        if isinstance(node, OSError):
            raise node
        return node

    def cameras(self) -> list[FoundCamera]:
        return list(find_cameras(self.root, self.open))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_camera_is_found_with_the_formats_that_are_read_and_closed_again(tree: Tree) -> None:
    node = Node()
    tree.plant("video0", node, "v4l/by-id/usb-Webcam-video-index0")
    (camera,) = tree.cameras()
    assert camera.device == str(tree.root / "dev/v4l/by-id/usb-Webcam-video-index0")
    assert (camera.card, camera.formats, camera.holder) == ("Webcam", {"YUYV": (VGA, HD)}, None)
    assert node.closed


def test_names_go_by_what_it_is_then_by_where_it_is_then_by_number(tree: Tree) -> None:
    tree.plant("video10", Node())
    tree.plant("video2", Node(), "v4l/by-path/platform-usb-video-index0")
    assert [Path(one.device).name for one in tree.cameras()] == ["platform-usb-video-index0", "video10"]


@pytest.mark.parametrize("node", [
    Node(can=CAP_STREAMING), Node(can=CAP_CAPTURE), Node(can=STREAMS | CAP_MEDIA), Node(driver="bcm2835-isp"),
    Node(formats={"H264": [HD], "pBAA": []}), PermissionError(errno.EACCES, "no"), OSError(errno.ENODEV, "gone"),
], ids=["metadata", "no streaming", "needs a media graph", "a converter", "raw sensor", "not for this user", "unplugged"])
def test_what_the_driver_cannot_read_is_left_out(tree: Tree, node: Node | OSError) -> None:
    tree.plant("video0", node)
    tree.plant("video1", Node("another"))
    assert [one.card for one in tree.cameras()] == ["another"]


def test_a_node_that_never_answers_costs_a_bounded_time(tree: Tree) -> None:
    let_go = threading.Event()
    tree.plant("video0", Node(hangs=let_go))
    tree.plant("video1", Node("another"))
    began = time.monotonic()
    assert [one.card for one in tree.cameras()] == ["another"]
    assert time.monotonic() - began < ANSWER_S + 1
    let_go.set()


def test_a_plain_file_is_neither_camera_nor_chip(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("video0", "gpiochip0", "gpiochipX"):
        (tmp_path / "dev" / name).touch()
    assert probe(tmp_path) == Found()


@pytest.mark.parametrize(("sizes", "nearest"), [
    ([HD, VGA], (640, 480)), ([HD, ((320, 240), (320, 240))], (320, 240)), ([((16, 16), (4096, 2160))], (640, 480)),
    ([((800, 600), (1600, 1200))], (800, 600)), ([], None),
])
def test_the_size_nearest_to_the_wanted_one_is_chosen(sizes: list[SizeRange], nearest: tuple[int, int] | None) -> None:
    assert FoundCamera("/dev/video0", "Webcam", {"MJPG": tuple(sizes), "GREY": (VGA,)}).nearest() == nearest


def test_chips_are_found_in_the_order_of_their_numbers_and_the_header_by_its_label(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for number in (10, 2):
        (tmp_path / "dev" / f"gpiochip{number}").touch()
    (tmp_path / "dev" / "gpiochip4").symlink_to("gpiochip10")
    labels = {"gpiochip2": "raspberrypi-exp-gpio", "gpiochip10": "pinctrl-rp1"}
    chips = tuple(find_chips(tmp_path, lambda path: FoundChip(path, labels[Path(path).name], 54, {17: "fan"})))
    assert [chip.header for chip in chips] == [False, True]
    assert Found(chips=chips).header is chips[1]
    assert Found().header is None


@pytest.fixture
def port(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    return tmp_path / "dev" / "ttyUSB0"


def test_a_port_is_found_and_not_opened(tmp_path: Path, port: Path) -> None:
    terminal = Terminal(port)
    (port.parent / "serial" / "by-id").mkdir(parents=True)
    (port.parent / "serial" / "by-id" / "usb-Arduino").symlink_to(port)
    try:
        assert list(find_ports(tmp_path)) == [FoundPort(str(port.parent / "serial" / "by-id" / "usb-Arduino"))]
    finally:
        terminal.close()


def test_who_holds_a_port_is_told(tmp_path: Path, port: Path) -> None:
    port.touch()
    process = tmp_path / "proc" / "4711"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("minicom\n")
    (process / "fd" / "3").symlink_to(port)
    assert list(find_ports(tmp_path)) == [FoundPort(str(port), "minicom (process 4711)")]


def test_of_the_boards_own_ports_those_count_that_have_a_chip_behind_them(tmp_path: Path) -> None:
    classes = tmp_path / "sys" / "class" / "tty"
    (tmp_path / "dev").mkdir()
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0"), ("ttyS2", "4")):
        (tmp_path / "dev" / name).touch()
        (classes / name).mkdir(parents=True)
        (classes / name / "type").write_text(f"{kind}\n")
    (classes / "console").mkdir()
    (classes / "console" / "active").write_text("tty0 ttyS0\n")
    found = [(Path(one.port).name, one.holder) for one in find_ports(tmp_path)]
    assert found == [("ttyS0", "the kernel's console"), ("ttyS2", None)]


def test_this_computer_is_looked_at_without_harm() -> None:
    began = time.monotonic()
    found = probe()
    assert time.monotonic() - began < 20
    assert all(os.path.lexists(one.port) for one in found.ports)


def test_who_looks_at_a_camera_is_not_its_holder(tree: Tree) -> None:
    tree.plant("video0", Node())
    (tree.root / "proc").symlink_to("/proc")
    video = tree.root / "dev" / "video0"

    class Held(Node):
        def __init__(self) -> None:
            super().__init__()
            self._file = video.open()

        def close(self) -> None:
            self._file.close()

    def held() -> str | None:
        camera, = find_cameras(tree.root, lambda _path: Held())
        return camera.holder

    assert held() is None
    with video.open():
        assert str(os.getpid()) in str(held())
