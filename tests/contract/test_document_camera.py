"""What every document camera does, with its twin or as a fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.document_camera.opencv_document_camera import (
    DocumentCameraConfig,
    OpenCvDocumentCamera,
)
from drivers.documents.capture import picture_of
from drivers.driver import status_of
from drivers.sim.control import order
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.ports.document_camera import (
    CaptureOutcome,
    DocumentCamera,
    NotCaptured,
    Page,
    PageCaptured,
    Sheet,
    Trouble,
)
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.document_camera import FakeDocumentCamera

LONG_S = 20.0


class Laid(StrEnum):
    """What a person puts under the camera."""

    PRINT = "print"
    """A printed sheet of A4."""
    OTHER_PRINT = "other_print"
    """Another one."""
    CARD = "card"
    CUT = "cut"
    """The first sheet, half outside."""
    MOVING = "moving"
    """The first sheet, being pushed about."""
    DARK = "dark"
    GLARE = "glare"


class Bench(ABC):
    """A document camera and what lies under it; nothing at first."""

    camera: DocumentCamera
    gone = Reason.REFUSED
    """What a camera without its cable is told as."""
    patience_s = SIMULATED_PATIENCE_S

    @abstractmethod
    async def lay(self, what: Laid) -> None:
        """Instead of what lies there."""

    @abstractmethod
    async def lift(self) -> None: ...
    @abstractmethod
    async def break_(self) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    _SPOILT: Mapping[Laid, Trouble] = {
        Laid.CUT: Trouble.CUT,
        Laid.MOVING: Trouble.MOVING,
        Laid.DARK: Trouble.TOO_DARK,
        Laid.GLARE: Trouble.GLARE,
    }

    def __init__(self) -> None:
        self.fake = FakeDocumentCamera(SystemClock())
        self.camera = self.fake
        self.fake.show(1)

    async def lay(self, what: Laid) -> None:
        if what in self._SPOILT:
            self.fake.lies = self._SPOILT[what]
        else:
            text = b"\x00\x00\x00\x80" if what is Laid.OTHER_PRINT else b"\x80\x00"
            self.fake.lay(Sheet.CARD if what is Laid.CARD else Sheet.A4, text=text)

    async def lift(self) -> None:
        self.fake.lies = Trouble.NO_PAGE

    async def break_(self) -> None:
        self.fake.break_(Reason.REFUSED)

    async def mend(self) -> None:
        self.fake.mend()


class TwinBench(Bench):
    _SCENES: Mapping[Laid, list[str]] = {
        Laid.PRINT: ["licence"],
        Laid.OTHER_PRINT: ["proof"],
        Laid.CARD: ["card"],
        Laid.CUT: ["cut"],
        Laid.MOVING: ["licence", "moved"],
        Laid.DARK: ["dark"],
        Laid.GLARE: ["glare"],
    }

    def __init__(self, camera: OpenCvDocumentCamera, control: Path) -> None:
        self.camera = camera
        self.control = control

    async def lay(self, what: Laid) -> None:
        await order(self.control, "scene", names=self._SCENES[what])

    async def lift(self) -> None:
        await order(self.control, "scene", names=["desk"])

    async def break_(self) -> None:
        await order(self.control, "unplug")

    async def mend(self) -> None:
        await order(self.control, "plug")


@pytest.fixture(params=["opencv_document_camera", "opencv_document_camera-v4l2", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "camera") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    is_v4l2 = request.param.endswith("v4l2")
    name = "document_camera_v4l2_twin" if is_v4l2 else "document_camera_twin"
    control: Path = request.getfixturevalue(name)
    if is_v4l2:
        transport = {"kind": "v4l2", "path": "/dev/video0", "width": 2048, "height": 1536}
    else:
        port = (await order(control, "state"))["state"]["port"]
        transport = {"kind": "http", "uri": f"http://127.0.0.1:{port}/video"}
    config = DocumentCameraConfig.model_validate(
        {
            "id": "document-camera",
            "driver": "opencv_document_camera",
            "transport": transport,
            "retry_max_s": 0.1,
            "still_for_s": 0.1,
        }
    )
    async with OpenCvDocumentCamera(config, SystemClock()) as camera:
        made = TwinBench(camera, control)
        made.gone = Reason.PORT_GONE if is_v4l2 else Reason.REFUSED
        yield made


async def taken(bench: Bench, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
    """What lies there now, once it lies still."""
    async with asyncio.timeout(bench.patience_s):
        while (outcome := await bench.camera.capture(sheet)) == NotCaptured(Trouble.MOVING):
            pass
    return outcome


async def page(bench: Bench, sheet: Sheet = Sheet.ANY) -> Page:
    outcome = await taken(bench, sheet)
    assert isinstance(outcome, PageCaptured), outcome
    return outcome.page


def likeness(one: Page, other: Page) -> float:
    """1 for the same sheet, whatever the light."""
    small = [
        cv2.resize(
            cv2.cvtColor(picture_of(each), cv2.COLOR_BGR2GRAY), (256, 256), interpolation=3
        ).astype(np.float32)
        for each in (one, other)
    ]
    return float(np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1])


async def lost(bench: Bench) -> None:
    async with asyncio.timeout(LONG_S):
        while (await bench.camera.probe()).reason is not bench.gone:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def back(bench: Bench) -> None:
    async with asyncio.timeout(LONG_S):
        while not (await bench.camera.probe()).works:  # noqa: ASYNC110  # its own pauses
            await asyncio.sleep(0.01)


async def test_a_new_one_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.camera.report.status is DeviceStatus.STARTING
    report = await bench.camera.probe()
    assert report.works
    assert report == bench.camera.report
    assert report.port == "document_camera"


async def test_the_bare_desk_is_no_page_and_no_fault(bench: Bench) -> None:
    await bench.lift()
    assert await taken(bench) == NotCaptured(Trouble.NO_PAGE)
    assert bench.camera.report.works


async def test_a_sheet_becomes_a_page_of_its_size(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    made = await page(bench, Sheet.A4)
    assert made.sheet is Sheet.A4
    assert len(made.bgr) == 3 * made.width * made.height
    assert max(made.width, made.height) / made.dpi * 25.4 == pytest.approx(297, abs=3)
    assert min(made.width, made.height) / made.dpi * 25.4 == pytest.approx(210, abs=3)
    assert "bgr" not in repr(made), "a page is not written into logs"


async def test_a_card_is_known_by_its_shape(bench: Bench) -> None:
    await bench.lay(Laid.CARD)
    made = await page(bench)
    assert made.sheet is Sheet.CARD
    assert made.dpi >= 200, "its small letters can be read"


async def test_what_was_not_asked_for_is_refused(bench: Bench) -> None:
    await bench.lay(Laid.CARD)
    assert await taken(bench, Sheet.A4) == NotCaptured(Trouble.OTHER_SHAPE)


@pytest.mark.parametrize(
    ("what", "trouble"),
    [
        (Laid.CUT, (Trouble.CUT, Trouble.NO_PAGE)),
        (Laid.DARK, (Trouble.TOO_DARK,)),
        (Laid.GLARE, (Trouble.GLARE,)),
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_refused_and_why(
    bench: Bench, what: Laid, trouble: tuple[Trouble, ...]
) -> None:
    await bench.lay(what)
    outcome = await taken(bench)
    assert isinstance(outcome, NotCaptured)
    assert outcome.trouble in trouble
    assert bench.camera.report.works, "it is the sheet's trouble"


async def test_a_sheet_on_the_move_is_waited_for(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    await page(bench)
    await bench.lay(Laid.MOVING)
    async with asyncio.timeout(bench.patience_s):
        # A hand needs a moment to begin.
        while await bench.camera.capture() != NotCaptured(Trouble.MOVING):
            pass
    await bench.lay(Laid.PRINT)
    await page(bench)


async def test_page_after_page_and_never_the_one_before(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    first = await page(bench)
    again = await page(bench)
    assert likeness(first, again) > 0.9
    await bench.lay(Laid.OTHER_PRINT)
    second = await page(bench)
    assert likeness(first, second) < 0.8
    await bench.lift()
    assert await taken(bench) == NotCaptured(Trouble.NO_PAGE)


async def test_people_see_how_it_lies(bench: Bench) -> None:
    first = await bench.camera.latest_frame()
    assert len(first.data) == first.height * first.stride
    assert first.data.readonly
    assert "data" not in repr(first)


async def test_who_gives_up_takes_nothing_from_others(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    await page(bench)
    asking = asyncio.create_task(bench.camera.capture())
    other = asyncio.create_task(bench.camera.capture())
    await asyncio.sleep(0)
    asking.cancel()
    assert isinstance(await other, PageCaptured)
    await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(await bench.camera.capture(), PageCaptured)


async def test_a_lost_one_is_raised_reported_and_heals_by_itself(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    await page(bench)
    await bench.break_()
    await lost(bench)
    with pytest.raises(DeviceError):
        await bench.camera.capture()
    report = bench.camera.report
    assert not report.works
    assert (report.status, report.action) == status_of(bench.gone)
    await bench.mend()
    await back(bench)
    await page(bench)


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.camera.probe()
    assert await bench.camera.probe() == first
    await bench.break_()
    await lost(bench)
    broken = bench.camera.report
    assert await bench.camera.probe() == broken


async def test_diagnostics_count_and_hold_no_picture(bench: Bench) -> None:
    await bench.lay(Laid.PRINT)
    await page(bench)
    facts = bench.camera.diagnostics()
    assert int(facts["given"]) >= 1
    assert all(isinstance(fact, int | float) or len(fact) < 80 for fact in facts.values())
