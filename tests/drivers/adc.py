"""Converters on the bus of a mock header: they answer the bits of a transfer as the data sheets of the family say."""

from __future__ import annotations

from typing import Any

from gpiozero.pins.mock import MockFactory

from reflexd_drivers import gpio
from reflexd_drivers.gpio_mock import listen_to_mock


class Mcp:
    """A converter with eight inputs; `codes` are what their voltages come to, differential ones by their first input."""

    bits_per_word = 8

    def __init__(self, bits: int = 10) -> None:
        self.chip = f"adc-{id(self)}"
        self.bits = bits
        self.codes = [0] * 8
        self.asked: list[tuple[int, bool]] = []
        self.opened = 0
        converter = self

        class Board(MockFactory):   # type: ignore[misc]  # gpiozero has no types
            """Pins with one converter at the hardware's SPI."""

            def _get_spi_class(self, shared: bool, hardware: bool) -> Any:
                assert hardware, "never clocked by hand"
                return converter.open

        gpio._headers["mock", self.chip] = gpio.Header(Board(), self.chip, lambda _line: "", listen_to_mock)

    def open(self, **_pins: Any) -> Mcp:
        """Give the bus to one more."""
        self.opened += 1
        return self

    def close(self) -> None:
        """Take the bus back from one."""
        self.opened -= 1

    def transfer(self, words: list[int]) -> list[int]:
        """Answer while the words are clocked in: after start, mode and channel come a sample, a 0 and the code."""
        heard = "".join(f"{word:08b}" for word in words)
        start = heard.index("1")
        single, channel = heard[start + 1] == "1", int(heard[start + 2:start + 5], 2)
        self.asked.append((channel, single))
        signed = self.bits == 12 and not single and self.codes[channel] < 0
        code = f"{self.codes[channel] % 8192:013b}"[0 if signed else 13 - self.bits:]
        said = "1" * (len(heard) - 1 - len(code)) + ("" if signed else "0") + code     # what nobody drives is read as 1
        said = said[-len(heard):].rjust(len(heard), "1")
        return [int(said[at:at + 8], 2) for at in range(0, len(said), 8)]
