"""Where the sheet lies: four corners, or what is wrong.

1. Straight pieces of the small picture's edges, in lightness and colour, and the picture's own
   border are the sides that a sheet may have.
2. Every four of them that make a sheet are judged by the *step of colour across each side*: a
   sheet differs from the desk along all of it, a printed frame has paper on both sides. Fingers and
   shadows hide a part of a side, so that most of it is enough.
3. The sides are found again in the whole picture, to a fraction of a point.

A side on the picture's border means that the sheet goes on outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from drivers.documents.libraries import Floats, Picture, Plane, cv2, np
from hallkit.ports.document_camera import Trouble

_WORK_PX = 640
"""Long side of the picture in which the sides are looked for."""
_MOST_LINES = 48
_MOST_ALIKE = 12
"""Of them in one direction: the grain of wood leaves room for the sides across it."""
_LEAST_PIECE_PX, _MOST_PIECES = 25, 300
_FIRST_SAMPLES, _SAMPLES = 12, 48
"""Places along a side at which the step of colour is measured: in the first look, and then."""
_NEAR_PX = (5,)
_FAR_PX = (2, 4, 6, 8, 10)
"""How far from the side colour is looked at, in the small picture. A first look sorts out most
fours; then the middle of five places tells paper from a frame or a row of letters on it."""
_MOST_FOURS = 300
_REFINED_PX = (7.0, 2.0)
"""How far around a side it is looked for in the whole picture, in points of the small one."""
_STEP = 7.0
"""Least difference in CIE Lab that parts paper from desk, where paper is light; in a shadow less is
enough. A light sheet on a light table has 6 to 12 (found with the seeds for development)."""
_LIGHT = 85.0
_LEAST_SIDE = 0.62
"""Least share of each side with a step: the rest may lie under a hand."""
_LEAST_ALL = 0.8
_AS_GOOD = 0.08
"""Scores this near to the best are as good: then size decides."""
_LEAST_AREA = 0.04
"""Of the picture: an identity card is at least this, the photograph on a cut one is not."""
_LONGEST = 2.5
"""Long side by short side; a longer strip is a mark on the desk."""
_CROOKED_DEGREES = 25
"""Most by which opposite sides may differ, and corners from the right angle."""


@dataclass(frozen=True, slots=True)
class Quad:
    """Corners clockwise as seen, the first nearest to the picture's top left."""

    corners: Floats
    support: float
    """Share of its outline along which colour changes, 0 to 1."""


def find_page(picture: Picture) -> Quad | Trouble:
    """The sheet in a picture."""
    scale = _WORK_PX / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 1.0), cv2.COLOR_BGR2LAB).astype(np.float32)
    lab[..., 0] *= 100 / 255
    found = _best(lab)
    if found is None:
        return Trouble.NO_PAGE
    corners, support, cut = found
    if cut:
        return Trouble.CUT
    refined = _refined(picture, corners / scale)
    height, width = picture.shape[:2]
    inside = (refined >= -1).all() and (refined <= np.array([width, height])).all()
    return Quad(_clockwise(refined), support) if inside else Trouble.CUT


# ── Candidates ───────────────────────────────────────────────────────────────────────────────


def _best(lab: Plane) -> tuple[Floats, float, bool] | None:
    """Corners in the small picture, support, and whether a side is the picture's border."""
    height, width = lab.shape[:2]
    lines, border = _lines(lab)
    pairs = _pairs(lines, border, min(height, width))
    quads, cuts = _quads(lines, border, pairs, width, height)
    if not len(quads):
        return None
    first, _, _ = _steps(lab, quads, _NEAR_PX, _FIRST_SAMPLES)
    first[cuts] = 0.7
    likely = np.argsort(-first.mean(axis=1))[:_MOST_FOURS]
    quads, cuts = quads[likely], cuts[likely]
    shares, steps, mixed = _steps(lab, quads, _FAR_PX, _SAMPLES)
    areas = _areas(quads) / (width * height)
    real = np.where(cuts, np.inf, shares)
    mean = np.where(cuts, 0, shares).sum(axis=1) / np.maximum((~cuts).sum(axis=1), 1)
    least = np.asarray(real.min(axis=1))
    # A sheet that is cut still shows two of its sides.
    good = (least >= _LEAST_SIDE) & (mean >= _LEAST_ALL) & (cuts.sum(axis=1) <= 2)
    is_cut = np.asarray(cuts.any(axis=1))
    if not good.any():
        return None
    score = mean + 0.15 * np.sqrt(areas) + 0.01 * np.minimum(steps, 20) - 0.25 * is_cut
    score -= 0.01 * np.minimum(mixed, 25)
    score[~good] = -np.inf
    # The outermost of those that stand out: a hand weakens the edge more than a frame inside it.
    index = int(np.where(score > score.max() - _AS_GOOD, areas, 0).argmax())
    return quads[index], float(mean[index]), bool(is_cut[index])


