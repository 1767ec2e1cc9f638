"""Contacts and relays on Modbus under nonsense, on a line and over TCP."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

from drivers.auxiliaries.modbus import ModbusAuxiliaries, ModbusConfig
from drivers.auxiliaries.modbus_frames import crc
from hallkit.errors import DeviceError, Reason
from launcher.rehearsals.fuzz_wire import Wire, WireClock, delivered
from launcher.rehearsals.nonsense import broken

_WIRES: dict[str, dict[str, Any]] = {
    "rtu": {"kind": "serial", "path": "/dev/fuzz", "baud": 9600},
    "tcp": {"kind": "tcp", "host": "127.0.0.1", "port": 502},
}
_UNITS = {
    "io": {
        "address": 1,
        "map": "adam_4150",
        "points": {
            "cabinet-door": {"channel": "di0", "kind": "cabinetDoor", "opposite": "di2"},
            "smoke": {"channel": "di1", "kind": "smokeSensor"},
            "people-in": {"channel": "counter2", "kind": "peopleCounter"},
            "lamp": {"channel": "do0", "kind": "lamp"},
        },
    },
    "climate": {
        "address": 4,
        "map": "climate",
        "points": {"inside": {"channel": "temperature", "kind": "temperature", "too_hot": 45}},
    },
}
_ALL = tuple(
    bytes.fromhex(text) for text in ("01 01 01 00", "04 03 02 00 E1", "01 81 02", "01 05 0010 FF00")
)


class ModbusDriver:
    """Units that are asked, waited for and switched, several times on one wire."""

    def __init__(self, framing: Literal["rtu", "tcp"]) -> None:
        self._framing = framing
        self._config = ModbusConfig.model_validate(
            {"id": "fuzz", "driver": "modbus", "transport": _WIRES[framing], "units": _UNITS}
        )
        self.last_input = ""

    async def once(self, random: Random) -> str:
        clock = WireClock()
        wire = Wire(clock, lambda data: delivered(random, self._said(random, data)))
        driver = ModbusAuxiliaries(self._config, clock, transport=wire)
        try:
            for _ in range(3):
                if random.random() < 0.3:
                    await driver.switch("lamp", on=random.random() < 0.5)
                elif random.random() < 0.3:
                    await driver.probe()
                else:
                    await driver.read()
        except DeviceError as fault:
            return fault.code
        finally:
            self.last_input = wire.delivered.hex()
            await wire.close()
        if driver.report.reason is Reason.SMOKE and not self._told_of_smoke(bytes(wire.delivered)):
            raise AssertionError("smoke that nobody told of")
        return f"{driver.report.status} {driver.report.reason or 'fine'}"

    def _said(self, random: Random, request: bytes) -> bytes:
        """The answer to a request, perhaps broken; sometimes whole with other content."""
        number, body = (b"", request[:-2]) if self._framing == "rtu" else (request[:2], request[6:])
        answer = _answer(random, body)
        if random.random() < 0.1:
            answer = broken(random, answer, _ALL) or answer
        if self._framing == "rtu":
            framed = answer + crc(answer)
        else:
            framed = number + b"\0\0" + (len(answer) & 0xFFFF).to_bytes(2, "big") + answer
        return framed if random.random() < 0.8 else broken(random, framed, _ALL)

    def _told_of_smoke(self, received: bytes) -> bool:
        """Somewhere stands a whole answer whose second bit is set."""
        if self._framing == "tcp":
            return any(received[at : at + 3] == b"\1\1\1" for at in range(len(received)))
        frames = (received[at : at + 6] for at in range(len(received)))
        return any(
            frame[:3] == b"\1\1\1" and frame[4:] == crc(frame[:4]) and frame[3] & 2
            for frame in frames
            if len(frame) == 6
        )


def _answer(random: Random, body: bytes) -> bytes:
    function, count = body[1], int.from_bytes(body[4:6], "big")
    if function in (1, 2):
        size = (count + 7) // 8
        return body[:2] + bytes((size,)) + random.randbytes(size)
    if function in (3, 4):
        return body[:2] + bytes((2 * count,)) + random.randbytes(2 * count)
    return body[:6]
