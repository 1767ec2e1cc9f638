"""What stands on a window's LED bar."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hallkit.model.base import Value

BarColour = Literal["red", "green", "yellow"]


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of printable characters")
    return text


class BarText(Value):
    """One line. What does not fit runs through from right to left."""

    text: Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
    colour: BarColour = "red"
    for_s: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """Seconds after which the bar is blank by itself, also if nobody can reach it any more; None:
    until something else is shown."""
