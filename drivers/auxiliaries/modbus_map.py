"""What a model of Modbus unit has, as data: `drivers/profiles/modbus_*.toml`, or a site's own.

A channel is one input, output or register of the unit, by the name that its maker prints on it.
What hangs on it in a hall says the machine's file (drivers/auxiliaries/modbus.py).
"""

from __future__ import annotations

import math
import struct
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    model_validator,
)

from drivers.auxiliaries.modbus_frames import OFF, ON, Request, Table, WriteFunction, write
from hallkit.model.ids import NAME_PATTERN

_PREFIX = "modbus_"
_WIDTH = {"bit": 1, "u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2}
_LAYOUT = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"}
_WRAP_WITHIN_S = 60.0
"""A register is taken to have come to its end only if it was read so shortly before."""

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pulse(_Part):
    """How the unit itself switches an output on for a time."""

    function: Literal[5, 16]
    """5: the time stands where on and off would. 16: it stands behind `before`."""
    address: Address
    before: Annotated[tuple[Word, ...], Field(max_length=8)] = ()
    unit_s: PositiveFloat
    """What 1 means."""
    longest: Annotated[int, Field(ge=1, le=0xFFFF)]

    def request(self, seconds: float) -> Request:
        """`ValueError` for a time that it cannot count."""
        time = math.ceil(round(seconds / self.unit_s, 6))
        if not 1 <= time <= self.longest:
            raise ValueError(f"{seconds:g} s: it counts to {self.longest * self.unit_s:g} s")
        return write(WriteFunction(self.function), self.address, (*self.before, time))


class Channel(_Part):
    """One value of a unit. Addresses are those on the wire: they begin with 0, not with 1."""

    read: Table
    address: Address
    type: Literal["bit", "u16", "i16", "u32", "i32", "f32"] = "bit"
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """Of a register: which bit, 0 the lowest."""
    words: Literal["high_first", "low_first"] = "high_first"
    """Of a value in two registers."""
    scale: float = 1.0
    """What 1 in the register means."""
    unit: Literal["", "°C", "%"] = ""
    least: float | None = None
    most: float | None = None
    """What the unit can measure. Anything beyond is no value: a probe that is off, for one."""
    invert: bool = False
    write: Literal[5, 6, 15, 16] | None = None
    """The function that switches it; None: it is an input."""
    pulse: Pulse | None = None

    @model_validator(mode="after")
    def _fits_its_table(self) -> Self:
        if self.read.is_bits and (self.type != "bit" or self.bit is not None):
            raise ValueError(f"{self.read} holds single bits: no type, no bit")
        if not self.read.is_bits and self.type == "bit" and self.bit is None:
            raise ValueError("a register has a type, or a bit = 0 to 15")
        if self.bit is not None and (self.type != "bit" or self.write is not None):
            raise ValueError("a bit of a register has no type and cannot be written")
        table = Table.COIL if self.write in (5, 15) else Table.HOLDING
        if self.write is not None and self.read is not table:
            raise ValueError(f"function {self.write} writes a {table}")
        if self.write is not None and self.width != 1:
            raise ValueError("an output is a coil or one register")
        if self.pulse is not None and self.write is None:
            raise ValueError("what cannot be written has no pulse")
        if self.address + self.width > 0x10000:
            raise ValueError("it ends behind the last address")
        return self

    @property
    def is_bit(self) -> bool:
        return self.type == "bit"

    @property
    def is_output(self) -> bool:
        return self.write is not None

    @property
    def width(self) -> int:
        """How many addresses it takes."""
        return _WIDTH[self.type]

    def switch(self, *, on: bool) -> Request:
        """Switch it; `invert` included."""
        if self.write is None:
            raise ValueError("an input")
        function = WriteFunction(self.write)
        raw = on is not self.invert
        value = (ON if raw else OFF) if function is WriteFunction.COIL else int(raw)
        return write(function, self.address, (value,))

    def is_on(self, raw: Sequence[int]) -> bool:
        """Of a bit, or of an output in a register."""
        value = raw[0] >> self.bit & 1 if self.bit is not None else raw[0]
        return bool(value) is not self.invert

    def plain(self, raw: Sequence[int]) -> float:
        """The number in the registers, as it stands there."""
        words = raw if self.words == "high_first" else raw[::-1]
        packed = struct.pack(f">{len(words)}H", *words)
        (value,) = struct.unpack(f">{_LAYOUT[self.type]}", packed)
        return float(value)

    def number(self, raw: Sequence[int]) -> float | None:
        """What the registers mean; None if that is no value."""
        told = self.plain(raw) * self.scale
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        return told if math.isfinite(told) and least <= told <= most else None


class Limits(_Part):
    """What one request to the unit may ask for."""

    bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    registers: Annotated[int, Field(ge=2, le=125)] = 125
    gap: Annotated[int, Field(ge=0, le=100)] = 0
    """Over so many addresses that nobody asked for one request goes on. Units that refuse
    addresses they do not have take 0."""


class UnitMap(_Part):
    """A model of unit."""

    title: str
    limits: Limits = Limits()
    channels: Annotated[
        dict[Annotated[str, Field(pattern=NAME_PATTERN)], Channel], Field(min_length=1)
    ]


def map_names() -> list[str]:
    """The maps that are shipped, without their prefix."""
    folder = resources.files("drivers").joinpath("profiles")
    names = (entry.name for entry in folder.iterdir() if entry.name.startswith(_PREFIX))
    return sorted(name.removeprefix(_PREFIX).removesuffix(".toml") for name in names)


def _shipped(value: Any) -> Any:
    """The content of a shipped map for its name; a table is a map itself."""
    if not isinstance(value, str):
        return value
    if value not in map_names():
        raise ValueError(
            f"unknown map {value!r}; known: {', '.join(map_names())}; "
            'one of your own: map = { include = "file.toml" }'
        )
    file = resources.files("drivers").joinpath("profiles", f"{_PREFIX}{value}.toml")
    return tomllib.loads(file.read_text("utf-8"))


NamedMap = Annotated[UnitMap, BeforeValidator(_shipped)]
"""In a file: the name of a shipped map, or a map as a table."""


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbours that one request reads."""

    table: Table
    start: int
    count: int


def blocks_of(channels: Iterable[Channel], limits: Limits) -> tuple[Block, ...]:
    """As few requests as the unit's limits allow, in the order of tables and addresses."""
    blocks: list[Block] = []
    for channel in sorted(channels, key=lambda one: (one.read, one.address)):
        end = channel.address + channel.width
        most = min(limits.bits if channel.read.is_bits else limits.registers, channel.read.most)
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.table is channel.read
            and channel.address <= last.start + last.count + limits.gap
            and end - last.start <= most
        ):
            blocks[-1] = Block(last.table, last.start, max(last.count, end - last.start))
        else:
            blocks.append(Block(channel.read, channel.address, channel.width))
    return tuple(blocks)


