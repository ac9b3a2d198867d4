"""A Modbus RTU server of another library, in a process of its own: `python -m tests.drivers.modbus_server PORT`."""

from __future__ import annotations

import asyncio
import sys

from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = [215, 0xFFFE, 0x0001, 0xE240, 0xFFFF, 0xFFFE, 0x4048, 0xF5C3, 0xF5C3, 0x4048, 0x7FC0, 0]


def device(unit: int) -> SimDevice:
    """One whose registers hold REGISTERS, and as an input register its own address."""
    bits = [SimData(0, values=[False, True] * 8, datatype=DataType.BITS)]
    holding = [SimData(0, values=REGISTERS, datatype=DataType.REGISTERS)]
    inputs = [SimData(0, values=[unit * 100], datatype=DataType.REGISTERS)]
    return SimDevice(unit, (bits, bits, holding, inputs))


async def serve(port: str) -> None:
    """Answer until the process is killed."""
    server = ModbusSerialServer([device(1), device(2)], port=port, baudrate=19200)
    await server.serve_forever(background=True)
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
