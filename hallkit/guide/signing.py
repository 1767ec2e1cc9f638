"""What a signature is worth, how it looks, and how it travels. Pure; nothing is kept.

    drawn = of_pad(strokes, width_mm, height_mm)      from what a pad of the screens gives
    if judge(drawn) is Verdict.SIGNATURE: svg(drawn), to_text(drawn)

Nothing here says whose signature it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any

from hallkit.model.signature import FORCE_STEPS, STEPS_PER_MM, Point, Signature, Stroke

FORMAT = "hall-signature/1"
LEAST_INK_MM = 25.0
"""王一, written small, is twice as long; a slip of the finger is shorter."""
LEAST_SPREAD_MM = 5.0
"""In both directions, or it is a dash or a dot."""
LEAST_MS = 250
"""Nobody writes a name faster; a sleeve that brushes over is."""
_INK_MM = 1.2
_DOWN, _UP = 1, 0


class Verdict(StrEnum):
    """Whether it may be one, not whose."""

    SIGNATURE = "signature"
    EMPTY = "empty"
    TOO_SHORT = "too_short"
    """A dot, or hardly a line."""
    TOO_FLAT = "too_flat"
    """A dash."""
    TOO_FAST = "too_fast"


def of_pad(strokes: Sequence[Any], width_mm: float, height_mm: float) -> Signature:
    """The signature of a pad: for each stroke a list of `[x_mm, y_mm, t_ms, force]`.

    A panel that feels no force gives the same for each point; then there is none. `ValueError`
    (pydantic's too) for anything else.
    """
    try:
        rows = [[(float(x), float(y), round(t), float(f)) for x, y, t, f in one] for one in strokes]
    except (TypeError, OverflowError) as exc:
        raise ValueError("not what a pad gives") from exc
    feels = len({force for row in rows for *_, force in row}) > 1
    return Signature(
        width_mm=width_mm,
        height_mm=height_mm,
        strokes=tuple(
            Stroke(
                points=tuple(
                    Point(x_mm=x, y_mm=y, t_ms=t, force=f if feels else None) for x, y, t, f in row
                )
            )
            for row in rows
        ),
    )


def bounds_mm(signature: Signature) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom of the ink; None where there is none."""
    points = [point for stroke in signature.strokes for point in stroke.points]
    if not points:
        return None
    across, down = [point.x_mm for point in points], [point.y_mm for point in points]
    return min(across), min(down), max(across), max(down)


def ink_mm(signature: Signature) -> float:
    """How long the line is, without the ways in the air."""
    return sum(
        math.dist((one.x_mm, one.y_mm), (other.x_mm, other.y_mm))
        for stroke in signature.strokes
        for one, other in pairwise(stroke.points)
    )


def judge(signature: Signature) -> Verdict:
    """Whether this may be somebody's name, or only a touch."""
    bounds = bounds_mm(signature)
    if bounds is None:
        return Verdict.EMPTY
    left, top, right, bottom = bounds
    if ink_mm(signature) < LEAST_INK_MM:
        return Verdict.TOO_SHORT
    if min(right - left, bottom - top) < LEAST_SPREAD_MM:
        return Verdict.TOO_FLAT
    first, last = signature.strokes[0].points[0], signature.strokes[-1].points[-1]
    return Verdict.TOO_FAST if last.t_ms - first.t_ms < LEAST_MS else Verdict.SIGNATURE


def svg(signature: Signature) -> str:
    """A drawing in millimetres: one smooth path a stroke, black on nothing."""
    paths = "".join(f'<path d="{_path(stroke)}"/>' for stroke in signature.strokes)
    width, height = _short(signature.width_mm), _short(signature.height_mm)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}"><g fill="none" stroke="#000000" '
        f'stroke-width="{_INK_MM}" stroke-linecap="round" stroke-linejoin="round">{paths}</g></svg>'
    )


def _path(stroke: Stroke) -> str:
    """Curves through the middles between points, with the points as their handles."""
    places = [(point.x_mm, point.y_mm) for point in stroke.points]
    path = f"M{_pair(places[0])}"
    if len(places) == 1:
        return f"{path}h0"  # a round dot
    for handle, after in pairwise(places[1:]):
        path += f"Q{_pair(handle)} {_pair(_middle(handle, after))}"
    return f"{path}L{_pair(places[-1])}"


def _middle(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _pair(place: tuple[float, float]) -> str:
    return f"{_short(place[0])} {_short(place[1])}"


def _short(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")


def to_text(signature: Signature) -> str:
    """JSON with a channel a list: X and Y in hundredths of a millimetre, T in ms, F, and S.

    A stroke ends with its last point once more, the pen lifted (S is 0).
    """
    rows = [
        (point, state)
        for stroke in signature.strokes
        for point, state in (
            *((point, _DOWN) for point in stroke.points),
            (stroke.points[-1], _UP),
        )
    ]
    size = (signature.width_mm, signature.height_mm)
    document: dict[str, Any] = {
        "format": FORMAT,
        "size": [round(length * STEPS_PER_MM) for length in size],
        "X": [round(point.x_mm * STEPS_PER_MM) for point, _ in rows],
        "Y": [round(point.y_mm * STEPS_PER_MM) for point, _ in rows],
        "T": [point.t_ms for point, _ in rows],
        "S": [state for _, state in rows],
    }
    forces = [point.force for point, _ in rows if point.force is not None]
    if forces:
        document["F"] = [round(force * FORCE_STEPS) for force in forces]
    return json.dumps(document, separators=(",", ":"))


def from_text(text: str) -> Signature:
    """What `to_text` wrote; `ValueError` for anything else."""
    try:
        document = json.loads(text)
    except RecursionError as exc:
        raise ValueError("no signature") from exc
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise ValueError("no signature of this form")
    if document.keys() - {"F"} != {"size", "X", "Y", "T", "S"}:
        raise ValueError("it has other channels")
    channels = {name: _numbers(channel) for name, channel in document.items()}
    size = channels.pop("size")
    if len(size) != 2 or len({len(channel) for channel in channels.values()}) != 1:
        raise ValueError("its channels do not fit together")
    width, height = size
    return Signature(
        width_mm=width / STEPS_PER_MM,
        height_mm=height / STEPS_PER_MM,
        strokes=tuple(_strokes(channels)),
    )


def _numbers(channel: Any) -> list[int]:
    if not isinstance(channel, list) or not all(
        type(number) is int and 0 <= number < 1 << 31 for number in channel
    ):
        raise ValueError("a channel is a list of whole numbers")
    return channel


def _strokes(channels: dict[str, list[int]]) -> Iterator[Stroke]:
    forces: Sequence[int | None] = channels.get("F") or [None] * len(channels["X"])
    points: list[Point] = []
    for x, y, t, f, state in zip(
        channels["X"], channels["Y"], channels["T"], forces, channels["S"], strict=True
    ):
        point = Point(
            x_mm=x / STEPS_PER_MM,
            y_mm=y / STEPS_PER_MM,
            t_ms=t,
            force=None if f is None else f / FORCE_STEPS,
        )
        if state == _DOWN:
            points.append(point)
        elif state == _UP and points and point == points[-1]:
            yield Stroke(points=tuple(points))
            points = []
        else:
            raise ValueError("a pen that is lifted where it is not")
    if points:
        raise ValueError("the last stroke has no end")
