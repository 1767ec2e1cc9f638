"""What to do about the current, as a pure machine: `step(state, seen, busy, now_s, limits)`.

    mains ──▶ battery ──▶ closing ──▶ ending ──▶ shutdown
      ▲          │           │ ▲         │          │
      └──────────┴───────────┘ └─────────┘          │
      └─────────────────────────────────────────────┘  the machine did not go down

Mains that are back cancel what was not commanded yet. They must stay a while before visits begin
again: mains that flap would open and close the machine with every blink. The command itself can't
be taken back, so everything stays closed behind it; only where the machine plainly goes on living
it serves again, or is told once more. It is never left half down.

A UPS that falls silent on battery counts as on battery, for a while; then as at its end, as
upsmon(8) does it. One that falls silent on the mains says nothing about the mains.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value
from hallkit.model.power import PowerPhase, PowerReading
from hallkit.runtime.config import Section

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Percent = Annotated[float, Field(ge=0, le=100)]


class PowerSection(Section):
    """How long the machine goes on without mains, and how it ends."""

    grace_s: Seconds = 60.0
    """So long after the mains are gone visits still begin."""
    closed_below_percent: Percent = 50.0
    """With less charge than this none begins, whatever the time."""
    off_below_percent: Percent = 15.0
    """With less charge the machine is switched off, even if the UPS does not call that low."""
    off_below_runtime_s: Seconds = 90.0
    """With less time left, too. What closes the machine takes some of it: `words_s`, `close_s`."""
    longest_s: Annotated[float, Field(ge=10, le=86_400)] = 1800.0
    """So long on battery, and the machine is switched off, whatever the charge."""
    silent_s: Seconds = 120.0
    """A UPS that falls silent on battery for so long counts as at its end."""
    words_s: Seconds = 10.0
    """So long the screen says that the machine goes off, before it does."""
    close_s: Seconds = 40.0
    """At most so long it waits for the visit's end, the slip that is printing, and the centre."""
    steady_s: Seconds = 15.0
    """Mains that are back must stay so long before visits begin again."""
    stuck_s: Annotated[float, Field(ge=1, le=3600)] = 180.0
    """A machine that still lives so long after it was told to go off is told again."""


Effect = Literal["switch_off", "take_back"]
"""switch_off: tell the machine, once; take_back: forget that it was told, for it lives on."""


class PowerState(Value):
    """Where it stands. Seconds are of the monotonic clock, which only a boot of the machine resets:
    whoever restarts with it goes on.
    """

    phase: PowerPhase = PowerPhase.MAINS
    last: PowerReading | None = None
    lost_s: float | None = None
    """Since when the mains are gone; kept until they are steadily back."""
    back_s: float | None = None
    """Since when they are back."""
    silent_s: float | None = None
    """Since when the UPS says nothing."""
    ending_s: float | None = None
    """Since when it waits for what is under way."""
    warned_s: float | None = None
    """Since when people are told; kept until the mains are steadily back, or mains that blink
    would put the end off until the battery is empty."""
    told_s: float | None = None
    """When the machine was told to go off."""


Next = tuple[PowerState, tuple[Effect, ...]]


def step(
    state: PowerState,
    seen: PowerReading | None,
    *,
    busy: bool,
    now_s: float,
    limits: PowerSection,
) -> Next:
    """What follows from a look at the UPS; `seen` is None where it says nothing.

    `busy`: a visit, a print or a report is under way that an orderly end waits for.
    """
    if seen is None:
        silent_s = now_s if state.silent_s is None else state.silent_s
        state = _set(state, silent_s=silent_s, back_s=None)
    else:
        state = _set(state, silent_s=None, last=seen)
        if _fails(seen):
            lost_s = now_s if state.lost_s is None else state.lost_s
            state = _set(state, lost_s=lost_s, back_s=None)
        elif state.lost_s is not None and state.back_s is None:
            state = _set(state, back_s=now_s)
    if state.phase is PowerPhase.SHUTDOWN:
        return _after_command(state, now_s, limits)
    if state.lost_s is None:
        return state, ()
    if state.back_s is not None:
        return _mains_back(state, now_s, limits), ()
    if state.phase is PowerPhase.ENDING or _is_at_end(state, now_s, limits):
        return _ending(state, now_s, limits, busy=busy)
    closes = state.phase is PowerPhase.CLOSING or _closes(state, now_s, limits)
    return _set(state, phase=PowerPhase.CLOSING if closes else PowerPhase.BATTERY), ()


def _fails(seen: PowerReading) -> bool:
    return seen.on_battery or seen.switches_off


def _closes(state: PowerState, now_s: float, limits: PowerSection) -> bool:
    charge = state.last.charge_percent if state.last is not None else None
    below = charge is not None and charge < limits.closed_below_percent
    return below or _since(state.lost_s, now_s) >= limits.grace_s


def _is_at_end(state: PowerState, now_s: float, limits: PowerSection) -> bool:
    if state.silent_s is not None and now_s - state.silent_s >= limits.silent_s:
        return True
    if _since(state.lost_s, now_s) >= limits.longest_s:
        return True
    last = state.last
    if last is None:
        return False
    charge, left_s = last.charge_percent, last.runtime_s
    return (
        last.battery_low
        or last.switches_off
        or (charge is not None and charge < limits.off_below_percent)
        or (left_s is not None and left_s < limits.off_below_runtime_s)
    )


def _mains_back(state: PowerState, now_s: float, limits: PowerSection) -> PowerState:
    if _since(state.back_s, now_s) >= limits.steady_s:
        return PowerState(last=state.last)
    if state.phase is PowerPhase.ENDING:
        return _set(state, phase=PowerPhase.CLOSING, ending_s=None)
    return state


def _ending(state: PowerState, now_s: float, limits: PowerSection, *, busy: bool) -> Next:
    ending_s = now_s if state.ending_s is None else state.ending_s
    warned_s = now_s if state.warned_s is None else state.warned_s
    state = _set(state, phase=PowerPhase.ENDING, ending_s=ending_s, warned_s=warned_s)
    if now_s - warned_s < limits.words_s or (busy and now_s - ending_s < limits.close_s):
        return state, ()
    return _set(state, phase=PowerPhase.SHUTDOWN, told_s=now_s), ("switch_off",)


def _after_command(state: PowerState, now_s: float, limits: PowerSection) -> Next:
    if _since(state.told_s, now_s) < limits.stuck_s:
        return state, ()
    if state.back_s is None:
        return _set(state, told_s=now_s), ("switch_off",)
    if _since(state.back_s, now_s) < limits.steady_s:
        return state, ()  # it blinks: a look later either of the two holds
    return PowerState(last=state.last), ("take_back",)


def _since(begun_s: float | None, now_s: float) -> float:
    return 0.0 if begun_s is None else now_s - begun_s


def _set(state: PowerState, **changes: object) -> PowerState:
    return state.model_copy(update=changes)
