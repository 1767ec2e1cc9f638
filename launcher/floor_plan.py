"""The hall map as a picture: every storey, with windows, machines and, if asked for, a way."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hallkit.guide.routes import Route
from hallkit.model.hall_map import HallMap, Level, Unit, Window
from hallkit.model.plane import Metres, middle
from hallkit.screens.tokens import tokens

PX_A_METRE = 18
FINE = 3
"""Drawn so many times larger and reduced: Pillow draws lines without smoothing."""
MARGIN_M = 2.5
HEAD_M = 6.5
LEGEND_M = 5.0
_SANS_SC = 2
"""Noto Sans CJK SC in the collection."""

Ink = str
Pair = tuple[float, float]

WALL = "#9AA6B8"
STAFF = "#E6E9EE"
FLOOR = "#FFFFFF"
SERVICE_ROOM = "#F1EEE6"
VOID = "#DDE2EA"
SEATS = "#D5DBE4"
ZONE_TINTS = ("#E8F0FA", "#E6F2EB", "#FDF1E0", "#F1EAF6", "#E5F3F4", "#FBE9E7")
SORTED = "#B9D3EF"
TERMINAL = "#14213D"
FORM = "#176B3F"
DOCK = "#8A4B00"
WAY = "#C2185B"

SYMBOLS = {
    "restroom.male": "男",
    "restroom.female": "女",
    "restroom.wheelchair": "无障碍",
    "elevator": "电梯",
    "stairs": "楼梯",
    "mothersroom": "母婴",
    "firstaid": "医务",
    "drinkingfountain": "水",
    "information": "咨询",
}


def draw(hall: HallMap, route: Route | None = None) -> Image.Image:
    """All storeys, the ground floor at the bottom as in a section."""
    plans = [_Plan(hall, level, route).image() for level in reversed(hall.levels)]
    width = max(plan.width for plan in plans)
    height = sum(plan.height for plan in plans)
    sheet = Image.new("RGB", (width, height), _colour("paper"))
    top = 0
    for plan in plans:
        sheet.paste(plan, (0, top))
        top += plan.height
    return sheet


def save(hall: HallMap, path: Path, route: Route | None = None) -> None:
    """Write the picture as a small PNG."""
    colours = draw(hall, route).quantize(256, dither=Image.Dither.NONE)
    colours.save(path, format="PNG", optimize=True)


class _Plan:
    """One storey."""

    def __init__(self, hall: HallMap, level: Level, route: Route | None) -> None:
        self._hall, self._level, self._route = hall, level, route
        self._floor = hall.metres(level.geometry)
        xs = [x for floor in hall.levels for x, _ in hall.metres(floor.geometry)]
        ys = [y for _, y in self._floor]
        self._left, self._right = min(xs) - MARGIN_M, max(xs) + MARGIN_M
        self._low, self._high = min(ys) - MARGIN_M, max(ys) + HEAD_M
        self._foot = LEGEND_M if level is hall.levels[0] else 0.0
        scale = PX_A_METRE * FINE
        size = (
            round((self._right - self._left) * scale),
            round((self._high - self._low + self._foot) * scale),
        )
        self._image = Image.new("RGB", size, _colour("paper"))
        self._draw = ImageDraw.Draw(self._image)

    def image(self) -> Image.Image:
        self._title()
        self._shape(self._floor, FLOOR, WALL, 0.25)
        self._zones()
        self._units()
        self._fixtures()
        self._windows()
        self._machines()
        self._doors()
        self._amenities()
        self._zone_names()
        self._way()
        if self._foot:
            self._legend()
        width, height = self._image.size
        return self._image.resize((width // FINE, height // FINE), Image.Resampling.LANCZOS)

    # ── Parts ─────────────────────────────────────────────────────────────────────────────────

    def _title(self) -> None:
        left, top = self._left + MARGIN_M, self._high - 2.6
        self._text((left, top), self._level.properties.name.zh, 2.6, bold=True, anchor="lm")
        windows = [one.properties.number for one in self._hall.windows if self._here(one)]
        machines = sum(map(self._here, self._hall.machines))
        said = f"{len(windows)} 个窗口 · {machines} 台自助设备"
        self._text((left + 7, top - 0.35), said, 1.3, ink=_colour("muted"), anchor="lm")
        if self._level is self._hall.levels[-1]:
            name = self._hall.venue.properties.name.zh
            self._text((self._right - MARGIN_M, top - 0.35), name, 1.3, _colour("muted"), "rm")

    def _zones(self) -> None:
        for number, zone in enumerate(self._hall.zones):
            if self._here(zone):
                tint = ZONE_TINTS[number % len(ZONE_TINTS)]
                self._shape(self._hall.metres(zone.geometry), tint)

    def _units(self) -> None:
        for unit in filter(self._here, self._hall.units):
            ring = self._hall.metres(unit.geometry)
            category = unit.properties.category
            if category == "opentobelow":
                self._shape(ring, VOID)
            elif unit.properties.restriction or category == "structure":
                self._shape(ring, STAFF, WALL, 0.08)
            elif category in ("lobby", "lounge"):
                self._shape(ring, "#FBF8F1")
            else:
                self._shape(ring, SERVICE_ROOM, WALL, 0.12)
            if category in ("stairs", "steps", "escalator", "ramp"):
                self._treads(ring, along_y=category != "stairs")
            self._unit_name(unit, ring)
        voids = [one for one in self._hall.units if one.properties.category == "opentobelow"]
        if any(map(self._here, voids)):
            x = middle(self._hall.metres(voids[0].geometry))[0]
            y = middle(self._hall.metres(voids[0].geometry))[1]
            self._column((x, y), "中庭上空", 1.1, _colour("muted"))

    def _unit_name(self, unit: Unit, ring: Sequence[Metres]) -> None:
        name, category = unit.properties.name, unit.properties.category
        if name is None:
            return
        x, y = middle(ring)
        width = max(x for x, _ in ring) - min(x for x, _ in ring)
        height = max(y for _, y in ring) - min(y for _, y in ring)
        if category in SYMBOLS:
            self._badge((x, y), SYMBOLS[category])
        elif unit.properties.restriction:
            if height > width:
                # To the outer wall: what the windows do stands beside them.
                outer = min(x for x, _ in ring) + 1.4
                if x > (self._left + self._right) / 2:
                    outer = max(x for x, _ in ring) - 1.4
                self._column((outer, y), name.zh, 1.3, _colour("edge"))
            else:
                self._text((x, y), name.zh, 1.3, _colour("edge"))
        elif category == "escalator":
            self._column((x, y), name.zh, 0.95, on=SERVICE_ROOM)
        elif category in ("steps", "ramp"):
            self._text((x, y), name.zh, 1.0, on=SERVICE_ROOM)
        elif category == "lobby":
            self._text((x, 6.2), name.zh, 1.2, _colour("muted"))
        elif category == "room" and self._level.properties.ordinal == 0:
            self._text((x, max(y for _, y in ring) - 1.6), name.zh, 1.2, _colour("muted"))
        else:
            self._text((x, y), name.zh, 1.2, _colour("muted"))

    def _fixtures(self) -> None:
        for fixture in filter(self._here, self._hall.fixtures):
            ring = self._hall.metres(fixture.geometry)
            if fixture.properties.category == "furniture":
                self._seats(ring)
            else:
                self._shape(ring, "#CBB994", WALL, 0.06)
                if fixture.properties.name:
                    x, y = middle(ring)
                    self._text((x, y - 1.5), fixture.properties.name.zh, 0.9, _colour("muted"))

    def _windows(self) -> None:
        for window in filter(self._here, self._hall.windows):
            ring = self._hall.metres(window.geometry)
            general = window.properties.kind == "general"
            fill = _colour("primary") if general else _colour("primary_tint")
            sorted_desk = window.properties.kind == "sorted"
            fill = SORTED if sorted_desk else fill
            self._shape(ring, fill, _colour("primary"), 0.06)
            ink = _colour("inverse") if general else _colour("ink")
            self._text(middle(ring), str(window.properties.number), 0.86, ink, bold=True)
        self._businesses()

    def _businesses(self) -> None:
        """What a run of windows does: on the staff's side, at an island on the citizens'."""
        runs: dict[tuple[str, str, float], list[Window]] = {}
        for window in filter(self._here, self._hall.windows):
            told = window.properties
            runs.setdefault((told.business.zh, told.zone_id, told.faces_deg), []).append(window)
        facings: dict[str, set[float]] = {}
        for _, zone, facing in runs:
            facings.setdefault(zone, set()).add(facing)
        for (business, zone, facing), windows in runs.items():
            x, y = middle([middle(self._hall.metres(one.geometry)) for one in windows])
            out = math.radians(facing)
            side = 1 if len(facings[zone]) > 1 else -1
            if facing in (90.0, 270.0):
                where = (x - 0.95 * math.sin(out), y)
                self._text(where, business, 0.85, anchor="rm" if facing == 90 else "lm")
                continue
            lines = [business]
            if len(business) * 0.85 > len(windows) * 2.0:
                half = math.ceil(len(business) / 2)
                lines = [business[:half], business[half:]]
            step = side * math.cos(out)
            far = 1.2 + (len(lines) - 1) * 0.48
            for number, line in enumerate(lines):
                drop = (len(lines) - 1) * 0.48 - number * 0.96
                self._text((x, y + far * step + drop), line, 0.85)

    def _machines(self) -> None:
        for machine in filter(self._here, self._hall.machines):
            ring = self._hall.metres(machine.geometry)
            terminal = machine.properties.kind == "terminal"
            self._block(middle(ring), TERMINAL if terminal else FORM, machine.properties.device)
        for dock in filter(self._here, self._hall.docks):
            self._block(middle(self._hall.metres(dock.geometry)), DOCK, "R")

    def _block(self, at: Metres, fill: Ink, device: str) -> None:
        x, y = at
        half = 0.66
        box = (*self._px((x - half, y + half)), *self._px((x + half, y - half)))
        self._draw.rounded_rectangle(box, radius=0.25 * PX_A_METRE * FINE, fill=fill)
        self._text(at, device.rsplit("-", 1)[-1].lstrip("0"), 0.86, _colour("inverse"), bold=True)

    def _doors(self) -> None:
        for door in filter(self._here, self._hall.openings):
            a, b = self._hall.metres(door.geometry)
            emergency = not door.properties.is_entrance
            ink = _colour("done") if emergency else _colour("primary")
            self._line((a, b), ink, 0.5)
            out = math.radians(door.properties.faces_deg)
            x, y = middle((a, b))
            where = (x - 1.5 * math.sin(out), y - 1.5 * math.cos(out))
            if door.properties.faces_deg in (90.0, 270.0):
                self._column((x - 0.9 * math.sin(out), y + 3.4), door.properties.name.zh, 1.0, ink)
            else:
                self._text(where, door.properties.name.zh, 1.0, ink, bold=True)

    def _amenities(self) -> None:
        for amenity in filter(self._here, self._hall.amenities):
            (point,) = self._hall.metres(amenity.geometry)
            category = amenity.properties.category
            if category in ("drinkingfountain", "information"):
                shift = 0.55 if category == "drinkingfountain" else 0.0
                self._badge((point[0], point[1] + shift), SYMBOLS[category])

    def _zone_names(self) -> None:
        for zone in filter(self._here, self._hall.zones):
            windows = [one for one in self._hall.windows if one.properties.zone_id == zone.id]
            if not windows:
                continue
            facing = windows[0].properties.faces_deg
            fronts = [one for one in windows if one.properties.faces_deg == facing]
            x, y = middle([middle(self._hall.metres(one.geometry)) for one in fronts])
            out = math.radians(facing)
            name = f"{zone.properties.label} {zone.properties.name.zh}".strip()
            if facing in (90.0, 270.0):
                self._column(
                    (x + 2.3 * math.sin(out), y), name, 1.25, _colour("primary"), bold=True
                )
            else:
                island = len(fronts) < len(windows)
                where = (x, y + (3.3 if island else 2.1) * math.cos(out))
                self._text(where, name, 1.35, _colour("primary"), bold=True)

    def _way(self) -> None:
        if self._route is None:
            return
        for leg in self._route.legs:
            if leg.from_level != leg.to_level:
                ends = (leg.points[0], leg.from_level), (leg.points[-1], leg.to_level)
                for point, level in ends:
                    if level == self._level.id:
                        self._dot(point, 0.75, WAY)
            elif leg.from_level == self._level.id:
                self._line(leg.points, WAY, 0.42)
        first, last = self._route.legs[0], self._route.legs[-1]
        if first.from_level == self._level.id:
            self._dot(first.points[0], 0.9, WAY)
            self._dot(first.points[0], 0.45, FLOOR)
        if last.to_level == self._level.id:
            self._dot(last.points[-1], 0.9, WAY)

    def _legend(self) -> None:
        y = self._low - 1.2
        x = self._left + MARGIN_M + 0.6
        entries: tuple[tuple[Ink, str, str], ...] = (
            (_colour("primary"), "1", "综窗"),
            (SORTED, "9", "分类综窗"),
            (_colour("primary_tint"), "5", "部门窗口"),
            (TERMINAL, "1", "自助终端"),
            (FORM, "1", "电子样表机"),
            (DOCK, "R", "机器人充电位"),
        )
        for fill, mark, said in entries:
            dark = fill not in (SORTED, _colour("primary_tint"))
            box = (*self._px((x - 0.66, y + 0.66)), *self._px((x + 0.66, y - 0.66)))
            if fill in (TERMINAL, FORM, DOCK):
                self._draw.rounded_rectangle(box, 0.25 * PX_A_METRE * FINE, fill=fill)
            else:
                self._draw.rectangle(box, fill=fill, outline=_colour("primary"), width=FINE)
            ink = _colour("inverse") if dark else _colour("ink")
            self._text((x, y), mark, 0.8, ink, bold=True)
            self._text((x + 1.1, y), said, 1.1, anchor="lm")
            x += 2.6 + len(said) * 1.15
        end = self._right - MARGIN_M
        self._line(((end - 10, y), (end, y)), _colour("ink"), 0.14)
        for tick in (end - 10, end):
            self._line(((tick, y - 0.35), (tick, y + 0.35)), _colour("ink"), 0.14)
        self._text((end - 5, y + 0.9), "10 米", 1.0)

    # ── Strokes ───────────────────────────────────────────────────────────────────────────────

    def _here(self, feature: object) -> bool:
        told = getattr(feature, "properties", None)
        return getattr(told, "level_id", "") == self._level.id

    def _px(self, point: Metres) -> Pair:
        scale = PX_A_METRE * FINE
        return (point[0] - self._left) * scale, (self._high - point[1]) * scale

    def _shape(self, ring: Sequence[Metres], fill: Ink, edge: Ink = "", width_m: float = 0) -> None:
        corners = [self._px(point) for point in ring]
        self._draw.polygon(corners, fill=fill)
        if edge:
            width = max(1, round(width_m * PX_A_METRE * FINE))
            self._draw.line(
                [*corners, corners[0], corners[1]], fill=edge, width=width, joint="curve"
            )

    def _line(self, points: Sequence[Metres], ink: Ink, width_m: float) -> None:
        width = max(1, round(width_m * PX_A_METRE * FINE))
        self._draw.line([self._px(point) for point in points], fill=ink, width=width, joint="curve")

    def _dot(self, at: Metres, radius_m: float, ink: Ink) -> None:
        x, y = self._px(at)
        r = radius_m * PX_A_METRE * FINE
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)

    def _treads(self, ring: Sequence[Metres], *, along_y: bool) -> None:
        left, right = min(x for x, _ in ring), max(x for x, _ in ring)
        low, high = min(y for _, y in ring), max(y for _, y in ring)
        start, end = (low, high) if along_y else (left, right)
        at = start + 0.5
        while at < end - 0.2:
            line = ((left, at), (right, at)) if along_y else ((at, low), (at, high))
            self._line(line, VOID, 0.07)
            at += 0.5

    def _seats(self, ring: Sequence[Metres]) -> None:
        left, right = min(x for x, _ in ring), max(x for x, _ in ring)
        low, high = min(y for _, y in ring), max(y for _, y in ring)
        y = low + 0.1
        while y + 0.6 <= high:
            x = left
            while x + 0.6 <= right:
                box = (*self._px((x + 0.06, y + 0.54)), *self._px((x + 0.54, y + 0.06)))
                self._draw.rounded_rectangle(box, radius=2 * FINE, fill=SEATS)
                x += 0.65
            y += 0.95

    def _badge(self, at: Metres, word: str) -> None:
        size = 1.0
        half = max(0.95, len(word) * size / 2 + 0.35)
        x, y = at
        box = (*self._px((x - half, y + 0.8)), *self._px((x + half, y - 0.8)))
        radius = 0.35 * PX_A_METRE * FINE
        self._draw.rounded_rectangle(box, radius=radius, fill=_colour("muted"))
        self._text(at, word, size, _colour("inverse"), bold=True)

    def _text(
        self,
        at: Metres,
        words: str,
        size_m: float,
        ink: Ink = "",
        anchor: str = "mm",
        *,
        bold: bool = False,
        on: Ink = "",
    ) -> None:
        font = _font(round(size_m * PX_A_METRE * FINE), bold=bold)
        place = self._px(at)
        if on:
            box = self._draw.textbbox(place, words, font=font, anchor=anchor)
            pad = 0.15 * PX_A_METRE * FINE
            self._draw.rectangle((box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad), fill=on)
        self._draw.text(place, words, font=font, fill=ink or _colour("ink"), anchor=anchor)

    def _column(
        self,
        at: Metres,
        words: str,
        size_m: float,
        ink: Ink = "",
        *,
        bold: bool = False,
        on: Ink = "",
    ) -> None:
        """Written downwards, as signs beside a row are."""
        x, y = at
        top = y + (len(words) - 1) * size_m * 1.08 / 2
        for number, character in enumerate(words):
            place = (x, top - number * size_m * 1.08)
            self._text(place, character, size_m, ink, bold=bold, on=on)


def _colour(name: str) -> Ink:
    return str(tokens()["colour"][name])


@functools.cache
def _font(size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    name = "NotoSansCJK-Bold.ttc" if bold else "NotoSansCJK-Regular.ttc"
    return ImageFont.truetype(name, size, index=_SANS_SC)
