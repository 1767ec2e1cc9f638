"""Where red seals are on a page: round or oval rings in red ink.

What a ring says is not read, and whose seal it is nobody can tell from a picture: that it is there
is all that is claimed. Red headings, filled discs and stars alone are no seals.
"""

from __future__ import annotations

from drivers.documents.libraries import Picture, Plane, cv2, np
from hallkit.model.document import Box

_RED_A = 18
"""How much redder than the paper, in CIE Lab's a."""
_LEAST_SHARE, _MOST_SHARE = 0.08, 0.45
"""Diameter by the page's short side: 38 to 45 mm on A4, 28 mm on a household page."""
_ROUNDEST = 1.7
"""Long axis by short axis: ovals of 45 by 30 mm."""
_LEAST_RING = 0.7
"""Share of the ring's directions in which there is ink."""
_MOST_FILLED = 0.55
"""Share of ink within: a filled disc is a picture, the state emblem on a card for one."""


def stamps(page: Picture) -> tuple[Box, ...]:
    """The seals, as shares of the page, from the top."""
    scale = 900 / max(page.shape[:2])
    small = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    red = cv2.cvtColor(small, cv2.COLOR_BGR2LAB)[..., 1].astype(np.int16)
    ink = (red > int(np.median(red)) + _RED_A).astype(np.uint8)
    short = min(ink.shape)
    # The parts of one seal come together; the ring, the star and the letters are apart by less.
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = []
    for contour in contours:
        if len(contour) < 20:
            continue
        hull = cv2.convexHull(contour)
        (x, y), (across, down), angle = (
            cv2.fitEllipse(hull) if len(hull) >= 5 else ((0, 0), (0, 0), 0)
        )
        if not _LEAST_SHARE * short < min(across, down) <= max(across, down) < _MOST_SHARE * short:
            continue
        if max(across, down) > _ROUNDEST * min(across, down):
            continue
        if _ring(ink, (x, y), (across, down), angle):
            found.append(_box((x, y), max(across, down), ink.shape))
    return tuple(sorted(found, key=lambda box: box.top))


def _ring(
    ink: Picture, middle: tuple[float, float], axes: tuple[float, float], angle: float
) -> bool:
    """True if ink runs round the ellipse, and what is within is not full of it."""
    turns = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    tilt = np.radians(angle)

    def ink_at(share: float) -> Plane:
        x = np.cos(turns) * axes[0] / 2 * share
        y = np.sin(turns) * axes[1] / 2 * share
        columns = np.round(middle[0] + x * np.cos(tilt) - y * np.sin(tilt)).astype(int)
        rows = np.round(middle[1] + x * np.sin(tilt) + y * np.cos(tilt)).astype(int)
        inside = (rows >= 0) & (rows < ink.shape[0]) & (columns >= 0) & (columns < ink.shape[1])
        hit = np.zeros(len(turns), bool)
        hit[inside] = ink[rows[inside], columns[inside]] > 0
        return hit

    around = np.logical_or.reduce([ink_at(share) for share in np.linspace(0.88, 1.04, 9)])
    within = np.mean([ink_at(share).mean() for share in np.linspace(0.15, 0.82, 12)])
    return bool(around.mean() >= _LEAST_RING and within <= _MOST_FILLED)


def _box(middle: tuple[float, float], size: float, shape: tuple[int, ...]) -> Box:
    height, width = shape[:2]
    left, right = (np.clip((middle[0] + sign * size / 2) / width, 0, 1) for sign in (-1, 1))
    top, bottom = (np.clip((middle[1] + sign * size / 2) / height, 0, 1) for sign in (-1, 1))
    return Box(left=float(left), top=float(top), right=float(right), bottom=float(bottom))
