"""Driver `modbus`: contacts, counters, sensors and relays on Modbus (docs/drivers/modbus.md).

A map says what a model of unit has (drivers/auxiliaries/modbus_map.py); the machine's file says
what hangs on it here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.auxiliaries.modbus_bus import Bus, TcpLine
from drivers.auxiliaries.modbus_frames import (
    Framing,
    Request,
    Rtu,
    Table,
    Tcp,
    bits_of,
    read,
    registers_of,
)
from drivers.auxiliaries.modbus_map import (
    Block,
    Channel,
    Count,
    NamedMap,
    blocks_of,
    raw_of,
)
from drivers.driver import Driver, status_of
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.tcp import TcpPort
from drivers.transport.transport import Transport
from hallkit.errors import DeviceError, DeviceUnavailable, NotSupported, Reason
from hallkit.model.auxiliaries import (
    AuxiliaryReading,
    Contact,
    ContactState,
    Measure,
    PointKind,
)
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.ids import NAME_PATTERN
from hallkit.runtime.clock import Clock

KEY = "modbus"
_SILENT_LEFT_S = 1.0
"""While somebody waits for a contact, a unit that was silent is asked so seldom."""
_COOLER_BY = 2.0
"""Degrees under its limit at which a place counts as cooled down."""
_MOST_PEOPLE_PER_S = 20.0
_TIMER_SLACK_S = 1.0
"""So much later than it should a unit's own timer may switch off."""

_CONTACTS: Mapping[PointKind, tuple[ContactState, ContactState]] = {
    # What 0 and 1 mean.
    PointKind.CABINET_DOOR: (ContactState.OPEN, ContactState.CLOSED),
    PointKind.TAMPER_SENSOR: (ContactState.OFF, ContactState.ON),
    PointKind.SMOKE_SENSOR: (ContactState.OFF, ContactState.ON),
    PointKind.HEAT_SENSOR: (ContactState.OFF, ContactState.ON),
    PointKind.PROXIMITY_SENSOR: (ContactState.NOT_PRESENT, ContactState.PRESENT),
}
_MEASURES = {PointKind.TEMPERATURE: "°C", PointKind.HUMIDITY: "%"}
_OUTPUTS = (PointKind.GUIDE_LIGHT, PointKind.LAMP, PointKind.DOOR_RELEASE)
_ALARMS: Mapping[tuple[PointKind, ContactState], Reason] = {
    (PointKind.SMOKE_SENSOR, ContactState.ON): Reason.SMOKE,
    (PointKind.TAMPER_SENSOR, ContactState.ON): Reason.TAMPERED,
    (PointKind.CABINET_DOOR, ContactState.TAMPERED): Reason.TAMPERED,
    (PointKind.HEAT_SENSOR, ContactState.ON): Reason.TOO_HOT,
    (PointKind.CABINET_DOOR, ContactState.OPEN): Reason.DOOR_OPEN,
}

_OUTPUT_FAULTS = {
    Reason.OCCUPIED: Reason.OCCUPIED,
    Reason.CONFIGURATION: Reason.CONFIGURATION,
    Reason.UNSUPPORTED: Reason.CONFIGURATION,
}
"""What a fault says of an output whose unit is heard otherwise; any other: it does not follow."""
_MUTE = (Reason.SILENT, Reason.GARBLED)
_NEAR = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),  # RFC 1918, RFC 4193
            *("169.254.0.0/16", "fe80::/10", "127.0.0.0/8", "::1/128"),  # this link, this machine
        ),
    )
)

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Point(BaseModel):
    """What hangs on a channel here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str
    """A name of the unit's map."""
    kind: PointKind
    invert: bool = False
    """A contact that opens where others close; a lamp that is on while its relay is off."""
    opposite: str | None = None
    """Channel of the other contact of a changeover pair: where both say the same, a wire is cut."""
    pulse_s: Annotated[float, Field(ge=0.5, le=60)] | None = None
    """An output that falls back by itself after this time."""
    too_hot: float | None = None
    """Of a temperature: from here on a person must look."""
    most_per_s: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Of a counter: nobody counts faster. None: 20."""

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.channel,) if self.opposite is None else (self.channel, self.opposite)


class UnitConfig(BaseModel):
    """One unit on the line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[int, Field(ge=0, le=255)]
    map: NamedMap
    points: Annotated[dict[Name, Point], Field(min_length=1)]

    @model_validator(mode="after")
    def _points_fit_the_map(self) -> Self:
        used: list[str] = []
        for name, point in self.points.items():
            for channel in point.channels:
                if channel not in self.map.channels:
                    known = ", ".join(self.map.channels)
                    raise ValueError(f"points.{name}: no channel {channel!r}; known: {known}")
                if wrong := _misfit(point, self.map.channels[channel]):
                    raise ValueError(f"points.{name}: {wrong}")
            used += point.channels
        if twice := {one for one in used if used.count(one) > 1}:
            raise ValueError(f"used twice: {', '.join(sorted(twice))}")
        return self


