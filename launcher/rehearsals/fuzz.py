"""Nonsense on every wire, in this process: random bytes and real messages with something wrong.

Every end must be a value or a fault that has a name; anything else counts as a crash, with the
input that led to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from contextlib import AsyncExitStack
from random import Random
from typing import Protocol

from affairs.catalogue_source import load_items
from launcher.rehearsals.fuzz_auxiliaries import ModbusDriver
from launcher.rehearsals.fuzz_cards import PcscDriver
from launcher.rehearsals.fuzz_devices import (
    CameraAnswers,
    EscPosDriver,
    EscPosStatus,
    NutDriver,
    OnbonDriver,
    SdtDriver,
    SdtFrames,
)
from launcher.rehearsals.fuzz_listeners import (
    ButtonsDriver,
    KeysDriver,
    ScannerDriver,
    WedgeDriver,
)
from launcher.rehearsals.fuzz_messages import Flow, fuzzed_bus, fuzzed_centre, fuzzed_search
from launcher.rehearsals.fuzz_pages import IppDriver
from launcher.rehearsals.fuzz_sound import SoundDriver, SoundLists
from launcher.rehearsals.record import Plan, Record

HELP = "random bytes and broken messages for drivers, bus, centre, search, flow"

TURN_S = 0.25
"""How long one target is fuzzed before the next one has its turn."""
CRASHES_KEPT = 10
KEPT_PER_INPUT = 0.5
"""Blocks of memory that an input may leave behind on average; a leak leaves one or more."""
ENOUGH_INPUTS = 1_000
"""With fewer, what is kept may be a cache that fills: then nothing is said about leaks."""


class Target(Protocol):
    """Something that takes input from outside. `once` names the end that the input led to."""

    async def once(self, random: Random) -> str: ...

    @property
    def last_input(self) -> str:
        """What `once` tried last."""
        ...


async def run(plan: Plan, record: Record) -> None:
    """The targets in turn until the time is up."""
    devices: dict[str, Target] = {
        "sdt frames": SdtFrames(),
        "sdt driver": SdtDriver(),
        "escpos status": EscPosStatus(),
        "escpos driver": EscPosDriver(),
        "onbon driver": OnbonDriver(),
        "nut driver": NutDriver(),
        "ipp driver": IppDriver(),
        "modbus driver": ModbusDriver("rtu"),
        "modbus driver over TCP": ModbusDriver("tcp"),
        "pcsc driver": PcscDriver(),
        "opencv answers": CameraAnswers(),
        "serial_scanner driver": ScannerDriver(),
        "serial_buttons driver": ButtonsDriver(),
        "wedge_scanner driver": WedgeDriver(),
        "evdev_keys driver": KeysDriver(),
        "portaudio drivers": SoundDriver(),
        "portaudio lists": SoundLists(),
    }
    async with AsyncExitStack() as stack:
        items = load_items()
        bus, centre, search = (
            fuzzed_bus(),
            fuzzed_centre(plan.root),
            fuzzed_search(plan.root, items),
        )
        targets: dict[str, Target] = {
            **devices,
            "local bus": await stack.enter_async_context(bus),
            "centre": await stack.enter_async_context(centre),
            "search": await stack.enter_async_context(search),
            "flow": Flow(items),
        }
        targets = {name: one for name, one in targets.items() if plan.only in name}
        devices = {name: one for name, one in devices.items() if plan.only in name}
        if not targets:
            raise ValueError(f"nothing is fuzzed that is called {plan.only!r}")
        randoms = {name: plan.random(name) for name in targets}
        end = time.monotonic() + plan.minutes * 40
        while time.monotonic() < end:
            for name, target in targets.items():
                await _turn(name, target, randoms[name], record, is_hex=name in devices)
        for name, target in devices.items():
            seconds = plan.minutes * 20 / len(devices)
            await _watch_memory(name, target, randoms[name], record, seconds)
    for name in targets:
        record.expect(
            f"{name}: every input ends in a value or a named fault",
            not record.counts[f"{name}: CRASH"] and record.counts[f"{name}: inputs"] > 0,
            inputs=record.counts[f"{name}: inputs"],
            bytes=record.counts[f"{name}: bytes"],
        )


async def _turn(name: str, target: Target, random: Random, record: Record, *, is_hex: bool) -> None:
    """`is_hex`: its last input is what a device sent, in hexadecimal."""
    end = time.monotonic() + TURN_S
    while time.monotonic() < end:
        record.counts[f"{name}: inputs"] += 1
        try:
            outcome = await target.once(random)
        except Exception as fault:  # noqa: BLE001  # a crash is what we look for
            outcome = "CRASH"
            if record.counts[f"{name}: CRASH"] < CRASHES_KEPT:
                record.note(f"{name}: {type(fault).__name__}: {fault}; input {target.last_input}")
        if is_hex:
            record.counts[f"{name}: bytes"] += len(target.last_input) // 2
        record.counts[f"{name}: {outcome}"] += 1


async def _watch_memory(
    name: str, target: Target, random: Random, record: Record, seconds: float
) -> None:
    """What is kept of inputs in the second half; in the first one caches fill."""
    blocks = inputs = 0
    for _half in range(2):
        inputs, end = 0, time.monotonic() + seconds / 2
        await asyncio.sleep(0)  # the loop throws away timers that were cancelled
        gc.collect()
        blocks = sys.getallocatedblocks()
        while time.monotonic() < end:
            with contextlib.suppress(Exception):  # its turn counts crashes
                await target.once(random)
            inputs += 1
        await asyncio.sleep(0)
        gc.collect()
        blocks = sys.getallocatedblocks() - blocks
    record.counts[f"{name}: inputs watched"] = inputs
    record.counts[f"{name}: blocks kept"] = blocks
    if inputs >= ENOUGH_INPUTS:
        record.expect(
            f"{name}: nothing of an input is kept",
            blocks <= KEPT_PER_INPUT * inputs,
            inputs=inputs,
            blocks=blocks,
        )
