"""Where a machine's current comes from (XFS4IoT Auxiliaries, `UPS`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hallkit.model.base import Value


class PowerPhase(StrEnum):
    """What the machine does about its current (edge_agent/power.py)."""

    MAINS = "mains"
    """Everything as usual."""
    BATTERY = "battery"
    """The mains are gone; for a grace time everything goes on."""
    CLOSING = "closing"
    """No visit begins any more; the one under way may come to its end."""
    ENDING = "ending"
    """The battery ends: the visit is closed, the slip that is printing is finished."""
    SHUTDOWN = "shutdown"
    """The machine was told to switch itself off."""

    @property
    def admits(self) -> bool:
        """A visit may begin."""
        return self in (PowerPhase.MAINS, PowerPhase.BATTERY)

    @property
    def ends(self) -> bool:
        """No visit goes on, and no print begins."""
        return self in (PowerPhase.ENDING, PowerPhase.SHUTDOWN)


class PowerReading(Value):
    """What a UPS says of itself at one moment; None where it does not say."""

    on_battery: bool
    """The mains are gone: XFS4IoT `engaged`."""
    battery_low: bool
    """It ends within a minute or two: XFS4IoT `low`. Shut down now."""
    switches_off: bool = False
    """The UPS is going to take the current away, whether the mains come back or not."""
    charge_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    runtime_s: Annotated[float, Field(ge=0)] | None = None
    """How long the battery still carries the present load."""
    load_percent: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Of what it may carry; over 100 it is overloaded."""
