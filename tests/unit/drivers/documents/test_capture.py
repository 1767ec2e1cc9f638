"""Sheets on rendered desks: what is found, what is refused and why. Seeds of their own."""

from __future__ import annotations

import datetime as dt
from functools import cache
from random import Random

import cv2
import numpy as np
import pytest

from drivers.documents import quality
from drivers.documents.capture import capture, page_of, picture_of
from drivers.documents.page_finding import Quad, find_page
from drivers.documents.rectify import proportion, straightened, upright
from drivers.documents.stamps import stamps
from drivers.sim import papers
from drivers.sim.desk import Fault, Scene, lay
from drivers.sim.papers import Paper
from hallkit.lexicon.words import words
from hallkit.ports.document_camera import NotCaptured, PageCaptured, Sheet, Trouble
from tests.fakes.desk import DeskCamera

SEED = 40_000
EXPECTED: dict[Fault, set[Trouble]] = {
    "blur": {Trouble.BLURRED},
    "glare": {Trouble.GLARE},
    "dark": {Trouble.TOO_DARK},
    "half": {Trouble.CUT, Trouble.NO_PAGE},
    "small": {Trouble.TOO_SMALL, Trouble.NO_PAGE},
    "empty": {Trouble.NO_PAGE},
}


def paper(kind: str) -> Paper:
    random = Random(3)  # noqa: S311  # a picture, no secret
    who = papers.somebody(random)
    return {
        "card": papers.identity_card(who)[0],
        "licence": papers.business_licence(random, who),
        "food": papers.food_licence(random, who, until=dt.date(2029, 1, 31)),
        "proof": papers.proof(who),
    }[kind]


@cache
def scene(kind: str, seed: int = SEED, *faults: Fault, turn: int | None = None) -> Scene:
    sheet = paper(kind)
    drawn = papers.draw(sheet, dpi=200)
    return lay(
        drawn,
        sheet.size_mm,
        seed=seed,
        faults=frozenset(faults),
        turn=turn,
        width=2048,
        height=1536,
    )


def off_px(found: Quad, scene: Scene) -> float:
    """The worst corner, whichever of them was called the first."""
    return min(
        float(np.linalg.norm(np.roll(found.corners, turn, axis=0) - scene.corners, axis=1).max())
        for turn in range(4)
    )


@pytest.mark.parametrize(
    ("kind", "faults"),
    [("card", ()), ("licence", ()), ("proof", ()), ("card", ("hand",)), ("licence", ("shadow",))],
    ids=str,
)
def test_a_sheet_is_found_to_two_points(kind: str, faults: tuple[Fault, ...]) -> None:
    seen = scene(kind, SEED, *faults)
    found = find_page(seen.picture)
    assert isinstance(found, Quad)
    assert off_px(found, seen) < 2


@pytest.mark.parametrize("fault", EXPECTED)
def test_what_cannot_be_read_is_refused_and_why(fault: Fault) -> None:
    seen = page_of(scene("food", SEED + 1, fault).picture)
    assert isinstance(seen, NotCaptured)
    assert seen.trouble in EXPECTED[fault]


@pytest.mark.parametrize(
    ("kind", "sheet", "ratio"), [("card", Sheet.CARD, 85.6 / 54), ("licence", Sheet.A4, 1.414)]
)
def test_a_page_has_its_true_proportion(kind: str, sheet: Sheet, ratio: float) -> None:
    seen = scene(kind)
    found = find_page(seen.picture)
    assert isinstance(found, Quad)
    height, width = seen.picture.shape[:2]
    assert proportion(found.corners, width, height) == pytest.approx(ratio, rel=0.02)
    made = straightened(seen.picture, found)
    assert not isinstance(made, Trouble)
    page, known, dpi = made
    assert known is sheet
    assert max(page.shape[:2]) / min(page.shape[:2]) == pytest.approx(ratio, rel=0.003)
    assert dpi >= 120


def test_a_card_is_no_sheet_of_a4() -> None:
    assert page_of(scene("card").picture, Sheet.A4) == NotCaptured(Trouble.OTHER_SHAPE)


def test_a_page_looks_like_the_sheet() -> None:
    """Set upright and brought to one size it agrees with the drawn one, turned over it does not."""
    seen = scene("licence", turn=2)
    captured = page_of(seen.picture)
    assert isinstance(captured, PageCaptured)
    page = picture_of(upright(captured.page, 2))
    drawn = papers.draw(paper("licence"), dpi=100)
    small = cv2.resize(page, (drawn.shape[1], drawn.shape[0]), interpolation=cv2.INTER_AREA)
    planes = [
        cv2.GaussianBlur(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), (0, 0), 1) for one in (small, drawn)
    ]
    right, turned = (
        float(np.corrcoef(one.ravel(), planes[1].ravel())[0, 1])
        for one in (planes[0], planes[0][::-1, ::-1])
    )
    assert right > 0.6
    assert turned < 0.4


async def test_a_still_sheet_is_taken_and_a_moving_one_refused() -> None:
    still, moved = scene("licence").picture, scene("licence", SEED, "moving").picture
    captured = await capture(DeskCamera([still], fill=16), Sheet.A4, still_for_s=2)
    assert isinstance(captured, PageCaptured)
    assert "bgr" not in repr(captured), "a page is not written into logs"
    shows = [still, moved, still]
    moving = await capture(DeskCamera(shows), Sheet.ANY, still_for_s=2)
    assert moving == NotCaptured(Trouble.MOVING), "it lies as before, and was touched meanwhile"


def test_noise_alone_is_no_movement() -> None:
    still = scene("proof").picture
    noise = np.random.default_rng(1).normal(0, 3, still.shape)
    again = np.clip(still + noise, 0, 255).astype(np.uint8)
    assert not quality.moved(still, again)


@pytest.mark.parametrize(("kind", "number"), [("licence", 1), ("proof", 1), ("card", 0)])
def test_seals_are_seen_and_nothing_else(kind: str, number: int) -> None:
    captured = page_of(scene(kind).picture)
    assert isinstance(captured, PageCaptured)
    assert len(stamps(picture_of(captured.page))) == number


def test_a_red_disc_is_no_seal() -> None:
    """The emblem on the back of an identity card."""
    back = papers.identity_card(papers.somebody(Random(5)))[1]  # noqa: S311  # a picture
    assert stamps(papers.draw(back)) == ()
    licence = paper("licence")
    assert len(stamps(papers.draw(licence, dpi=100))) == 1
    assert stamps(papers.draw(licence.saying(seal=""), dpi=100)) == ()


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_trouble_has_words(language: str, trouble: Trouble) -> None:
    assert words(language).has(f"paper.{trouble.value}")  # type: ignore[arg-type]


@pytest.mark.parametrize("spread", [0, 60])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_and_noisy_pictures_hold_no_page(value: int, spread: int) -> None:
    noise = np.random.default_rng(value).normal(value, spread, (720, 1280, 3))
    seen = page_of(np.clip(noise, 0, 255).astype(np.uint8))
    assert isinstance(seen, NotCaptured)
    assert seen.trouble in {Trouble.NO_PAGE, Trouble.TOO_DARK}
