"""Is a page good enough to be read and kept: light, reflections, sharpness, movement.

Every measure is relative to the page itself, so that paper, lamp and camera need no calibration.
The limits were found with the seeds for development of `benchmarks/papers.py`; docs/documents.md
says what they let through with others.
"""

from __future__ import annotations

from drivers.documents.libraries import Picture, Plane, cv2, np
from hallkit.ports.document_camera import Trouble

_WHITE_PERCENT = 75
_DARKEST_PAPER = 70
"""Below it noise eats the strokes of letters: 8 bits hold few steps between ink and paper."""
_BLOWN = 252
_ABOVE_PAPER = 9
"""A reflection is blown out where the paper beside it is not."""
_GLARE_SHARE = 0.002
"""Of the page in one piece: a field of a form is more."""
_BLOCK_PX = 48
_TEXT_CONTRAST = 35
"""Lightness between ink and paper in a block, of 255, where paper is white."""
_EDGE_LIMIT_PX = 5.0
"""Width of the edges of letters. Sharp ones took 2.4 to 3.5 points of a straightened page, whatever
its lightness, blurred ones 8 and more; the limit lies between."""
_FEWEST_BLOCKS = 4
_MOVED_PX = 0.01
"""Share of the picture that changed between two."""
_CHANGE = 25


def trouble_of(page: Picture) -> Trouble | None:
    """What is wrong with a straightened page; None if it is good."""
    white = float(np.percentile(page.max(axis=2), _WHITE_PERCENT))
    if white < _DARKEST_PAPER:
        return Trouble.TOO_DARK
    if glare_share(page) > _GLARE_SHARE:
        return Trouble.GLARE
    width = edge_width_px(page)
    return Trouble.BLURRED if width is not None and width > _EDGE_LIMIT_PX else None


def is_dark(picture: Picture) -> bool:
    """True if not even the lightest things of a whole picture are light enough for paper."""
    return float(np.percentile(picture.max(axis=2), 98)) < _DARKEST_PAPER


def glare_share(page: Picture) -> float:
    """The largest blown-out piece, as a share of the page; 0 if the paper itself is as light."""
    lowest = page.min(axis=2)
    paper = float(np.percentile(lowest, _WHITE_PERCENT))
    if paper > 255 - _ABOVE_PAPER:
        return 0.0
    blown = (lowest >= _BLOWN).astype(np.uint8)
    blown = cv2.morphologyEx(blown, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(blown)
    if count < 2:
        return 0.0
    return float(stats[1:, cv2.CC_STAT_AREA].max()) / blown.size


def edge_width_px(page: Picture) -> float | None:
    """How wide the edges of letters are: contrast by steepness, the middle of the blocks with text.

    None where there is too little text to tell.
    """
    grey = cv2.cvtColor(page, cv2.COLOR_BGR2GRAY).astype(np.float32)
    white = max(1.0, float(np.percentile(grey, _WHITE_PERCENT)))
    # One point of noise makes no steep edge.
    calm = cv2.GaussianBlur(grey, (0, 0), 0.7)
    slope = cv2.magnitude(
        cv2.Sobel(calm, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(calm, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    inset = _BLOCK_PX // 2
    light, steep = (_blocks(plane[inset:-inset, inset:-inset]) for plane in (calm, slope))
    low, high = np.percentile(light, (1, 97), axis=1)
    contrast = high - low
    text = contrast > _TEXT_CONTRAST * white / 255
    if text.sum() < _FEWEST_BLOCKS:
        return None
    steepest = np.percentile(steep[text], 99, axis=1)
    return float(np.median(contrast[text] / np.maximum(steepest, 1e-3)))


def _blocks(plane: Plane) -> Plane:
    """Squares of a picture, one a row."""
    rows, columns = (side // _BLOCK_PX for side in plane.shape)
    cut = plane[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    squares = cut.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).swapaxes(1, 2)
    return squares.reshape(rows * columns, -1)


def moved(before: Picture, now: Picture) -> bool:
    """True if something moved between two pictures of one camera."""
    if before.shape != now.shape:
        return True
    small = [
        cv2.GaussianBlur(cv2.resize(one, (320, 240), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
        for one in (before, now)
    ]
    changed = cv2.absdiff(small[0], small[1]).max(axis=2) > _CHANGE
    return bool(changed.mean() > _MOVED_PX)
