"""The document camera: pages found, spoiled ones refused, pages read, materials reviewed.

Everything is rendered (`drivers/sim/papers.py`, `desk.py`), nothing was scanned: the figures say
how the parts work together, not how a lens, a lamp and a crumpled sheet behave. The thresholds were
worked out with seeds 1000 to 1047; what was changed after a look at those here stands in
docs/documents.md.

`review.…missed` is what was planted and not called a fault (recall is the rest); `false` is what
was called a fault and was none (precision is the rest). Unknown is neither: it goes to the clerk,
and its share stands beside.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from drivers.documents.capture import page_of, picture_of
from drivers.documents.page_finding import Quad, find_page
from drivers.documents.reading import PageRead, PageReader
from drivers.documents.rectify import upright
from drivers.documents.stamps import stamps
from drivers.sim import papers
from drivers.sim.desk import NOT_USABLE, Fault, lay
from drivers.sim.papers import Paper, Somebody
from hallkit.guide.documents import recognise
from hallkit.guide.pre_review import review
from hallkit.lexicon.words import words
from hallkit.model.document import RecognisedPage
from hallkit.model.item import Material, ReviewCheck, ReviewPoint
from hallkit.ports.document_camera import Page, PageCaptured
from launcher.figures import Figure, Measure, cpu_ticks, percentile

FOUND_SEEDS = range(70_000, 70_030)
SPOILED_SEEDS = range(71_000, 71_012)
REVIEW_SEEDS = range(80_000, 80_040)
PLACES = range(6)
"""Documents of a seed, one after the other."""
BORNE: tuple[frozenset[Fault], ...] = (frozenset(), frozenset({"hand"}), frozenset({"shadow"}))
OFF_PX = 10.0
"""A corner further off is no page found: 1 mm of A4."""
TICKS = 100
TODAY = dt.date(2026, 11, 30)
CHECKS: tuple[ReviewCheck, ...] = ("kind", "in_date", "same_person", "stamp", "complete")


def documents(seed: int) -> list[Paper]:
    random = Random(seed)  # noqa: S311  # a picture, no secret
    who = papers.somebody(random)
    return [
        *papers.identity_card(who),
        papers.business_licence(random, who),
        papers.food_licence(random, who, until=dt.date(2029, 1, 31)),
        papers.household_page(who),
        papers.proof(who),
    ]


async def finding(_: Path) -> list[Figure]:
    """Sheets that a citizen laid down well, and those that nobody could read."""
    off: list[float] = []
    missed, times = 0, []
    for seed in FOUND_SEEDS:
        paper = documents(seed)[seed % len(PLACES)]
        for faults in BORNE:
            scene = lay(papers.draw(paper), paper.size_mm, seed=seed, faults=faults)
            start = time.process_time()
            found = find_page(scene.picture)
            times.append(time.process_time() - start)
            if not isinstance(found, Quad):
                missed += 1
                continue
            worst = min(
                float(
                    np.linalg.norm(np.roll(found.corners, k, axis=0) - scene.corners, axis=1).max()
                )
                for k in range(4)
            )
            off.append(worst)
            missed += worst > OFF_PX
    number = len(FOUND_SEEDS) * len(BORNE)
    told = f"of {number} rendered desks; hand and shadow in two thirds"
    near = [value for value in off if value <= OFF_PX]
    passed = _spoiled()
    spoiled = len(SPOILED_SEEDS) * len(NOT_USABLE)
    return [
        Figure("papers.finding.missed", 100 * missed / number, "%", peer=told, limit=5),
        Figure(
            "papers.finding.corner_p95", percentile(near, 95), "px", peer="of 2592 x 1944", limit=3
        ),
        Figure("papers.finding.cpu", 1000 * percentile(times, 50), "ms", limit=500),
        Figure(
            "papers.finding.spoiled_passed",
            100 * sum(passed.values()) / spoiled,
            "%",
            peer=f"of {spoiled}; by fault: {dict(passed) or 'none'}",
            limit=5,
        ),
    ]


def _spoiled() -> Counter[str]:
    """Which faults let a page pass that is none."""
    passed: Counter[str] = Counter()
    for seed in SPOILED_SEEDS:
        paper = documents(seed)[seed % len(PLACES)]
        for fault in sorted(NOT_USABLE):
            scene = lay(papers.draw(paper), paper.size_mm, seed=seed, faults=frozenset({fault}))
            if isinstance(page_of(scene.picture), PageCaptured):
                passed[fault] += 1
    return passed


# ── Reading ──────────────────────────────────────────────────────────────────────────────────


async def reading(_: Path) -> list[Figure]:
    """A page from the desk to its text, beside rapidocr alone on the sheet as it was drawn."""
    ours: list[tuple[float, float]] = []
    alone: list[tuple[float, float]] = []
    async with PageReader() as reader:
        for seed in FOUND_SEEDS[2::6]:
            paper = documents(seed)[2]
            drawn = papers.draw(paper, dpi=200)
            scene = lay(papers.draw(paper), paper.size_mm, seed=seed)
            height, width = drawn.shape[:2]
            clean = Page(width, height, drawn.tobytes(), 200)
            before = _now(reader)
            await reader.read(clean)
            alone.append(_since(before, reader))
            before = _now(reader)
            outcome = page_of(scene.picture)
            if isinstance(outcome, PageCaptured):
                await reader.read(outcome.page)
                ours.append(_since(before, reader))
        memory = _peak_mb(reader.pid or 0)
    told = "rapidocr alone on the clean sheet, 200 dots an inch"
    return [
        Figure(
            f"papers.page.{name}",
            1000 * percentile([one[index] for one in ours], 50),
            "ms",
            peer=told,
            peer_value=1000 * percentile([one[index] for one in alone], 50),
        )
        for index, name in enumerate(("cpu", "wall"))
    ] + [Figure("papers.page.memory", memory, "MB", peer="resident, at most", limit=1800)]


def _now(reader: PageReader) -> tuple[float, float]:
    return time.process_time() + cpu_ticks(reader.pid or 0) / TICKS, time.monotonic()


def _since(before: tuple[float, float], reader: PageReader) -> tuple[float, float]:
    now = _now(reader)
    return now[0] - before[0], now[1] - before[1]


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line)


# ── Pre-review ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """A material, what is laid down for it, and which points are wrong on purpose."""

    material: Material
    sheets: tuple[Paper, ...]
    owner: Somebody
    wrong: frozenset[ReviewCheck]


def _material(name: str, *checks: ReviewCheck) -> Material:
    points = tuple(ReviewPoint(text=check, check=check) for check in checks)
    return Material(key="m", material_name=name, review_points=points)


def _card(_: Random, who: Somebody, other: Somebody, fault: str) -> Case:
    until = dt.date(2024, 3, 1) if fault == "in_date" else dt.date(2033, 3, 1)
    front, back = papers.identity_card(other if fault == "same_person" else who, until=until)
    sheets = (front,) if fault == "complete" else (front, back)
    if fault == "kind":
        sheets = (papers.household_page(who),)
    return Case(
        _material("居民身份证", "in_date", "same_person", "complete"), sheets, who, _wrong(fault)
    )


def _food(random: Random, who: Somebody, other: Somebody, fault: str) -> Case:
    until = dt.date(2025, 6, 30) if fault == "in_date" else dt.date(2029, 6, 30)
    sheet = papers.food_licence(random, other if fault == "same_person" else who, until=until)
    if fault == "stamp":
        sheet = sheet.saying(seal="")
    if fault == "kind":
        sheet = papers.business_licence(random, who)
    return Case(
        _material("食品经营许可证", "in_date", "same_person", "stamp"), (sheet,), who, _wrong(fault)
    )


def _household(_: Random, who: Somebody, other: Somebody, fault: str) -> Case:
    sheet = papers.household_page(other if fault == "same_person" else who)
    if fault == "stamp":
        sheet = sheet.saying(seal="")
    if fault == "kind":
        sheet = papers.identity_card(who)[0]
    return Case(_material("居民户口簿", "same_person", "stamp"), (sheet,), who, _wrong(fault))


def _proof(_: Random, who: Somebody, other: Somebody, fault: str) -> Case:
    of = other if fault == "same_person" else who
    first, last = papers.proof(of, page=1, pages=2), papers.proof(of, page=2, pages=2)
    if fault == "stamp":
        last = last.saying(seal="")
    sheets = (first,) if fault == "complete" else (first, last)
    return Case(
        _material("居住证明", "same_person", "stamp", "complete"),
        sheets,
        who,
        # The seal is on the last page: without it there is none.
        _wrong(fault) | (frozenset({"stamp"}) if fault == "complete" else frozenset()),
    )


def _wrong(fault: str) -> frozenset[ReviewCheck]:
    return frozenset(check for check in CHECKS if check == fault)


MAKERS: Sequence[tuple[Callable[[Random, Somebody, Somebody, str], Case], tuple[str, ...]]] = (
    (_card, ("", "in_date", "same_person", "complete", "kind")),
    (_food, ("", "in_date", "same_person", "stamp", "kind")),
    (_household, ("", "same_person", "stamp", "kind")),
    (_proof, ("", "same_person", "stamp", "complete")),
)


def _case(seed: int) -> Case:
    random = Random(seed)  # noqa: S311  # a picture, no secret
    who, other = papers.somebody(random), papers.somebody(random)
    make, faults = MAKERS[seed % len(MAKERS)]
    return make(random, who, other, random.choice(faults))


async def reviewing(_: Path) -> list[Figure]:
    """Materials laid down sheet by sheet, each with one thing wrong, or nothing.

    Two thirds have a hand or a shadow on them.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    refused = sheets = 0
    async with PageReader() as reader:
        for seed in REVIEW_SEEDS:
            case = _case(seed)
            pages: list[RecognisedPage] = []
            for number, sheet in enumerate(case.sheets):
                place = seed * 10 + number
                borne = BORNE[place % len(BORNE)]
                scene = lay(papers.draw(sheet), sheet.size_mm, seed=place, faults=borne)
                sheets += 1
                outcome = page_of(scene.picture)
                read = (
                    await reader.read(outcome.page) if isinstance(outcome, PageCaptured) else None
                )
                if not isinstance(outcome, PageCaptured) or not isinstance(read, PageRead):
                    refused += 1
                    continue
                seals = stamps(picture_of(upright(outcome.page, read.text.turn)))
                pages.append(recognise(read.text, seals))
            if len(pages) == len(case.sheets):
                _count(case, pages, counts)
    return [figure for check in CHECKS for figure in _figures(check, counts[check])] + [
        Figure(
            "papers.review.sheets_refused", refused, "", peer=f"of {sheets} sheets laid down once"
        )
    ]