Values = Mapping[tuple[Table, int], int]
"""What a unit said, by table and address."""


def raw_of(channel: Channel, values: Values) -> tuple[int, ...]:
    """The bits or registers of a channel."""
    places = range(channel.address, channel.address + channel.width)
    return tuple(values[channel.read, place] for place in places)


class Count:
    """What a counter has counted, over the end of its register and over a restart of its unit."""

    def __init__(self, bits: int, *, most_per_s: float) -> None:
        """`most_per_s`: more than so many nobody counts; by that a wrap is told from a restart."""
        self._turn = 1 << bits
        self._most_per_s = most_per_s
        self._last: tuple[int, float] | None = None
        self.total = 0
        self.restarts = 0

    def take(self, raw: int, now_s: float) -> int:
        """The total after another look at the register. It begins with what the unit says first."""
        if self._last is None:
            self.total = raw
        else:
            last, at_s = self._last
            pause_s = max(now_s - at_s, 1.0)
            likely = 1 + self._most_per_s * pause_s
            # After a long silence a unit that began anew is the likelier reason for a lower number,
            # and invents nobody.
            limit = likely if raw >= last else 1 + self._most_per_s * min(pause_s, _WRAP_WITHIN_S)
            more = (raw - last) % self._turn
            if more > limit:
                # Nobody counts so fast: the unit began anew, from nothing or from what it had kept.
                self.restarts += 1
                more = raw if raw <= likely else 0
            self.total += more
        self._last = raw, now_s
        return self.total
