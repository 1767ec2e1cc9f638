"""Looks at the UPS and does what `edge_agent/power.py` says follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from edge_agent.power import Effect, PowerSection, PowerState, step
from hallkit.errors import DeviceError
from hallkit.model.power import PowerPhase, PowerReading
from hallkit.ports.ups import Ups
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.events import PowerChanged

LOOK_S = 1.0

READ_LIMIT_S = 10.0
"""Longer than any driver's own deadline: for one that fails to keep it."""

DISK_LIMIT_S = 3.0
"""So long at most a look waits for the outbox: a disk that hangs keeps no machine on an empty
battery."""

SETTLE_S = 2.0
"""After its own start the agent commands nothing for so long: applications find it again, and say
that a visit is under way."""

STATE = "power.json"
"""In the runtime folder, whose memory a boot of the machine clears as it does this clock."""


class MachineSwitch(Protocol):
    """Switches the machine off, by whoever may (decision 0016)."""

    @property
    def told(self) -> bool: ...

    def switch_off(self) -> None: ...

    def take_back(self) -> None:
        """Forget it, on a machine that lives on."""
        ...


class PoweroffFile:
    """A file in the runtime folder, which `hall-poweroff.path` watches."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def told(self) -> bool:
        return self._path.exists()

    def switch_off(self) -> None:
        self._path.write_text("power\n", encoding="ascii")

    def take_back(self) -> None:
        self._path.unlink(missing_ok=True)


class PowerGuard:
    """Keeps the machine's phase of power; a restart of the agent goes on where it stood."""

    def __init__(
        self,
        ups: Ups,
        clock: Clock,
        *,
        limits: PowerSection,
        runtime: Path,
        switch: MachineSwitch,
        busy: Callable[[], Awaitable[bool]],
        tell: Callable[[PowerChanged], Awaitable[None]],
    ) -> None:
        """`tell` hears each phase, also the first one; what it says is kept when it returns.

        `tell` and `busy` may wait for the disk, and are not waited for longer than `DISK_LIMIT_S`.
        """
        self._ups = ups
        self._clock = clock
        self._limits = limits
        self._file = runtime / STATE
        self._switch = switch
        self._busy = busy
        self._tell = tell
        self._log = get_logger()
        self._state = self._resumed()
        self._told: PowerPhase | None = None
        self._begun_s = clock.mono_s()

    @property
    def phase(self) -> PowerPhase:
        return self._state.phase

    async def run(self) -> None:
        """Until cancelled."""
        if self._state.phase is PowerPhase.SHUTDOWN and not self._switch.told:
            self._do("switch_off")  # the agent died between deciding and telling
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once, and do what follows."""
        seen = await self._read()
        before = self._state
        self._state, effects = step(
            before,
            seen,
            busy=before.phase is PowerPhase.MAINS or self._has_just_begun or await self._is_busy(),
            now_s=self._clock.mono_s(),
            limits=self._limits,
        )
        if (before.phase, before.told_s) != (self._state.phase, self._state.told_s):
            self._keep()
        if self._told is not self._state.phase:
            await self._tell_phase()
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        self._log.warning(f"power.{effect}")
        try:
            if effect == "switch_off":
                self._switch.switch_off()
            else:
                self._switch.take_back()
        except OSError as fault:
            # It is told again while the machine lives on.
            self._log.error("power.not_told", why=type(fault).__name__)

    async def _is_busy(self) -> bool:
        try:
            async with asyncio.timeout(DISK_LIMIT_S):
                return await self._busy()
        except TimeoutError:
            return False  # a visit or a print is known without the disk

    @property
    def _has_just_begun(self) -> bool:
        return self._clock.mono_s() - self._begun_s < SETTLE_S

    async def _read(self) -> PowerReading | None:
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await self._ups.read()
        except (DeviceError, TimeoutError):
            return None
        except Exception:  # noqa: BLE001  # boundary: the host tells of a driver that crashes
            self._log.debug("power.read_crashed")
            return None

    async def _tell_phase(self) -> None:
        state = self._state
        self._told = state.phase
        charge = state.last.charge_percent if state.last is not None else None
        left_s = state.last.runtime_s if state.last is not None else None
        self._log.info("power.phase", phase=state.phase, charge=charge, runtime_s=left_s)
        told = PowerChanged(phase=state.phase, charge_percent=charge, runtime_s=left_s)
        try:
            async with asyncio.timeout(DISK_LIMIT_S):
                await self._tell(told)
        except TimeoutError:
            self._log.error("power.disk_hangs", phase=state.phase)  # expected

    def _keep(self) -> None:
        part = self._file.with_suffix(".part")
        try:
            part.write_text(self._state.model_dump_json(), encoding="utf-8")
            part.rename(self._file)
        except OSError as fault:
            self._log.warning("power.not_kept", why=type(fault).__name__)

    def _resumed(self) -> PowerState:
        try:
            state = PowerState.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return PowerState()
        except ValueError:
            self._log.warning("power.state_unusable")
            return PowerState()
        times = (state.lost_s, state.ending_s, state.warned_s, state.told_s)
        if any(at_s is not None and at_s > self._clock.mono_s() for at_s in times):
            return PowerState()  # of a boot before this one
        # Nobody knows what the UPS said meanwhile: silence and mains begin to count anew.
        return state.model_copy(update={"silent_s": None, "back_s": None})
