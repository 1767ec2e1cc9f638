"""`[affairs.help]`: how long a call rings before more people are told. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from hallkit.runtime.config import Section

Seconds = Annotated[float, Field(ge=1, le=3600)]


class Reach(StrEnum):
    """Who is told of a call."""

    HELPERS = "helpers"
    SUPERVISORS = "supervisors"
    """And the helpers still."""
    EVERYBODY = "everybody"
    """And the boards of the hall."""


class HelpRules(Section):
    """`[affairs.help]`."""

    ring_s: Seconds = 30.0
    """Level 1 rings so long, then it is level 2."""
    then_s: Annotated[tuple[Seconds, ...], Field(max_length=8)] = (60.0,)
    """So long the next levels ring. The last level rings on until somebody comes."""
    supervisors_level: Annotated[int, Field(ge=1, le=10)] = 2
    everybody_level: Annotated[int, Field(ge=1, le=10)] = 3
    forgotten_hours: Annotated[float, Field(ge=1, le=24)] = 12.0
    """A call that nobody ended ends by itself."""
    session_days: Annotated[int, Field(ge=1, le=30)] = 1
    """What was handed over goes so long after the call's end."""

    @model_validator(mode="after")
    def _more_and_more_people(self) -> Self:
        if self.supervisors_level > self.everybody_level:
            raise ValueError("supervisors_level: not above everybody_level")
        return self

    def rings_ms(self, level: int) -> int | None:
        """How long a level rings before the next; None: the last one."""
        lengths = (self.ring_s, *self.then_s)
        return round(lengths[level - 1] * 1000) if level <= len(lengths) else None

    def reach(self, level: int) -> Reach:
        if level >= self.everybody_level:
            return Reach.EVERYBODY
        return Reach.SUPERVISORS if level >= self.supervisors_level else Reach.HELPERS

    def level_at(self, level: int, next_at_ms: int | None, now_ms: int) -> tuple[int, int | None]:
        """The level of a call that rings, and when the next one begins.

        By the times that are kept: a node that was away catches up. A wall clock that went back
        does not let anybody wait for longer than the level rings.
        """
        while next_at_ms is not None and next_at_ms <= now_ms:
            level += 1
            rings = self.rings_ms(level)
            next_at_ms = None if rings is None else next_at_ms + rings
        rings = self.rings_ms(level)
        if next_at_ms is not None and rings is not None:
            next_at_ms = min(next_at_ms, now_ms + rings)
        return level, next_at_ms