def _lines(
    lab: Plane,
) -> tuple[Floats, Plane]:
    """Lines as (cos, sin, distance) of their normals; the last four are the border."""
    height, width = lab.shape[:2]
    found: list[tuple[float, float, float]] = []
    lengths: list[float] = []
    for normal, length in _segments(lab):
        same = (k for k, other in enumerate(found) if _same_line(normal, other, width, height))
        index = next(same, None)
        # Pieces of one side, on either side of a hand, are one line as long as both.
        if index is None:
            found.append(normal)
            lengths.append(length)
        else:
            lengths[index] += length
    order = sorted(range(len(found)), key=lambda k: -lengths[k])
    sides = [(1.0, 0.0, 0.0), (1.0, 0.0, width - 1.0), (0.0, 1.0, 0.0), (0.0, 1.0, height - 1.0)]
    chosen: list[tuple[float, float, float]] = []
    alike = np.zeros(18, int)
    for index in order:
        normal = found[index]
        direction = round(np.degrees(np.arctan2(normal[1], normal[0])) / 10) % 18
        at_border = any(_same_line(normal, side, width, height) for side in sides)
        if alike[direction] < _MOST_ALIKE and len(chosen) < _MOST_LINES and not at_border:
            alike[direction] += 1
            chosen.append(normal)
    border = np.array([False] * len(chosen) + [True] * 4)
    return np.array(chosen + sides), border


def _segments(
    lab: Plane,
) -> list[tuple[tuple[float, float, float], float]]:
    """Straight pieces of edges as lines with their lengths, the longest first."""
    found = []
    detector = cv2.createLineSegmentDetector()
    for channel, weight in ((0, 2.5), (1, 3.2), (2, 3.2)):
        plane = np.clip(lab[..., channel] * weight, 0, 255).astype(np.uint8)
        pieces = detector.detect(plane)[0]
        for x0, y0, x1, y1 in () if pieces is None else pieces.reshape(-1, 4).tolist():
            length = float(np.hypot(x1 - x0, y1 - y0))
            if length < _LEAST_PIECE_PX:
                continue
            cos, sin = (y1 - y0) / length, (x0 - x1) / length
            found.append(((cos, sin, cos * x0 + sin * y0), length))
    found.sort(key=lambda piece: -piece[1])
    return found[:_MOST_PIECES]


def _same_line(
    one: tuple[float, float, float], other: tuple[float, float, float], width: int, height: int
) -> bool:
    """True if they run side by side through the whole picture."""
    cos = one[0] * other[0] + one[1] * other[1]
    if abs(cos) < 0.9986:  # 3 degrees
        return False
    middle = np.array([width / 2, height / 2])
    gaps = [normal[2] - normal[0] * middle[0] - normal[1] * middle[1] for normal in (one, other)]
    return bool(abs(gaps[0] - np.sign(cos) * gaps[1]) < 4)


def _pairs(lines: Floats, border: Plane, least_px: int) -> list[tuple[int, int, float]]:
    """Lines that may be opposite sides, and the angle of the first's normal."""
    pairs = []
    tolerance = np.cos(np.radians(_CROOKED_DEGREES))
    for i, j in combinations(range(len(lines)), 2):
        cos = float(lines[i, :2] @ lines[j, :2])
        if abs(cos) < tolerance or (border[i] and border[j]):
            continue
        if abs(lines[i, 2] - np.sign(cos) * lines[j, 2]) < 0.05 * least_px:
            continue
        pairs.append((i, j, float(np.arctan2(lines[i, 1], lines[i, 0]))))
    return pairs


def _quads(
    lines: Floats,
    border: Plane,
    pairs: list[tuple[int, int, float]],
    width: int,
    height: int,
) -> tuple[Floats, Plane]:
    """Every two pairs across each other, as corners in order; which sides are the border."""
    if len(pairs) < 2:
        return np.empty((0, 4, 2)), np.empty((0, 4), bool)
    table = np.array([(i, j) for i, j, _ in pairs])
    angles = np.array([angle for _, _, angle in pairs])
    one, other = np.triu_indices(len(pairs), 1)
    across = np.abs(np.sin(angles[one] - angles[other])) > np.cos(np.radians(_CROOKED_DEGREES))
    one, other = one[across], other[across]
    sides = np.stack([table[one, 0], table[other, 0], table[one, 1], table[other, 1]], axis=1)
    corners = np.stack(
        [_crossing(lines[sides[:, k]], lines[sides[:, (k + 1) % 4]]) for k in range(4)], axis=1
    )
    room = np.array([width, height])
    inside = ((corners >= -3) & (corners <= room + 2)).all(axis=(1, 2))
    inside &= _areas(corners) > _LEAST_AREA * width * height
    lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    first, second = lengths[:, ::2].mean(axis=1), lengths[:, 1::2].mean(axis=1)
    ratio = first / np.maximum(second, 1e-6)
    inside &= (ratio < _LONGEST) & (ratio > 1 / _LONGEST)
    corners, sides = corners[inside], sides[inside]
    # Corner k lies between sides k and k + 1: the side from corner k - 1 to k is side k.
    return corners, border[sides]


