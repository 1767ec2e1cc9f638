"""The reading process: what it reads, how it ends, and what becomes of one that goes wrong.

Reading a page takes seconds of a processor: four pages are read once for all tests.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path
from random import Random

import pytest

from drivers.documents.capture import page_of, picture_of
from drivers.documents.reading import NotRead, PageRead, PageReader, WhyNot
from drivers.documents.rectify import upright
from drivers.documents.stamps import stamps
from drivers.sim import papers
from drivers.sim.desk import lay
from drivers.sim.papers import Paper
from hallkit.guide.documents import recognise
from hallkit.guide.pre_review import review
from hallkit.lexicon.words import words
from hallkit.model.document import RecognisedPage
from hallkit.model.item import Material, ReviewPoint
from hallkit.ports.document_camera import Page, PageCaptured

WHO = papers.somebody(Random(12))  # noqa: S311  # a picture, no secret
UNTIL = dt.date(2024, 2, 3)
SMALL = Page(64, 64, b"\xff" * 64 * 64 * 3, 100)


def sheets() -> dict[str, Paper]:
    front, back = papers.identity_card(WHO, until=UNTIL)
    licence = papers.business_licence(Random(12), WHO)  # noqa: S311
    return {"front": front, "back": back, "licence": licence}


def captured(paper: Paper, seed: int, turn: int) -> Page:
    outcome = page_of(lay(papers.draw(paper), paper.size_mm, seed=seed, turn=turn).picture)
    assert isinstance(outcome, PageCaptured)
    return outcome.page


@pytest.fixture(scope="module")
def read() -> dict[str, RecognisedPage]:
    """Each sheet under the camera, turned another way, read by one process that ends with it."""

    async def read_all() -> dict[str, RecognisedPage]:
        found = {}
        async with PageReader() as reader:
            for turn, (name, paper) in enumerate(sheets().items()):
                page = captured(paper, 60_000 + turn, turn)
                outcome = await reader.read(page)
                assert isinstance(outcome, PageRead)
                assert "text=" not in repr(outcome), "what was read is not written into logs"
                seals = stamps(picture_of(upright(page, outcome.text.turn)))
                found[name] = recognise(outcome.text, seals)
            assert reader.starts == 1
            pid = reader.pid
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists(), "it ends with the session"
        return found

    return asyncio.run(read_all())


def values(page: RecognisedPage) -> dict[str, tuple[str, str]]:
    return {field.key: (field.value, field.state) for field in page.fields}


@pytest.mark.timeout(120)
def test_a_card_on_the_desk_is_read_whichever_way_it_lies(read: dict[str, RecognisedPage]) -> None:
    front, back = values(read["front"]), values(read["back"])
    assert (read["front"].side, read["back"].side) == ("front", "back")
    assert front["id_number"] == (WHO.number, "checked")
    assert front["birth"] == (WHO.birth.isoformat(), "checked")
    assert front["name"] == (WHO.name, "read")
    assert back["valid_to"] == (UNTIL.isoformat(), "checked")


@pytest.mark.timeout(120)
def test_a_licence_is_read_and_its_seal_seen(read: dict[str, RecognisedPage]) -> None:
    licence = values(read["licence"])
    assert licence["uscc"] == (sheets()["licence"].texts["uscc"], "checked")
    assert licence["name"] == (sheets()["licence"].texts["name"], "read")
    assert len(read["licence"].stamps) == 1
    assert read["licence"].stamps[0].left > 0.5, "at the lower right of the upright page"
    assert read["licence"].stamps[0].top > 0.5


@pytest.mark.timeout(120)
def test_from_the_desk_to_the_verdict(read: dict[str, RecognisedPage]) -> None:
    """An expired card of the right person: told so, and nothing else is held against it."""
    checks = ("in_date", "same_person", "complete")
    material = Material(
        key="card",
        material_name="居民身份证",
        review_points=tuple(ReviewPoint(text=check, check=check) for check in checks),  # type: ignore[arg-type]
    )
    facts = {"applicant.name": WHO.name, "applicant.id_number": WHO.number}
    pages = (read["front"], read["back"])
    told = review(material, pages, facts, on=dt.date(2026, 11, 30), words=words())
    assert {point.check: point.verdict for point in told.points} == {
        "kind": "pass",
        "legible": "pass",
        "in_date": "fail",
        "same_person": "pass",
        "complete": "pass",
    }
    assert told.verdict == "fail"


# ── A process that goes wrong: small stand-ins, no models ─────────────────────────────────────


READY = "import sys, time; print('{\"ready\": true}', flush=True); "


def stand_in(code: str, *, timeout_s: float = 10.0) -> PageReader:
    return PageReader(command=(sys.executable, "-c", READY + code), page_timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("sys.exit(71)", WhyNot.NO_MEMORY),
        ("sys.exit(1)", WhyNot.CRASHED),
        ("import os; os.abort()", WhyNot.CRASHED),
        ("sys.stdin.buffer.read(9); print('nonsense', flush=True); time.sleep(60)", WhyNot.CRASHED),
        ('print(\'{"turn": 0, "lines": [{"text": "x", "box": [0, 0, 9, 9]}]}\')', WhyNot.CRASHED),
        ("print('[]', flush=True); time.sleep(60)", WhyNot.CRASHED),
        ("print('x' * 3_000_000, flush=True); time.sleep(60)", WhyNot.CRASHED),
    ],
)
async def test_a_process_that_dies_or_talks_nonsense_is_a_value(code: str, why: WhyNot) -> None:
    async with stand_in(code) as reader:
        assert await reader.read(SMALL) == NotRead(why)
        assert reader.pid is None, "it is gone"
        assert await reader.read(SMALL) == NotRead(why)
        # One that dies before it has the page costs no try.
        assert reader.starts >= 2, "the next page gets a new one"


READS_ONE = (
    "line = sys.stdin.buffer.readline(); sys.stdin.buffer.read(64 * 64 * 3); "
    'print(\'{"turn": 0, "lines": []}\', flush=True); '
    "sys.stdin.buffer.readline(); sys.exit(71)"
)


async def test_a_page_too_much_for_a_worn_process_is_read_by_a_new_one() -> None:
    async with stand_in(READS_ONE) as reader:
        assert isinstance(await reader.read(SMALL), PageRead)
        assert isinstance(await reader.read(SMALL), PageRead)
        assert reader.starts == 2


async def test_one_that_hangs_is_killed() -> None:
    async with stand_in("time.sleep(600)", timeout_s=0.2) as reader:
        pid = reader.pid
        assert await reader.read(SMALL) == NotRead(WhyNot.TOO_SLOW)
        assert not Path(f"/proc/{pid}").exists()


async def test_whoever_gives_up_leaves_no_answer_for_the_next() -> None:
    async with stand_in("time.sleep(600)") as reader:
        asking = asyncio.create_task(reader.read(SMALL))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert reader.pid is None


@pytest.mark.timeout(120)
async def test_a_page_for_which_memory_is_short_ends_the_process() -> None:
    """The cap is the kernel's: the models load, or not, and nobody else pays for it."""
    reader = PageReader(memory_mb=400)
    try:
        assert await reader.read(SMALL) == NotRead(WhyNot.NO_MEMORY)
    finally:
        await reader.close()