def _misfit(point: Point, channel: Channel) -> str:
    """Why a point cannot hang on a channel; empty if it can."""
    kind = point.kind
    unit = _MEASURES.get(kind)
    is_output = kind in _OUTPUTS
    mistakes = {
        f"a {kind} is a single bit": kind in _CONTACTS and not channel.is_bit,
        "a counter has the type u16 or u32": kind is PointKind.PEOPLE_COUNTER
        and channel.type not in ("u16", "u32"),
        f"a {kind} is a number in {unit}": unit is not None
        and (channel.is_bit or channel.unit != unit),
        "the map does not say how it is written": is_output and not channel.is_output,
        "only a cabinetDoor has an opposite contact": point.opposite is not None
        and kind is not PointKind.CABINET_DOOR,
        "only a temperature is too hot": point.too_hot is not None
        and kind is not PointKind.TEMPERATURE,
        "only a counter counts most_per_s": point.most_per_s is not None
        and kind is not PointKind.PEOPLE_COUNTER,
        "only an output has a pulse": point.pulse_s is not None and not is_output,
        "a door that is released locks again by itself: add pulse_s = 5": (
            kind is PointKind.DOOR_RELEASE and point.pulse_s is None
        ),
    }
    if channel.pulse is not None and point.pulse_s is not None:
        try:
            channel.pulse.request(point.pulse_s)
        except ValueError as exc:
            return str(exc)
    return next((words for words, holds in mistakes.items() if holds), "")


class ModbusConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a Modbus line with one or more units."""

    driver: Literal["modbus"]
    transport: Annotated[SerialPort | TcpPort, Field(discriminator="kind")]
    framing: Literal["rtu", "tcp"] | None = None
    """None: rtu on a serial port, tcp over TCP. A serial server that passes bytes on is rtu."""
    units: Annotated[dict[Name, UnitConfig], Field(min_length=1, max_length=32)]
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    answer_timeout_s: Annotated[float, Field(gt=0, le=10)] = 0.3
    """From the last byte of a question to that of its answer, without their time on the wire."""
    late_s: Annotated[float, Field(gt=0, le=10)] = 0.7
    """So long a unit on a serial line may still answer what was given up."""
    poll_s: Annotated[float, Field(gt=0, le=10)] = 0.2
    """How often contacts are looked at while somebody waits for one."""

    @field_validator("transport")
    @classmethod
    def _stays_in_the_house(cls, port: SerialPort | TcpPort) -> SerialPort | TcpPort:
        """Modbus knows no password: whoever reaches a unit opens its doors."""
        if isinstance(port, TcpPort) and not _is_near(port.host):
            raise ValueError(f"{port.host} is no private address (as 192.168.1.50)")
        return port

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.transport.kind == "serial" and self.framing == "tcp":
            raise ValueError("on a serial port the framing is rtu")
        addresses = [unit.address for unit in self.units.values()]
        if len(set(addresses)) != len(addresses):
            raise ValueError("two units with the same address")
        if self.is_rtu and not all(1 <= address <= 247 for address in addresses):
            raise ValueError("on a serial line a unit has an address from 1 to 247")
        names = [name for unit in self.units.values() for name in unit.points]
        if len(set(names)) != len(names):
            raise ValueError("two points with the same name")
        return self

    @property
    def is_rtu(self) -> bool:
        return self.transport.kind == "serial" or self.framing == "rtu"


def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _NEAR)


class _Unit:
    """A unit, and what is known of it."""

    def __init__(self, name: str, config: UnitConfig) -> None:
        self.name = name
        self.address = config.address
        self.points = config.points
        self.channels = config.map.channels
        used = {name for point in self.points.values() for name in point.channels}
        self.blocks = blocks_of((self.channels[name] for name in used), config.map.limits)
        self.values: dict[tuple[Table, int], int] | None = None
        """What it said last; None while it does not answer."""
        self.fault: DeviceError | None = None
        self.is_mute = False
        """None of its blocks was answered when they were last asked."""
        self.asked_s = 0.0


class _Output:
    """A point that can be switched."""

    def __init__(self, name: str, unit: _Unit) -> None:
        point = unit.points[name]
        self.name = name
        self.unit = unit
        self.channel = unit.channels[point.channel]
        self.invert = point.invert
        self.pulse_s = point.pulse_s
        self.timed: Request | None = None
        """The unit's own pulse, where it has one."""
        if self.pulse_s is not None and self.channel.pulse is not None:
            inverted = self.invert or self.channel.invert
            self.timed = None if inverted else self.channel.pulse.request(self.pulse_s)

    def request(self, *, on: bool) -> Request:
        return self.channel.switch(on=on is not self.invert)

    def is_on(self) -> bool | None:
        """As the unit said last; None if that is not known."""
        if self.unit.values is None:
            return None
        return self.channel.is_on(raw_of(self.channel, self.unit.values)) is not self.invert


