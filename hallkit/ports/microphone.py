"""Port `microphone`: what is said before a machine.

A media port: the program that listens opens it itself, and only what it understood leaves that
program. No sound is written, logged or sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from hallkit.model.sound import Level, SoundBlock
from hallkit.ports.peripheral import Peripheral


class Microphone(Peripheral, Protocol):
    @property
    def rate(self) -> int:
        """Samples a second of every block."""
        ...

    @property
    def level(self) -> Level | None:
        """How loud the last second was; None before there was any sound. Costs nothing to read."""
        ...

    def blocks(self) -> AsyncIterator[SoundBlock]:
        """The sound from now on, block by block, each with its time.

        Several may listen; each gets every block. For one who is slow the oldest are dropped and
        counted: nobody hears what is seconds old. Raises `DeviceError` when the microphone is lost.
        """
        ...
