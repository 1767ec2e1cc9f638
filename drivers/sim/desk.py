"""A sheet under a document camera, rendered: the desk, the light, the angle, and what goes wrong.

    scene = lay(draw(paper), paper.size_mm, seed=7, faults=frozenset({"glare"}))
    scene.picture, scene.corners

One seed gives one scene. A fault is one of `FAULTS`. The pictures are rendered, not taken: lens,
sensor and paper are better behaved here than in life (docs/documents.md).
`python -m drivers.sim.desk FOLDER --seed 7` writes one of each document with each fault.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, get_args

from drivers.documents.libraries import Floats, Picture, Plane, cv2, np
from drivers.sim import papers

Fault = Literal["blur", "glare", "dark", "half", "small", "empty", "hand", "shadow", "moving"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
NOT_USABLE: frozenset[Fault] = frozenset({"blur", "glare", "dark", "half", "small", "empty"})
"""What a camera must refuse; a hand at the edge and a shadow it must bear."""

WIDTH, HEIGHT = 2592, 1944
"""Five million pixels, as the small document cameras have."""


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it."""

    picture: Picture = field(repr=False)
    corners: Floats
    """Of the sheet, in the picture: top left, top right, bottom right, bottom left of its text."""
    faults: frozenset[Fault]


def lay(
    sheet: Picture,
    size_mm: tuple[float, float],
    *,
    seed: int,
    faults: frozenset[Fault] = frozenset(),
    turn: int | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Scene:
    """One picture of a sheet; `turn` in quarters, any if None."""
    random = Random(seed)  # noqa: S311  # a picture, no secret
    noise = np.random.default_rng(seed)
    desk = _desk(noise, random, width, height)
    corners = _corners(size_mm, random, faults, turn, (width, height))
    picture: Plane = desk
    if "empty" not in faults:
        picture = _placed(sheet, corners, desk, random)
    picture *= _light(random, width, height)[..., None]
    if "shadow" in faults:
        picture *= _shadow(random, corners, width, height)[..., None]
    if "hand" in faults:
        _hand(picture, corners, random)
    if "glare" in faults:
        picture += _glare(random, corners, width, height)[..., None]
    if "dark" in faults:
        picture *= 0.13
    spread = random.uniform(0.4, 0.8) * width / WIDTH
    if "blur" in faults:
        spread = random.uniform(4.5, 7.0) * width / WIDTH
    picture = cv2.GaussianBlur(picture, (0, 0), spread)
    if "moving" in faults:
        picture = np.roll(picture, random.randrange(60, 120) * width // WIDTH, axis=1)
    picture += noise.standard_normal(picture.shape, np.float32) * random.uniform(1.0, 3.0)
    bytes_: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, random.randrange(78, 95)])
    taken = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert taken is not None  # noqa: S101  # it was written a line before
    return Scene(taken, corners, faults)  # type: ignore[arg-type]  # 8 bits by IMREAD_COLOR


