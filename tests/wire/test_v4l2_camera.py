"""The driver with a USB camera that umockdev makes up: OpenCV's own V4L2 speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.camera.opencv import OpenCvCamera, OpenCvConfig
from drivers.sim.camera_picture import number_of
from drivers.sim.control import order
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.ports.camera import Frame
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

LONG_S = 20.0
SIZE = (256, 192)


class Rig:
    def __init__(self, camera: OpenCvCamera, control: Path) -> None:
        self.camera = camera
        self.control = control

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.tell("state"))["state"]
        return state

    async def reports(self, reason: Reason | None) -> None:
        async with asyncio.timeout(LONG_S):
            while (await self.camera.probe()).reason is not reason:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def rig(control: Path, *, form: str = "MJPG", **more: Any) -> AsyncIterator[Rig]:
    usual = {
        "id": "camera",
        "driver": "opencv",
        "transport": {
            "kind": "v4l2",
            "path": "/dev/video0",
            "width": SIZE[0],
            "height": SIZE[1],
            "fps": 50,
            "format": form,
        },
        "stall_timeout_s": 0.4,
        "glance_s": 0.05,
        "stuck_after_s": 0.1,
        "retry_s": 0.01,
        "retry_max_s": 0.05,
        "rate_fps": 1000,
    }
    config = OpenCvConfig.model_validate(usual | more)
    async with OpenCvCamera(config, SystemClock()) as camera:
        yield Rig(camera, control)


def seen(frame: Frame) -> int | None:
    return number_of(frame.width, frame.height, frame.stride, frame.data)


@pytest.mark.parametrize("form", ["MJPG", "YUYV"])
async def test_it_is_set_as_the_files_say_and_gives_pictures(v4l2_twin: Path, form: str) -> None:
    async with rig(v4l2_twin, form=form) as one:
        last, before = None, 0
        for _ in range(5):
            frame = await one.camera.latest_frame(newer_than=last)
            last, number = frame.sequence, seen(frame)
            assert (frame.width, frame.height) == SIZE
            assert number is not None
            # The folder of MJPG begins anew behind its last.
            assert number != before
            before = number
        state = await one.state()
        assert (state["width"], state["height"]) == SIZE
        assert (state["format"], state["fps"]) == (form, 50)


async def test_a_picture_waits_in_no_queue(v4l2_twin: Path) -> None:
    async with rig(v4l2_twin, form="YUYV") as one:
        await one.camera.probe()
        for _ in range(5):
            before = (await one.state())["sent"]
            number = seen(await one.camera.latest_frame())
            assert number is not None
            assert number >= before


async def test_it_is_pulled_out_and_found_again(v4l2_twin: Path) -> None:
    async with rig(v4l2_twin) as one:
        for _ in range(2):
            await one.reports(None)
            await one.tell("unplug")
            await one.reports(Reason.PORT_GONE)
            assert one.camera.report.status is DeviceStatus.NO_DEVICE
            with pytest.raises(DeviceError):
                await one.camera.latest_frame()
            await one.tell("plug")
        await one.reports(None)


async def test_a_call_that_hangs_in_the_kernel_is_left_and_the_camera_is_found_again(
    v4l2_twin: Path,
) -> None:
    async with rig(v4l2_twin) as one:
        await one.reports(None)
        await one.tell("fault.set", fault="stall", times=0)
        await one.reports(Reason.SILENT)
        assert one.camera.diagnostics()["given_up"] == 1
        assert one.camera.diagnostics()["stuck_threads"] == 1
        await one.tell("fault.clear")
        await one.reports(None)
        assert seen(await one.camera.latest_frame()) is not None
        assert one.camera.diagnostics()["stuck_threads"] == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("busy", Reason.OCCUPIED), ("metadata", Reason.UNSUPPORTED)],
)
async def test_what_keeps_it_from_opening_is_named(
    v4l2_twin: Path, fault: str, reason: Reason
) -> None:
    async with rig(v4l2_twin) as one:
        await one.tell("fault.set", fault=fault, times=0)
        await one.reports(reason)
        await one.tell("fault.clear")
        await one.reports(None)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("garble", Reason.GARBLED), ("half", Reason.GARBLED), ("error", Reason.SILENT)],
)
async def test_what_is_wrong_with_pictures_is_named(
    v4l2_twin: Path, fault: str, reason: Reason
) -> None:
    async with rig(v4l2_twin) as one:
        await one.reports(None)
        await one.tell("fault.set", fault=fault, times=0)
        await one.reports(reason)
        await one.tell("fault.clear")
        await one.reports(None)


@pytest.mark.parametrize("form", ["MJPG", "YUYV"])
async def test_a_covered_lens_is_told(v4l2_twin: Path, form: str) -> None:
    async with rig(v4l2_twin, form=form, covered_after_s=0.05) as one:
        await one.reports(None)
        await one.tell("fault.set", fault="black", times=0)
        await one.reports(Reason.COVERED)
        await one.tell("fault.clear")
        await one.reports(None)


async def test_a_node_that_may_not_be_opened_is_refused(v4l2_twin: Path) -> None:
    async with rig(v4l2_twin) as one:
        await one.reports(None)
        await one.tell("fault.set", fault="denied")
        for do in ("unplug", "plug"):
            await one.tell(do)
        await one.reports(Reason.REFUSED)
        for do in ("fault.clear", "unplug", "plug"):
            await one.tell(do)
        await one.reports(None)