def _crossing(one: Floats, other: Floats) -> Floats:
    det = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    det = np.where(np.abs(det) < 1e-6, 1e-6, det)
    x = (one[:, 2] * other[:, 1] - other[:, 2] * one[:, 1]) / det
    y = (one[:, 0] * other[:, 2] - other[:, 0] * one[:, 2]) / det
    return np.stack([x, y], axis=1)


def _areas(quads: Floats) -> Floats:
    x, y = quads[..., 0], quads[..., 1]
    areas: Floats = 0.5 * np.abs(
        (x * np.roll(y, -1, axis=-1) - y * np.roll(x, -1, axis=-1)).sum(axis=-1)
    )
    return areas


def _steps(
    lab: Plane,
    quads: Floats,
    reach_px: tuple[int, ...],
    samples: int,
) -> tuple[Floats, Floats, Floats]:
    """Share of each side along which colour changes; of the outline the median change, and how
    far the side that differs most from the others within is from them: it has desk within.
    """
    height, width = lab.shape[:2]
    starts, ends = np.roll(quads, 1, axis=1), quads
    along = ends - starts
    length = np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-6)
    middle = quads.mean(axis=1, keepdims=True)
    normal = np.stack([-along[..., 1], along[..., 0]], axis=2) / length
    inward = np.sign(((middle - starts) * normal).sum(axis=2, keepdims=True))
    normal = normal * inward
    at = np.linspace(0.04, 0.96, samples)
    points = starts[:, :, None] + along[:, :, None] * at[None, None, :, None]
    depth = np.array(reach_px)[:, None, None, None, None] * normal[None, :, :, None]
    within = np.median(_looked_up(lab, points + depth, width, height), axis=0)
    beyond = np.median(_looked_up(lab, points - depth, width, height), axis=0)
    change = np.linalg.norm(within - beyond, axis=3)
    lightness = np.maximum(within[..., 0], beyond[..., 0]) / _LIGHT
    change = change / np.clip(lightness, 0.5, 1.0)
    shares = (change > _STEP).mean(axis=2)
    paper = np.median(within, axis=2)
    mixed = np.linalg.norm(paper - np.median(paper, axis=1, keepdims=True), axis=2).max(axis=1)
    return shares, np.median(change.reshape(len(quads), -1), axis=1), mixed


def _looked_up(lab: Plane, points: Floats, width: int, height: int) -> Plane:
    x = np.clip(np.round(points[..., 0]), 0, width - 1).astype(int)
    y = np.clip(np.round(points[..., 1]), 0, height - 1).astype(int)
    found: Plane = lab[y, x]
    return found


# ── The whole picture ────────────────────────────────────────────────────────────────────────


def _refined(picture: Picture, corners: Floats) -> Floats:
    """The corners again where the strongest steps of the whole picture lie."""
    for small_px in _REFINED_PX:
        span = max(4.0, small_px * max(picture.shape[:2]) / _WORK_PX)
        lines = np.array([_side(picture, corners[k - 1], corners[k], span) for k in range(4)])
        corners = _crossing(lines, np.roll(lines, -1, axis=0))
    return corners


def _side(picture: Picture, start: Floats, end: Floats, span: float) -> tuple[float, float, float]:
    """The line near these ends on which colour changes most, as (cos, sin, distance)."""
    along = end - start
    normal = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    offsets = np.arange(-span, span + 0.25, 0.5)
    at = np.linspace(0.03, 0.97, 120)
    points = start + along * at[:, None]
    grid = points[:, None] + normal * offsets[None, :, None]
    strip = cv2.remap(
        picture,
        grid[..., 0].astype(np.float32),
        grid[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    soft = cv2.GaussianBlur(strip, (0, 0), sigmaX=1.6, sigmaY=0.01)
    change = np.abs(np.gradient(soft, axis=1)).sum(axis=2)
    # Neighbours vote for one place, so that a grain of the wood does not.
    change = cv2.GaussianBlur(change, (0, 0), sigmaX=0.8, sigmaY=4.0)
    best = change.argmax(axis=1)
    strong = change.max(axis=1) > 0.3 * np.median(change.max(axis=1))
    chosen = points + normal * offsets[best][:, None]
    if strong.sum() < 8:
        cos, sin = (float(one) for one in normal)
        return cos, sin, float(normal @ start)
    line = cv2.fitLine(chosen[strong].astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
    gaps = np.abs((chosen - line[2:]) @ np.array([-line[1], line[0]]))
    near = strong & (gaps < max(1.5, 2.5 * float(np.median(gaps[strong]))))
    if near.sum() >= 8:
        line = cv2.fitLine(chosen[near].astype(np.float32), cv2.DIST_L2, 0, 0.01, 0.01).ravel()
    cos, sin = float(-line[1]), float(line[0])
    return cos, sin, cos * float(line[2]) + sin * float(line[3])


def _clockwise(corners: Floats) -> Floats:
    middle = corners.mean(axis=0)
    around = corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]
    return np.roll(around, -int(around.sum(axis=1).argmin()), axis=0)
