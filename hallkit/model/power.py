"""Where a machine's current comes from (XFS4IoT Auxiliaries, `UPS`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hallkit.model.base import Value


class PowerReading(Value):
    """What a UPS says of itself at one moment; None where it does not say."""

    on_battery: bool
    """The mains are gone: XFS4IoT `engaged`."""
    battery_low: bool
    """It ends within a minute or two: XFS4IoT `low`. Shut down now."""
    charge_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    runtime_s: Annotated[float, Field(ge=0)] | None = None
    """How long the battery still carries the present load."""
    load_percent: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Of what it may carry; over 100 it is overloaded."""
