"""A signature as it was written: strokes of points in place, time and force.

In the manner of ISO/IEC 19794-7, whose channels X, Y, T, F and S (pen down) say the same. It is the
person's own hand: never logged, never in a topic, and no repr shows it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from hallkit.model.base import Value

MOST_MM = 1_000.0
MOST_MS = 600_000
MOST_POINTS = 20_000
MOST_STROKES = 500
STEPS_PER_MM = 100
"""Places are kept to a hundredth of a millimetre; no panel feels finer."""
FORCE_STEPS = 1_000


def _on_grid(value: float) -> float:
    return round(value * STEPS_PER_MM) / STEPS_PER_MM


def _force_on_grid(value: float) -> float:
    return round(value * FORCE_STEPS) / FORCE_STEPS


Millimetres = Annotated[float, Field(ge=0, le=MOST_MM), AfterValidator(_on_grid)]
Force = Annotated[float, Field(ge=0, le=1), AfterValidator(_force_on_grid)]


class Point(Value):
    """Where the finger or pen was; from the upper left corner, since the first touch."""

    x_mm: Annotated[Millimetres, Field(repr=False)]
    y_mm: Annotated[Millimetres, Field(repr=False)]
    t_ms: Annotated[int, Field(ge=0, le=MOST_MS, repr=False)]
    force: Annotated[Force | None, Field(repr=False)] = None
    """Of the most that the panel feels; None for one that feels none."""


class Stroke(Value):
    """From touching down to lifting."""

    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=MOST_POINTS, repr=False)]


class Signature(Value):
    """All strokes, in the order in which they were written, on a field of this size."""

    width_mm: Annotated[Millimetres, Field(gt=0)]
    height_mm: Annotated[Millimetres, Field(gt=0)]
    strokes: Annotated[tuple[Stroke, ...], Field(max_length=MOST_STROKES, repr=False)] = ()

    @model_validator(mode="after")
    def _is_one_hand_on_one_field(self) -> Signature:
        points = [point for stroke in self.strokes for point in stroke.points]
        if len(points) > MOST_POINTS:
            raise ValueError("more points than anybody writes")
        if any(point.x_mm > self.width_mm or point.y_mm > self.height_mm for point in points):
            raise ValueError("a point lies beside the field")
        times = [point.t_ms for point in points]
        if times != sorted(times):
            raise ValueError("time runs backwards")
        if len({point.force is None for point in points}) > 1:
            raise ValueError("some points have a force and some have none")
        return self
