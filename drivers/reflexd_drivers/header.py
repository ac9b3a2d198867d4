"""The 40-pin header of a Raspberry Pi: the one table of its pins, for drivers, for reflexctl and for the documents.

Source: Raspberry Pi documentation, "GPIO and the 40-pin header"; BCM2835 ARM Peripherals, 6.2 (alternative functions) and
page 102 (pulls after a reset); BCM2711 ARM Peripherals, 5.3; RP1 Peripherals, 3.1.1. None of it could be tried on a Pi here.
"""

from __future__ import annotations

from typing import NamedTuple

POSITIONS = (27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13)
"""BCM number → number on the header."""
SUPPLIES = {1: "3.3 V", 17: "3.3 V", 2: "5 V", 4: "5 V", **dict.fromkeys((6, 9, 14, 20, 25, 30, 34, 39), "GND")}
INPUTS, OUTPUTS = (4, 22, 23, 24), (17, 27, 5, 6)
"""Pins for a first try: none has another use that Raspberry Pi OS turns on, as I2C, SPI and the serial port have."""
PULLED_UP = range(9)
"""After a reset these have a pull-up, the others a pull-down."""

USES: dict[int, str] = {
    0: "ID_SD: identity of add-on boards, reserved", 1: "ID_SC: identity of add-on boards, reserved",
    2: "I2C1 SDA, 1.8 kΩ to 3.3 V on the board", 3: "I2C1 SCL, 1.8 kΩ to 3.3 V on the board",
    4: "1-wire where the overlay w1-gpio is on", 7: "SPI0 CE1", 8: "SPI0 CE0", 9: "SPI0 MISO", 10: "SPI0 MOSI", 11: "SPI0 SCLK",
    12: "PWM0, hardware", 13: "PWM1, hardware", 14: "UART TXD", 15: "UART RXD",
    16: "SPI1 CE2", 17: "SPI1 CE1", 18: "PWM0, hardware; SPI1 CE0; I2S clock", 19: "PWM1, hardware; SPI1 MISO; I2S word select",
    20: "SPI1 MOSI; I2S data in", 21: "SPI1 SCLK; I2S data out",
}
"""What else a pin may be, where a device tree overlay or raspi-config turns it on."""


class Uart(NamedTuple):
    """A serial port of the chip: how it is turned on, and the BCM numbers of its lines."""

    name: str
    how: str
    sends: int
    receives: int


class Board(NamedTuple):
    """What a family of Pi can do at its header, and how the kernel calls what does it."""

    models: str
    chip: str                      # label of the gpiochip
    pwm_device: tuple[str, ...]    # what is behind /sys/class/pwm/pwmchipN, whose number means nothing
    pwm: dict[int, int]            # BCM number → channel of that chip
    uarts: tuple[Uart, ...]


PWM_FUNCTIONS = {12: 4, 13: 4, 18: 2, 19: 2}
"""What `func=` of the overlays pwm and pwm-2chan has to be for a pin; Pi 5's kernel translates these old numbers."""
COOLING = "1f0009c000.pwm"
"""The PWM chip of a Pi 5 that drives its own fan: nothing for an output."""
MAIN = Uart("UART0 or mini UART", "`enable_uart=1`", 14, 15)
BOARDS = (
    Board("Zero, 1, 2, 3", "pinctrl-bcm2835", ("2020c000.pwm", "3f20c000.pwm"), {12: 0, 13: 1, 18: 0, 19: 1}, (MAIN,)),
    Board("4, 400, CM4", "pinctrl-bcm2711", ("fe20c000.pwm",), {12: 0, 13: 1, 18: 0, 19: 1}, (
        MAIN, Uart("UART2", "`dtoverlay=uart2`", 0, 1), Uart("UART3", "`dtoverlay=uart3`", 4, 5),
        Uart("UART4", "`dtoverlay=uart4`", 8, 9), Uart("UART5", "`dtoverlay=uart5`", 12, 13))),
    Board("5, 500, CM5 (RP1)", "pinctrl-rp1", ("1f00098000.pwm",), {12: 0, 13: 1, 18: 2, 19: 3}, (
        Uart("UART0", "`dtparam=uart0=on`", 14, 15), Uart("UART1", "`dtoverlay=uart1-pi5`", 0, 1),
        Uart("UART2", "`dtoverlay=uart2-pi5`", 4, 5), Uart("UART3", "`dtoverlay=uart3-pi5`", 8, 9),
        Uart("UART4", "`dtoverlay=uart4-pi5`", 12, 13))),
)
"""Source: the documents above; raspberrypi/linux, arch/arm/boot/dts/overlays/README (pwm, pwm-2chan, uart2 to uart5,
uart1-pi5 to uart4-pi5); RP1's pin functions as `pinctrl -c rp1 funcs` lists them (forum, thread on PWM of Pi 5)."""


def number_of(pin: str) -> int:
    """Give the number on the header of a pin by its Broadcom name."""
    return POSITIONS[int(pin.removeprefix("GPIO"))]
