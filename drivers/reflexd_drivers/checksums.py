"""Checksums of binary frames, by the names under which data sheets give them.

Source: the catalogue of parametrised CRC algorithms (reveng), whose check value over "123456789" is held by a test.
"""

from __future__ import annotations

from binascii import crc32, crc_hqx
from collections.abc import Callable
from functools import reduce
from operator import xor


def table(polynomial: int, bits: int) -> list[int]:
    """Make the table of a CRC that shifts right; the polynomial is given reflected."""
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)   # noqa: PLW2901
        entries.append(value & (1 << bits) - 1)
    return entries


def table_left(polynomial: int) -> list[int]:
    """Make the table of a CRC of 8 bits that shifts left."""
    entries = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & 0x80 else 0)) & 0xFF   # noqa: PLW2901
        entries.append(value)
    return entries


MODBUS = table(0xA001, 16)
MAXIM = table(0x8C, 8)
SMBUS = table_left(0x07)


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ MODBUS[(register ^ byte) & 0xFF]
    return register


def crc8(data: bytes, entries: list[int] = SMBUS) -> int:
    """CRC-8/SMBUS, or with the other table CRC-8/MAXIM-DOW."""
    register = 0
    for byte in data:
        register = entries[register ^ byte]
    return register


KINDS: dict[str, tuple[int, Callable[[bytes], int]]] = {     # name → bytes, function
    "sum8": (1, lambda data: sum(data) & 0xFF),
    "lrc8": (1, lambda data: -sum(data) & 0xFF),
    "xor8": (1, lambda data: reduce(xor, data, 0)),
    "crc8": (1, crc8),
    "crc8-maxim": (1, lambda data: crc8(data, MAXIM)),
    "sum16": (2, lambda data: sum(data) & 0xFFFF),
    "crc16-modbus": (2, crc16_modbus),
    "crc16-ccitt": (2, lambda data: crc_hqx(data, 0xFFFF)),
    "crc16-xmodem": (2, lambda data: crc_hqx(data, 0)),
    "crc32": (4, crc32),
}