def _desk(noise: np.random.Generator, random: Random, width: int, height: int) -> Plane:
    """A mat in one colour, wood, a light table, or a table with a stripe."""
    kind = random.choice(("mat", "wood", "light", "stripe", "mat", "wood"))
    base = {
        "mat": random.choice(((40, 42, 40), (70, 60, 40), (50, 80, 50), (25, 25, 28))),
        "wood": random.choice(((70, 110, 160), (50, 80, 120), (90, 140, 185))),
        "light": random.choice(((185, 190, 192), (165, 178, 190))),
        "stripe": (120, 100, 80),
    }[kind]
    desk: Plane = np.empty((height, width, 3), np.float32)
    desk[:] = base
    if kind == "wood":
        grain: Plane = noise.normal(0, 1, (height // 4, 12)).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 3, sigmaY=1.2)
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
        desk *= 1 + 0.35 * grain[..., None]
    rough = noise.normal(0, 1, (height // 3, width // 3)).astype(np.float32)
    desk += 3.0 * cv2.resize(rough, (width, height))[..., None]
    if kind == "stripe":
        at = random.uniform(0.1, 0.9)
        ends = ((int(at * width), 0), (int((1 - at) * width), height))
        cv2.line(desk, *ends, (60, 160, 190), width // 40)
    return desk


def _corners(
    size_mm: tuple[float, float],
    random: Random,
    faults: frozenset[Fault],
    turn: int | None,
    room_px: tuple[int, int],
) -> Floats:
    """Where the sheet's corners are seen: turned on the desk, the camera a little aslant."""
    across, down = size_mm
    width, height = room_px
    share = random.uniform(0.72, 0.86) if across > 100 else random.uniform(0.42, 0.6)
    if "small" in faults:
        share = random.uniform(0.2, 0.26) if across > 100 else random.uniform(0.12, 0.16)
    quarters = random.randrange(4) if turn is None else turn
    if across > 100 and (across < down) != (quarters % 2 == 1) and turn is None:
        quarters += 1  # a long sheet lies along the picture, or it does not fit
    angle = np.radians(quarters * 90 + random.uniform(-7, 7))
    seen_across, seen_down = (down, across) if quarters % 2 else (across, down)
    scale = share * min(width / seen_across, height / seen_down)
    flat = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([across, down]) / 2 * scale
    turned = flat @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    tilt_x, tilt_y = (np.radians(random.uniform(-9, 9)) for _ in range(2))
    focal = 1.2 * width
    depth = focal + turned[:, 0] * np.sin(tilt_y) + turned[:, 1] * np.sin(tilt_x)
    seen = turned * np.array([np.cos(tilt_y), np.cos(tilt_x)]) * (focal / depth)[:, None]
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = np.array([width, height]) / 2 - 0.015 * width
    shift = np.array(
        [
            random.uniform(min(0, -room[axis] - low[axis]), max(0, room[axis] - high[axis]))
            * random.uniform(0, 1)
            for axis in range(2)
        ]
    )
    if "half" in faults:
        shift = np.array(
            [random.choice((-1, 1)) * (high[0] - low[0]) * random.uniform(0.35, 0.5), 0]
        )
        shift[0] += np.sign(shift[0]) * (width / 2 - high[0])
    placed: Floats = seen + shift + np.array([width, height]) / 2
    return placed


def _placed(sheet: Picture, corners: Floats, desk: Plane, random: Random) -> Plane:
    height, width = desk.shape[:2]
    long_px = max(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0]))
    shrink = min(1.0, 1.15 * float(long_px) / max(sheet.shape[:2]))
    small = cv2.resize(sheet, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    tall, wide = small.shape[:2]
    from_ = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(from_, corners.astype(np.float32))
    paper = cv2.warpPerspective(small, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    offset = (random.uniform(-6, 6), random.uniform(2, 8))
    moved = cv2.warpAffine(mask, np.array([[1, 0, offset[0]], [0, 1, offset[1]]]), (width, height))
    soft = cv2.GaussianBlur(moved, (0, 0), 9).astype(np.float32) / 255
    under = desk * (1 - 0.35 * soft[..., None])
    cover = mask.astype(np.float32)[..., None] / 255
    white = random.uniform(0.82, 0.93)
    mixed = under * (1 - cover) + paper.astype(np.float32) * white * cover
    return mixed.astype(np.float32)


def _light(random: Random, width: int, height: int) -> Plane:
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    slope = random.uniform(0, 0.12)
    angle = random.uniform(0, 2 * np.pi)
    fall = 1 + slope * (np.cos(angle) * x + np.sin(angle) * y) - 0.06 * (x * x + y * y)
    lit: Plane = (fall * random.uniform(0.85, 1.0)).astype(np.float32)
    return lit


def _shadow(random: Random, corners: Floats, width: int, height: int) -> Plane:
    """A head or an arm between the lamp and the sheet."""
    mask = np.zeros((height, width), np.uint8)
    middle = corners.mean(axis=0) + np.array([random.uniform(-0.2, 0.2) * width, 0])
    side = random.choice((0, width))
    band = np.array(
        [[side, -100], [middle[0], -100], middle, [side, middle[1] + height * 0.3]], np.int32
    )
    cv2.fillConvexPoly(mask, band, 255)
    soft = cv2.GaussianBlur(mask, (0, 0), width / 90).astype(np.float32) / 255
    dimmed: Plane = 1 - random.uniform(0.25, 0.42) * soft
    return dimmed


def _hand(picture: Plane, corners: Floats, random: Random) -> None:
    """Two fingers hold the sheet at the middle of an edge."""
    side = random.randrange(4)
    start, end = corners[side], corners[(side + 1) % 4]
    at = start + (end - start) * random.uniform(0.35, 0.65)
    inward = corners.mean(axis=0) - at
    inward /= np.linalg.norm(inward)
    along = (end - start) / np.linalg.norm(end - start)
    reach = 0.025 * picture.shape[1]
    for shift in (-0.9, 0.9):
        tip = at + inward * reach * 0.8 + along * shift * reach
        far = at - inward * 900 + along * shift * reach * 1.4
        points = [tuple(int(value) for value in point) for point in (tip, far)]
        cv2.line(picture, points[0], points[1], (120, 150, 205), int(reach * 1.3), cv2.LINE_AA)


def _glare(random: Random, corners: Floats, width: int, height: int) -> Plane:
    """A lamp's reflection on a part of the sheet that holds text."""
    shares = (random.uniform(0.28, 0.42), random.uniform(0.4, 0.55))
    top = corners[0] + (corners[1] - corners[0]) * shares[0]
    bottom = corners[3] + (corners[2] - corners[3]) * shares[0]
    middle = top + (bottom - top) * shares[1]
    across = float(np.linalg.norm(corners[1] - corners[0]))
    spot = np.zeros((height, width), np.float32)
    axes = (int(across * random.uniform(0.1, 0.16)), int(across * random.uniform(0.06, 0.1)))
    centre = (int(middle[0]), int(middle[1]))
    cv2.ellipse(spot, centre, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
    return cv2.GaussianBlur(spot, (0, 0), across * 0.015).astype(np.float32) * 330


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    random = Random(args.seed)  # noqa: S311  # a picture, no secret
    who = papers.somebody(random)
    sheets = {
        "card": papers.identity_card(who)[0],
        "licence": papers.business_licence(random, who),
        "food": papers.food_licence(random, who, until=dt.date(2029, 1, 31)),
        "household": papers.household_page(who),
        "proof": papers.proof(who),
    }
    args.folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write("ready\n")
    for name, paper in sheets.items():
        for fault in (None, *FAULTS):
            faults: frozenset[Fault] = frozenset({fault}) if fault else frozenset()
            scene = lay(papers.draw(paper), paper.size_mm, seed=args.seed, faults=faults)
            file = args.folder / f"{name}-{fault or 'good'}.png"
            cv2.imwrite(str(file), scene.picture)
            sys.stdout.write(f"{file.name} {scene.corners.round(1).tolist()}\n")


if __name__ == "__main__":
    main()
