"""Maintenance as a pure machine, in the words of XFS4IoT's VendorMode.

    inactive ──▶ enterPending ──▶ active ──▶ exitPending ──▶ inactive
                      └───────────────────────────────────────▲
    on: everything under way ends, or the limit      off, or its time is over

The state outlives the agent and the machine (wall time, in the journal): a technician who restarts
either finds the machine as it was left, and one who forgets it gives it back after its time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value
from hallkit.model.maintenance import MaintenancePhase as Phase
from hallkit.runtime.config import Section


class MaintenanceSection(Section):
    """How long maintenance waits and lasts."""

    enter_limit_s: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """So long it waits for a visit and its print; then the visit is closed."""
    exit_limit_s: Annotated[float, Field(ge=0, le=600)] = 30.0
    """So long it waits for what the technician has under way."""
    longest_s: Annotated[float, Field(ge=60, le=7 * 86_400)] = 4 * 3600.0
    """It ends by itself after so long at most, and the machine serves again."""


Order = Literal["on", "off"]


class MaintenanceState(Value):
    """Where it stands."""

    phase: Phase = Phase.INACTIVE
    until_ms: int | None = None
    """Wall time when it ends by itself."""
    since_s: float | None = None
    """Since when the pending phase lasts, of the monotonic clock."""


OUT = MaintenanceState()


def ordered(
    state: MaintenanceState,
    order: Order,
    *,
    seconds: float | None,
    now_s: float,
    now_ms: int,
    limits: MaintenanceSection,
) -> MaintenanceState:
    """What a technician's order leads to; `seconds` until it ends by itself."""
    if order == "off":
        return _leave(state, now_s)
    lasts_s = limits.longest_s if seconds is None else min(seconds, limits.longest_s)
    until_ms = now_ms + round(lasts_s * 1000)
    match state.phase:
        case Phase.INACTIVE:
            return MaintenanceState(phase=Phase.ENTER_PENDING, until_ms=until_ms, since_s=now_s)
        case Phase.EXIT_PENDING:
            return MaintenanceState(phase=Phase.ACTIVE, until_ms=until_ms)
    return state.model_copy(update={"until_ms": until_ms})


def step(
    state: MaintenanceState,
    *,
    serving: bool,
    working: bool,
    now_s: float,
    now_ms: int,
    limits: MaintenanceSection,
) -> MaintenanceState:
    """What time leads to. `serving`: a visit or a print is under way; `working`: the
    technician has a device.
    """
    if state.phase is Phase.INACTIVE:
        return state
    latest_ms = now_ms + round(limits.longest_s * 1000)
    if state.until_ms is None or state.until_ms > latest_ms:
        state = state.model_copy(update={"until_ms": latest_ms})  # the wall clock was put back
    if state.until_ms is not None and now_ms >= state.until_ms:
        state = _leave(state, now_s)
    since_s = state.since_s
    # A pending phase of a former life of the machine begins anew: that clock began anew, too.
    waited_s = 0.0 if since_s is None or since_s > now_s else now_s - since_s
    match state.phase:
        case Phase.ENTER_PENDING if not serving or waited_s >= limits.enter_limit_s:
            return MaintenanceState(phase=Phase.ACTIVE, until_ms=state.until_ms)
        case Phase.EXIT_PENDING if not working or waited_s >= limits.exit_limit_s:
            return OUT
        case Phase.ENTER_PENDING | Phase.EXIT_PENDING if since_s is None or since_s > now_s:
            return state.model_copy(update={"since_s": now_s})
    return state


def _leave(state: MaintenanceState, now_s: float) -> MaintenanceState:
    match state.phase:
        case Phase.ACTIVE:
            return state.model_copy(update={"phase": Phase.EXIT_PENDING, "since_s": now_s})
        case Phase.ENTER_PENDING:
            return OUT
    return state
