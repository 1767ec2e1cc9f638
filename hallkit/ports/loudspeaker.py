"""Port `loudspeaker`: what a machine says. A media port, as `microphone` is."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol

from hallkit.model.sound import Played, SoundBlock
from hallkit.ports.peripheral import Peripheral


class Loudspeaker(Peripheral, Protocol):
    @property
    def rate(self) -> int:
        """Samples a second that `play` takes."""
        ...

    @property
    def volume(self) -> float: ...

    def set_volume(self, volume: float) -> None:
        """Between 0 and 1; holds from the next block. `ValueError` for anything else."""
        ...

    async def play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
        """Play signed 16-bit samples of one channel; returns when the last one was heard.

        Callers take turns. Raises `DeviceError` when the loudspeaker is lost meanwhile; cancelling
        it silences it as `stop` does.
        """
        ...

    async def stop(self) -> None:
        """Silence it now, within some 10 ms; whoever plays gets their `Played` at once.

        Never raises for a fault of the device: one that does not obey is closed.
        """
        ...

    def heard(self) -> AsyncIterator[SoundBlock]:
        """What comes out of it from now on, with its times: the reference of an echo canceller.

        Only what is played: there are no blocks of silence. For one who is slow the oldest are
        dropped.
        """
        ...
