"""A sheet's corners to a straight page in its true proportion."""

from __future__ import annotations

from dataclasses import replace

from drivers.documents.libraries import Floats, Picture, Plane, cv2, np
from drivers.documents.page_finding import Quad
from hallkit.ports.document_camera import Page, Sheet, Trouble

SIZES_MM = {Sheet.A4: (297.0, 210.0), Sheet.CARD: (85.6, 53.98)}
"""Long side, short side (ISO 216, ISO/IEC 7810)."""
_WANTED_DPI = {Sheet.A4: 200, Sheet.CARD: 400}
_LEAST_DPI = {Sheet.A4: 120, Sheet.CARD: 200}
"""A guess, not measured: letters of 8 points have a dozen lines of points then."""
_LEAST_PX = 900
"""Long side of a sheet of unknown size."""
_MOST_PX = 2400
_TOLERANCE = 0.08
"""Of the proportion, for a sheet that was asked for; the lens bends a little."""
_CERTAIN = 0.02
"""The same where nothing was asked for: a household page (1.36) is no A4 (1.41)."""


def straightened(
    picture: Picture, quad: Quad, sheet: Sheet = Sheet.ANY
) -> tuple[Picture, Sheet, int] | Trouble:
    """The page, what sheet it is taken for, and its points an inch (200 if its size is unknown)."""
    height, width = picture.shape[:2]
    across, down = sides_px(quad.corners)
    ratio = proportion(quad.corners, width, height)
    long_px = max(across, down)
    known = _sheet_of(ratio, sheet)
    if known is None:
        return Trouble.OTHER_SHAPE
    if known is Sheet.ANY:
        if long_px < _LEAST_PX:
            return Trouble.TOO_SMALL
        dpi, pixels = 200, min(long_px, _MOST_PX)
    else:
        inches = SIZES_MM[known][0] / 25.4
        seen = long_px / inches
        if seen < _LEAST_DPI[known]:
            return Trouble.TOO_SMALL
        # Never more points than there are: they would be made up.
        dpi = min(_WANTED_DPI[known], int(seen))
        pixels = dpi * inches
        ratio = SIZES_MM[known][0] / SIZES_MM[known][1]
    size = (round(pixels), round(pixels / ratio))
    size = size if across >= down else size[::-1]
    return _warped(picture, quad.corners, size), known, dpi


def sides_px(corners: Floats) -> tuple[float, float]:
    """Mean length of the sides across and down, as seen."""
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(lengths[0] + lengths[2]) / 2, float(lengths[1] + lengths[3]) / 2


def proportion(corners: Floats, width: int, height: int) -> float:
    """Long side by short side of the sheet itself, the slant of the camera taken out.

    The focal length follows from where opposite sides meet (Zhang and He, "Whiteboard scanning and
    image enhancement", 2003). Where they are nearly parallel it follows from nothing, and the sides
    as seen are right.
    """
    across, down = sides_px(corners)
    seen = max(across, down) / min(across, down)
    middle = np.array([width / 2, height / 2])
    m = [np.append((corner - middle) / width, 1.0) for corner in corners[[0, 1, 3, 2]]]
    k2 = np.cross(m[0], m[3]) @ m[2] / (np.cross(m[1], m[3]) @ m[2])
    k3 = np.cross(m[0], m[3]) @ m[1] / (np.cross(m[2], m[3]) @ m[1])
    n2, n3 = k2 * m[1] - m[0], k3 * m[2] - m[0]
    if min(abs(k2 - 1), abs(k3 - 1)) < 0.01:
        return seen
    focal2 = -(n2[0] * n3[0] + n2[1] * n3[1]) / (n2[2] * n3[2])
    if not 0.3 < focal2 < 20:  # a field of view from 12 to 85 degrees, or it is noise
        return seen
    to_length = np.diag([1 / focal2, 1 / focal2, 1.0])
    found = float(np.sqrt((n2 @ to_length @ n2) / (n3 @ to_length @ n3)))
    found = max(found, 1 / found)
    return found if abs(found / seen - 1) < 0.15 else seen


def _sheet_of(ratio: float, asked: Sheet) -> Sheet | None:
    """Which sheet it is; None if it is not what was asked for."""
    if asked is not Sheet.ANY:
        long_mm, short_mm = SIZES_MM[asked]
        return asked if abs(ratio / (long_mm / short_mm) - 1) < _TOLERANCE else None
    for sheet, (long_mm, short_mm) in SIZES_MM.items():
        if abs(ratio / (long_mm / short_mm) - 1) < _CERTAIN:
            return sheet
    return Sheet.ANY


def _warped(picture: Picture, corners: Floats, size: tuple[int, int]) -> Picture:
    width, height = size
    to = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), to)
    page: Plane = cv2.warpPerspective(
        picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return page


def upright(page: Page, turn: int) -> Page:
    """The page turned by so many quarters clockwise, as reading it has told."""
    if turn % 4 == 0:
        return page
    rows = np.frombuffer(page.bgr, np.uint8).reshape(page.height, page.width, 3)
    turned = np.rot90(rows, -turn)
    return replace(page, width=turned.shape[1], height=turned.shape[0], bgr=turned.tobytes())