def _count(case: Case, pages: Sequence[RecognisedPage], counts: dict[str, Counter[str]]) -> None:
    facts = {"applicant.name": case.owner.name, "applicant.id_number": case.owner.number}
    told = review(case.material, pages, facts, on=TODAY, words=words())
    for point in told.points:
        if point.reason == "other_first":
            continue  # nothing is said of it before the right paper lies there
        planted = "wrong" if point.check in case.wrong else "right"
        counts[point.check][f"{planted}:{point.verdict}"] += 1


def _figures(check: str, count: Counter[str]) -> list[Figure]:
    wrong = sum(value for key, value in count.items() if key.startswith("wrong"))
    found, alarms = count["wrong:fail"], count["right:fail"]
    unknown = count["wrong:unknown"] + count["right:unknown"]
    told = f"{wrong} planted in {count.total()}; passed {count['wrong:pass']}, unknown {unknown}"
    return [
        Figure(
            f"papers.review.{check}.missed",
            100 * (1 - found / wrong) if wrong else 0,
            "%",
            peer=told,
        ),
        Figure(
            f"papers.review.{check}.false",
            100 * alarms / (found + alarms) if found + alarms else 0,
            "%",
            peer=f"of {found + alarms} called a fault",
        ),
        Figure(
            f"papers.review.{check}.wrongly_passed",
            float(count["wrong:pass"]),
            "",
            peer="faults that were called right",
            limit=0,
        ),
    ]


MEASURES: dict[str, Measure] = {
    "papers.finding": finding,
    "papers.page": reading,
    "papers.review": reviewing,
}
