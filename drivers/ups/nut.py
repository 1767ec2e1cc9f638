"""Driver `nut`: any UPS that Network UPS Tools knows, by its server upsd (docs/drivers/nut.md).

The protocol is RFC 9271: lines of ASCII over TCP, `LIST VAR <ups>` answered by a list between
`BEGIN LIST VAR <ups>` and `END LIST VAR <ups>`, a refusal by `ERR <CODE>`.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field, field_validator

from drivers.driver import Driver, status_of
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.tcp import TcpPort, TcpTransport
from drivers.transport.transport import Transport
from hallkit.errors import DeviceError, DeviceTimeout, DeviceUnavailable, ProtocolError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.power import PowerReading
from hallkit.runtime.clock import Clock

KEY = "nut"
_LONGEST_ANSWER_BYTES = 1 << 16
"""The longest lists of real drivers hold some 10 kB."""
_VARIABLE = re.compile(r'VAR (?P<ups>\S+) (?P<name>[A-Za-z0-9._-]+) "(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_STATUS = "ups.status"

_REASON_OF_REFUSAL: Mapping[str, tuple[type[DeviceError], Reason]] = {
    # upsd runs, and what drives the UPS does not: its cable, or its power switch.
    "DATA-STALE": (DeviceUnavailable, Reason.PORT_GONE),
    "DRIVER-NOT-CONNECTED": (DeviceUnavailable, Reason.PORT_GONE),
    "ACCESS-DENIED": (DeviceUnavailable, Reason.REFUSED),
    "UNKNOWN-UPS": (DeviceUnavailable, Reason.CONFIGURATION),
}
_REASON_OF_STATUS: tuple[tuple[str, Reason], ...] = (
    # The worst first. FSD: the server has told everybody to shut down.
    ("FSD", Reason.BATTERY_LOW),
    ("LB", Reason.BATTERY_LOW),
    ("OB", Reason.ON_BATTERY),
    ("OVER", Reason.OVERLOADED),
    ("ALARM", Reason.UNRECOVERABLE),
    ("OFF", Reason.UNPROTECTED),
    ("BYPASS", Reason.UNPROTECTED),
    ("RB", Reason.BATTERY_WORN),
)


class NutConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a UPS."""

    driver: Literal["nut"]
    transport: TcpPort = TcpPort(host="127.0.0.1", port=3493)
    ups: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "hallups"
    """Its section in upsd's `ups.conf`."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    answer_timeout_s: Annotated[float, Field(gt=0, le=30)] = 3.0
    """The whole list must be there by then."""

    @field_validator("transport")
    @classmethod
    def _stays_on_the_machine(cls, port: TcpPort) -> TcpPort:
        """NUT's lines are plain text: on a network anybody could tell a machine to shut down."""
        if port.host != "localhost" and not _is_loopback(port.host):
            raise ValueError(
                f"{port.host} is not this machine; run upsd here, "
                "with NUT's dummy-ups as a repeater of the other one"
            )
        return port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class NutUps(Driver):
    """A UPS behind upsd. Callers take turns."""

    def __init__(
        self, config: NutConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(config.id, port="ups", key=KEY, clock=clock)
        self._config = config
        self._wire = transport or TcpTransport(config.id, config.transport)
        self._lock = asyncio.Lock()
        self._counts: Counter[str] = Counter()
        self._last: PowerReading | None = None

    async def probe(self) -> DeviceReport:
        """How the UPS is."""
        async with self._lock:
            return await self._guard(self._ask)

    async def read(self) -> PowerReading:
        """See `hallkit.ports.ups.Ups.read`."""
        async with self._lock:
            try:
                return await self._measure()
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start, and the last reading in numbers."""
        facts: dict[str, str | int | float] = {
            "wire": str(self._config.transport),
            "ups": self._config.ups,
            **{name: self._counts[name] for name in ("readings", "connections", "power_cuts")},
        }
        if self._last is not None:
            numbers = self._last.model_dump(include={"charge_percent", "runtime_s", "load_percent"})
            facts |= {name: value for name, value in numbers.items() if value is not None}
        return facts

    async def _ask(self) -> DeviceReport:
        await self._measure()
        return self._report

    async def _measure(self) -> PowerReading:
        kept = self._wire.is_open
        try:
            answer = await self._list()
        except DeviceUnavailable:
            if not kept:
                raise
            # Upsd hangs up on whoever is idle for long, and when it is started anew.
            await self._drop()
            answer = await self._list()
        variables = variables_of(answer, self._config.ups, device_id=self._config.id)
        reading, reason = reading_of(variables, device_id=self._config.id)
        self._counts["readings"] += 1
        was_on_battery = self._last is not None and self._last.on_battery
        self._counts["power_cuts"] += reading.on_battery and not was_on_battery
        self._last = reading
        status, action = status_of(reason) if reason else (DeviceStatus.ONLINE, None)
        self._update(
            status=status,
            reason=reason,
            action=action,
            model=_first(variables, "device.model", "ups.model"),
            serial=_first(variables, "device.serial", "ups.serial"),
        )
        return reading

    async def _list(self) -> str:
        """Ask for all variables, connecting first where need be."""
        if not self._wire.is_open:
            await self._wire.open(timeout_s=self._config.connect_timeout_s)
            self._counts["connections"] += 1
        request = f"LIST VAR {self._config.ups}\n".encode("ascii")
        try:
            await self._wire.drain_input()
            await self._wire.write(request, timeout_s=self._config.answer_timeout_s)
            return await self._answer()
        except asyncio.CancelledError:
            # The rest of the answer would stand before the next one.
            await self._drop()
            raise

    async def _answer(self) -> str:
        """The lines of one answer, up to its end or its refusal."""
        deadline = self._clock.mono_s() + self._config.answer_timeout_s
        end = f"END LIST VAR {self._config.ups}\n".encode("ascii")
        received = bytearray()
        while not (received.endswith(end) or (received[:3] == b"ERR" and received[-1:] == b"\n")):
            if len(received) > _LONGEST_ANSWER_BYTES:
                raise self._garbled(f"more than {_LONGEST_ANSWER_BYTES} bytes")
            left = max(deadline - self._clock.mono_s(), 0)
            try:
                received += await self._wire.read(timeout_s=left)
            except DeviceTimeout:
                if received:
                    raise self._garbled(f"cut after {len(received)} bytes") from None
                raise
        try:
            return received.decode("utf-8")
        except UnicodeDecodeError:
            raise self._garbled("not text") from None

    def _garbled(self, detail: str) -> ProtocolError:
        return ProtocolError(self._config.id, Reason.GARBLED, detail)

    async def _drop(self) -> None:
        await self._wire.close()


def variables_of(answer: str, ups: str, *, device_id: str) -> dict[str, str]:
    """The variables of a whole answer to `LIST VAR`.

    `DeviceUnavailable` for a refusal, `ProtocolError` where a line is not what it must be: half a
    list is no list.
    """
    if answer.startswith("ERR"):
        code = answer[3:].split(maxsplit=1)[0] if answer[3:].split() else ""
        fault, reason = _REASON_OF_REFUSAL.get(code, (ProtocolError, Reason.GARBLED))
        raise fault(device_id, reason, code[:40])
    lines = answer.split("\n")
    if (lines[0], *lines[-2:]) != (f"BEGIN LIST VAR {ups}", f"END LIST VAR {ups}", ""):
        raise ProtocolError(device_id, Reason.GARBLED, "not the list that was asked for")
    variables: dict[str, str] = {}
    for line in lines[1:-2]:
        match = _VARIABLE.fullmatch(line)
        if match is None or match["ups"] != ups:
            raise ProtocolError(device_id, Reason.GARBLED, "a line that is no variable")
        variables[match["name"]] = _ESCAPED.sub(r"\1", match["value"])
    return variables


def reading_of(
    variables: Mapping[str, str], *, device_id: str
) -> tuple[PowerReading, Reason | None]:
    """What the variables say of the power, and what is wrong, the worst if it is much.

    `ProtocolError` without a status; `DeviceUnavailable` while upsd waits for the first one.
    """
    tokens = variables.get(_STATUS, "").split()
    if "WAIT" in tokens:
        raise DeviceUnavailable(device_id, Reason.OFFLINE, "upsd waits for it")
    if not tokens:
        raise ProtocolError(device_id, Reason.GARBLED, f"no {_STATUS}")
    if "CAL" in tokens:
        # It lives on its battery to measure it; the mains are there.
        tokens = [token for token in tokens if token not in ("OB", "LB")]
    reason = next((reason for token, reason in _REASON_OF_STATUS if token in tokens), None)
    reading = PowerReading(
        on_battery="OB" in tokens,
        battery_low=reason is Reason.BATTERY_LOW,
        switches_off="FSD" in tokens,
        charge_percent=_number(variables, "battery.charge", 100),
        runtime_s=_number(variables, "battery.runtime", math.inf),
        load_percent=_number(variables, "ups.load", 1000),
    )
    return reading, reason


def _number(variables: Mapping[str, str], name: str, most: float) -> float | None:
    """A number as UPSes say it; one that cannot be is as good as none."""
    try:
        value = float(variables[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and 0 <= value <= most else None


def _first(variables: Mapping[str, str], *names: str) -> str:
    return next((variables[name] for name in names if variables.get(name)), "")


SPEC = DriverSpec(
    key=KEY,
    port="ups",
    config=NutConfig,
    open=NutUps,
    simulator="drivers.sim.nut",
    family="UPSes by Network UPS Tools",
    transports=("tcp",),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: run against a real upsd with dummy-ups; no UPS was at hand",
        "guidance": "done",
    },
)