class ModbusAuxiliaries(Driver):
    """The points of a line. One caller at a time; outputs are brought to what is wanted of them
    whenever their unit is heard, pulses never again.
    """

    def __init__(
        self, config: ModbusConfig, clock: Clock, *, transport: Transport | None = None
    ) -> None:
        super().__init__(config.id, port="auxiliaries", key=KEY, clock=clock)
        self._config = config
        port = config.transport
        wire = transport or (
            SerialTransport(config.id, port)
            if isinstance(port, SerialPort)
            else TcpLine(config.id, port)
        )
        framing: Framing = Rtu() if config.is_rtu else Tcp()
        self._bus = Bus(
            config.id,
            wire,
            framing,
            clock,
            connect_timeout_s=config.connect_timeout_s,
            answer_timeout_s=config.answer_timeout_s,
            late_s=config.late_s,
            baud=port.baud if isinstance(port, SerialPort) else None,
        )
        self._units = [_Unit(name, unit) for name, unit in config.units.items()]
        self._outputs = {
            name: _Output(name, unit)
            for unit, name, point in self._points()
            if point.kind in _OUTPUTS
        }
        self._counters = {
            name: Count(
                16 * unit.channels[point.channel].width,
                most_per_s=point.most_per_s or _MOST_PEOPLE_PER_S,
            )
            for unit, name, point in self._points()
            if point.kind is PointKind.PEOPLE_COUNTER
        }
        self._lock = asyncio.Lock()
        self._wanted: dict[str, bool] = {}
        self._pulse_ends_s: dict[str, float] = {}
        self._falling: dict[str, asyncio.Task[None]] = {}
        """Outputs that this program switches off again, by their point."""
        self._opened: set[str] = set()
        """Outputs that were given a pulse or seen on behind its time, and not seen off since."""
        self._told: dict[str, ContactState] = {}
        """Contacts as they were told last."""
        self._odd: set[str] = set()
        """Changeover pairs that said what cannot be when they were last looked at."""
        self._alarms: dict[str, Reason] = {}
        """An alarm stands until its own point says that it is over."""
        self._counts: Counter[str] = Counter()

    async def probe(self) -> DeviceReport:
        """How the line and its units are."""
        async with self._lock:
            return await self._guard(self._look)

    async def read(self) -> AuxiliaryReading:
        """See `hallkit.ports.auxiliaries.Auxiliaries.read`."""
        async with self._lock:
            return await self._read(patient=True)

    async def changed(self, last: AuxiliaryReading) -> AuxiliaryReading:
        """See `hallkit.ports.auxiliaries.Auxiliaries.changed`."""
        while True:
            async with self._lock:
                reading = await self._read(patient=False)
            if reading.contacts != last.contacts:
                return reading
            await self._clock.sleep(self._config.poll_s)

    async def switch(self, point: str, *, on: bool) -> None:
        """See `hallkit.ports.auxiliaries.Auxiliaries.switch`."""
        output = self._outputs.get(point)
        if output is None:
            raise NotSupported(self._config.id, Reason.UNSUPPORTED, f"{point} is no output")
        async with self._lock:
            if output.pulse_s is None:
                self._wanted[point] = on
            elif not on:
                self._pulse_ends_s.pop(point, None)
            try:
                await self._bus.open()
                if output.pulse_s is not None and on:
                    follows = await self._pulse(output, output.pulse_s)
                else:
                    follows = await self._set(output, on=on)
            except DeviceError as fault:
                self._take_output_fault(output, fault)
                self._tell()
                raise
            if not follows:
                self._tell()
                raise DeviceUnavailable(
                    self._config.id, Reason.UNRECOVERABLE, f"{point} does not follow"
                )
        self._counts["switched"] += 1

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start, and each unit: fine, or what it lacks."""
        names = ("switched", "pulses", "outputs_restored")
        line = ("requests", "connections", "repeated", "silences", "garbled", "refusals")
        return {
            "wire": str(self._config.transport),
            "framing": "rtu" if self._config.is_rtu else "tcp",
            **{name: self._counts[name] for name in names},
            **{name: self._bus.counts[name] for name in (*line, "unasked_bytes")},
            "counter_restarts": sum(count.restarts for count in self._counters.values()),
            **{f"unit {unit.name}": _told_of(unit) for unit in self._units},
            **{f"alarm {point}": reason.value for point, reason in self._alarms.items()},
        }

    async def _look(self) -> DeviceReport:
        await self._ask_all(patient=True)
        return self._tell()

    async def _read(self, *, patient: bool) -> AuxiliaryReading:
        try:
            await self._ask_all(patient=patient)
        except DeviceError as fault:
            await self._drop()
            self._fault(fault)
            raise
        reading = self._reading()
        self._tell()
        return reading

    async def _ask_all(self, *, patient: bool) -> None:
        """Hear every unit; the fault of the first where none answers.

        Without patience those that were silent are left alone for a while, beside others that are
        not: each costs its deadline.
        """
        try:
            await self._bus.open()
        except DeviceError as fault:
            self._lose(fault)
            raise
        patient = patient or all(unit.fault for unit in self._units)
        for unit in self._units:
            await self._release_due()
            now_s = self._clock.mono_s()
            if not patient and unit.fault and now_s < unit.asked_s + _SILENT_LEFT_S:
                continue
            unit.asked_s = now_s
            try:
                await self._hear(unit)
            except DeviceError as fault:
                self._take_fault(unit, fault)
                if self._bus.is_lost:
                    break
        faults = [unit.fault for unit in self._units if unit.fault is not None]
        if len(faults) == len(self._units):
            raise faults[0]

    async def _hear(self, unit: _Unit) -> None:
        """Its doors locked, all of its points, and its outputs brought to what is wanted of them.

        What an output lacks is its own: it must not hide what a contact beside it says.
        """
        await self._bus.open()
        await self._lock_doors(unit)
        values: dict[tuple[Table, int], int] = {}
        unit.is_mute = True
        for block in unit.blocks:
            values |= await self._block(unit, block)
            unit.is_mute = False
        unit.values = values
        self._set_fault(unit, None)
        self._take_values(unit)
        for output in self._outputs_of(unit):
            await self._try(output, self._bring_round)

    async def _lock_doors(self, unit: _Unit) -> None:
        """Outputs whose pulse is over go off whatever becomes of the rest of their unit: each is
        asked by itself if it was opened, or if its unit was not heard whole the last time.

        Of a unit that did not answer at all those that were not opened wait for its blocks: each
        question costs a deadline there.
        """
        is_mute = unit.is_mute and unit.fault is not None and unit.fault.reason in _MUTE
        for output in self._outputs_of(unit):
            may_wait = unit.values is not None or is_mute
            if self._is_over(output) and (output.name in self._opened or not may_wait):
                fault = await self._try(output, self._lock_again)
                is_mute = is_mute or (fault is not None and fault.reason in _MUTE)

    async def _lock_again(self, output: _Output) -> None:
        if not await self._follows(output, on=False) and await self._set(output, on=False):
            self._counts["outputs_restored"] += 1

    async def _bring_round(self, output: _Output) -> None:
        wanted = self._wanted_of(output)
        if wanted is None:
            return
        is_on = output.is_on()
        if is_on is not None:
            self._take_output(output, is_on=is_on)
        if is_on is wanted:
            self._alarm(output.name, None)
        elif await self._set(output, on=wanted):
            self._counts["outputs_restored"] += 1

    async def _try(
        self, output: _Output, do: Callable[[_Output], Awaitable[None]]
    ) -> DeviceError | None:
        """Do it; its fault, unless that is one of the whole line."""
        await self._release_due()
        try:
            await self._bus.open()
            await do(output)
        except DeviceError as fault:
            if self._bus.is_lost:
                raise
            self._take_output_fault(output, fault)
            return fault
        return None

    def _outputs_of(self, unit: _Unit) -> list[_Output]:
        return [output for output in self._outputs.values() if output.unit is unit]

    async def _block(self, unit: _Unit, block: Block) -> dict[tuple[Table, int], int]:
        data = await self._bus.ask(unit.address, read(block.table, block.start, block.count))
        said = bits_of(data, block.count) if block.table.is_bits else registers_of(data)
        return {(block.table, block.start + place): value for place, value in enumerate(said)}

    def _wanted_of(self, output: _Output) -> bool | None:
        """None: as it is. What falls back by itself must be off when its time is over; also one
        that an earlier run of this program has left on.
        """
        if output.pulse_s is None:
            return self._wanted.get(output.name)
        return False if self._is_over(output) else None

    def _is_over(self, output: _Output) -> bool:
        """It falls back by itself, and its time has passed."""
        ends_s = self._pulse_ends_s.get(output.name, 0.0)
        return output.pulse_s is not None and self._clock.mono_s() >= ends_s

    async def _set(self, output: _Output, *, on: bool, again: bool = True) -> bool:
        """Whether it follows."""
        await self._bus.ask(output.unit.address, output.request(on=on), again=again)
        return await self._follows(output, on=on)

    async def _follows(self, output: _Output, *, on: bool) -> bool:
        """An echo is no proof: the output itself is read."""
        values = await self._own_block(output)
        if output.unit.values is not None:
            output.unit.values |= values
        channel = output.channel
        is_on = channel.is_on(raw_of(channel, values)) is not output.invert
        self._take_output(output, is_on=is_on)
        follows = is_on is on
        # The rest of its unit is heard as before, so this is no fault of the unit.
        self._alarm(output.name, None if follows else Reason.UNRECOVERABLE)
        return follows

    async def _own_block(self, output: _Output) -> dict[tuple[Table, int], int]:
        channel = output.channel
        block = Block(channel.read, channel.address, channel.width)
        return await self._block(output.unit, block)

    def _take_output(self, output: _Output, *, is_on: bool) -> None:
        """Only an output that was seen off behind its pulse has fallen back."""
        if not self._is_over(output):
            return
        if is_on:
            self._opened.add(output.name)
        else:
            self._opened.discard(output.name)
            self._pulse_ends_s.pop(output.name, None)
            self._stop_timer(output)

    async def _pulse(self, output: _Output, seconds: float) -> bool:
        # A line that has ended unseen is found by a question, which may be asked again; and what
        # cannot be seen to lock again is not opened.
        await self._own_block(output)
        self._stop_timer(output)
        self._counts["pulses"] += 1
        ends_s = self._clock.mono_s() + seconds
        self._opened.add(output.name)
        if output.timed is not None:
            self._pulse_ends_s[output.name] = ends_s + _TIMER_SLACK_S
            await self._bus.ask(output.unit.address, output.timed, again=False)
            return await self._follows(output, on=True)
        # First the way back, then the way there: a lost confirmation must not leave it on.
        self._pulse_ends_s[output.name] = ends_s
        self._falling[output.name] = asyncio.create_task(
            self._fall_back(output, seconds), name=f"pulse[{output.name}]"
        )
        return await self._set(output, on=True, again=False)

    async def _fall_back(self, output: _Output, seconds: float) -> None:
        await self._clock.sleep(seconds)
        async with self._lock:
            if output.name in self._opened:
                await self._release(output)
            self._falling.pop(output.name, None)

    async def _release_due(self) -> None:
        """Pulses whose time is over do not wait until the whole line was asked.

        Each is tried once; what fails is tried again when its unit is heard.
        """
        now_s = self._clock.mono_s()
        for name in tuple(self._falling):
            if self._pulse_ends_s.get(name, now_s + 1) <= now_s:
                await self._release(self._outputs[name])

    async def _release(self, output: _Output) -> None:
        """Switch off at the end of a pulse; who cannot be reached is switched off when heard."""
        self._pulse_ends_s.pop(output.name, None)
        try:
            await self._bus.open()
            await self._set(output, on=False)
        except DeviceError as fault:
            self._take_output_fault(output, fault)
        self._tell()

    def _stop_timer(self, output: _Output) -> None:
        task = self._falling.pop(output.name, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _take_values(self, unit: _Unit) -> None:
        """Contacts, counters and alarms out of what a unit said."""
        now_s = self._clock.mono_s()
        for name, point in unit.points.items():
            raw = raw_of(unit.channels[point.channel], unit.values or {})
            if point.kind in _CONTACTS:
                self._take_contact(unit, name, point)
            elif name in self._counters:
                self._counters[name].take(int(unit.channels[point.channel].plain(raw)), now_s)
            elif point.too_hot is not None:
                value = unit.channels[point.channel].number(raw)
                limit = point.too_hot - (_COOLER_BY if name in self._alarms else 0)
                if value is not None:
                    self._alarm(name, Reason.TOO_HOT if value >= limit else None)

    def _take_contact(self, unit: _Unit, name: str, point: Point) -> None:
        def is_on(channel: str) -> bool:
            found = unit.channels[channel]
            return found.is_on(raw_of(found, unit.values or {}))

        on = is_on(point.channel)
        state = _CONTACTS[point.kind][on is not point.invert]
        if point.opposite is not None and is_on(point.opposite) is on:
            # On its way from one side to the other a contact touches neither for a moment.
            state = ContactState.TAMPERED if name in self._odd else self._told.get(name, state)
            self._odd.add(name)
        else:
            self._odd.discard(name)
        self._told[name] = state
        self._alarm(name, _ALARMS.get((point.kind, state)))

    def _alarm(self, name: str, reason: Reason | None) -> None:
        if reason is None:
            self._alarms.pop(name, None)
        else:
            self._alarms[name] = reason

    def _points(self) -> Iterator[tuple[_Unit, str, Point]]:
        return ((unit, *pair) for unit in self._units for pair in unit.points.items())

    def _reading(self) -> AuxiliaryReading:
        contacts: dict[str, Contact] = {}
        counts: dict[str, int] = {}
        measures: dict[str, Measure] = {}
        outputs: dict[str, bool] = {}
        unknown: list[str] = []
        for unit, name, point in self._points():
            channel = unit.channels[point.channel]
            if unit.values is None:
                unknown.append(name)
            elif name in self._told:
                contacts[name] = Contact(kind=point.kind, state=self._told[name])
            elif name in self._counters:
                counts[name] = self._counters[name].total
            elif (output := self._outputs.get(name)) is not None:
                outputs[name] = bool(output.is_on())
            elif (value := channel.number(raw_of(channel, unit.values))) is not None:
                measures[name] = Measure(kind=point.kind, value=round(value, 3))
            else:
                unknown.append(name)
        return AuxiliaryReading(
            contacts=contacts,
            counts=counts,
            measures=measures,
            outputs=outputs,
            unknown=tuple(unknown),
        )

    def _take_fault(self, unit: _Unit, fault: DeviceError) -> None:
        """A fault of one unit; of all where the line itself is gone."""
        if self._bus.is_lost:
            self._lose(fault)
        else:
            self._set_fault(unit, fault)
        self._tell()

    def _take_output_fault(self, output: _Output, fault: DeviceError) -> None:
        """A fault of one output; of all units where the line itself is gone."""
        if self._bus.is_lost:
            self._lose(fault)
        else:
            self._alarm(output.name, _OUTPUT_FAULTS.get(fault.reason, Reason.UNRECOVERABLE))

    def _lose(self, fault: DeviceError) -> None:
        for unit in self._units:
            self._set_fault(unit, fault)

    def _set_fault(self, unit: _Unit, fault: DeviceError | None) -> None:
        before = unit.fault.reason if unit.fault is not None else None
        after = fault.reason if fault is not None else None
        unit.fault = fault
        if fault is not None:
            unit.values = None
            for name in unit.points:
                self._told.pop(name, None)
        if before is not after:
            detail = fault.detail if fault is not None else ""
            self._log.info("unit.state", unit=unit.name, reason=after, detail=detail)

    def _fault(self, fault: DeviceError) -> DeviceReport:
        """The line's fault is that of its units, and smoke is worse."""
        if not any(unit.fault for unit in self._units):
            self._lose(fault)
        return self._tell()

    def _tell(self) -> DeviceReport:
        """The report: what burns, what is lost, what stands open, in this order.

        While anything answers the line is on line, whatever else it lacks.
        """
        faults = [unit.fault.reason for unit in self._units if unit.fault is not None]
        all_lost = len(faults) == len(self._units)
        urgent = self._standing(Reason.SMOKE, Reason.TAMPERED)
        ranked = (
            *urgent,
            *(faults if all_lost else ()),
            *self._standing(Reason.TOO_HOT),
            *faults,
            *self._standing(Reason.UNRECOVERABLE, Reason.CONFIGURATION, Reason.OCCUPIED),
            *self._standing(Reason.DOOR_OPEN),
        )
        if not ranked:
            return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)
        reason = ranked[0]
        status, action = status_of(reason)
        if not (urgent or all_lost):
            status = DeviceStatus.ONLINE
        return self._update(status=status, reason=reason, action=action)

    def _standing(self, *reasons: Reason) -> list[Reason]:
        return [reason for reason in reasons if reason in self._alarms.values()]

    async def _drop(self) -> None:
        await self._bus.close()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """What was opened and not seen off is switched off now, unless its unit does that."""
        try:
            timers = tuple(self._falling.values())
            self._falling.clear()
            for timer in timers:
                timer.cancel()
            await asyncio.gather(*timers, return_exceptions=True)
            # A frame may be lost: each is asked twice.
            for output in (*self._outputs.values(), *self._outputs.values()):
                async with self._lock:
                    own_timer_runs = output.timed is not None and not self._is_over(output)
                    if output.name in self._opened and not own_timer_runs:
                        await self._release(output)
        finally:
            await super().__aexit__(exc_type, exc, traceback)


def _told_of(unit: _Unit) -> str:
    if unit.fault is None:
        return "fine" if unit.values is not None else "not asked yet"
    return ": ".join(filter(None, (unit.fault.reason.value, unit.fault.detail)))


SPEC = DriverSpec(
    key=KEY,
    port="auxiliaries",
    config=ModbusConfig,
    open=ModbusAuxiliaries,
    simulator="drivers.sim.modbus",
    family="contacts, counters, sensors and relays on Modbus RTU or TCP",
    transports=("serial", "tcp"),
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
        "hardware": "exempt: not yet run against a module; frames are those that were published",
        "guidance": "done",
    },
)
