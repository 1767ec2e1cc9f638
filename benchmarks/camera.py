"""Cameras in one process: how old is a picture that somebody gets, and what does it cost?

A twin sends MJPEG of 1280 x 704 at 15 pictures a second, as large as real ones, each with the time
at which it was made. Somebody asks each camera for a picture five times a second, as a detector
does. Beside it stands what one writes first: `cv2.VideoCapture.read` in a loop, at the same pace
(its pictures come out of a queue), and in a loop without a pause (it decodes every picture).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.camera.opencv import OpenCvCamera, OpenCvConfig
from drivers.sim.camera_picture import number_of
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.runtime.clock import SystemClock
from launcher.figures import Figure, Measure, percentile

SIZE = (1280, 704)
FPS = 15
ASKED_HZ = 5
LASTS_S = 6.0
CAMERAS = (1, 4, 8)
WRAP = 1 << 24
LIMIT_AGE_MS = 500.0
PACED = "cv2 alone, read() in a loop at the same pace"
EAGER = "cv2 alone, read() in a loop without a pause"


def _measure(count: int) -> Measure:
    async def measured(folder: Path) -> list[Figure]:
        async with _twin(folder) as uri:
            ages, cpu = await _ours(uri, count, asked=True)
            _, idle_cpu = await _ours(uri, count, asked=False)
            paced_ages, _ = await asyncio.to_thread(_plain, uri, count, pause_s=1 / ASKED_HZ)
            _, eager_cpu = await asyncio.to_thread(_plain, uri, count, pause_s=0.0)
        name = f"camera.{count}"
        worst, paced_worst = percentile(ages, 100), percentile(paced_ages, 100)
        return [
            Figure(f"{name}.age.worst", worst, "ms", PACED, paced_worst, LIMIT_AGE_MS),
            Figure(
                f"{name}.age.p50", percentile(ages, 50), "ms", PACED, percentile(paced_ages, 50)
            ),
            Figure(f"{name}.per_second", len(ages) / LASTS_S / count, "1/s"),
            Figure(f"{name}.cpu", cpu, "%", EAGER, eager_cpu),
            Figure(f"{name}.cpu.idle", idle_cpu, "%", EAGER, eager_cpu),
        ]

    return measured


MEASURES = {f"camera.{count}": _measure(count) for count in CAMERAS}


@asynccontextmanager
async def _twin(folder: Path) -> AsyncIterator[str]:
    control = folder / "control"
    size = ("--width", str(SIZE[0]), "--height", str(SIZE[1]), "--fps", str(FPS))
    async with simulator("drivers.sim.camera", "--control", control, *size, "--grain", "--clock"):
        port = (await order(control, "state"))["state"]["port"]
        yield f"http://127.0.0.1:{port}/video"


def _age_ms(width: int, height: int, data: memoryview | bytes) -> float:
    now_ms = time.monotonic_ns() // 1_000_000
    number = number_of(width, height, 3 * width, data)
    if number is None:
        raise ValueError("a picture without its number")
    return float((now_ms - number) % WRAP)


async def _ours(uri: str, count: int, *, asked: bool) -> tuple[list[float], float]:
    """Ages in ms, and the processor's time in percent of one core."""
    ages: list[float] = []

    async def look(camera: OpenCvCamera, until_s: float) -> None:
        last = None
        while time.monotonic() < until_s:
            frame = await camera.latest_frame(newer_than=last)
            last = frame.sequence
            ages.append(_age_ms(frame.width, frame.height, frame.data))
            await asyncio.sleep(1 / ASKED_HZ)

    async with AsyncExitStack() as stack:
        cameras = [
            await stack.enter_async_context(OpenCvCamera(_config(uri, index), SystemClock()))
            for index in range(count)
        ]
        for camera in cameras:
            await camera.probe()
        began_s, used_s = time.monotonic(), time.process_time()
        if asked:
            async with asyncio.TaskGroup() as tasks:
                for camera in cameras:
                    tasks.create_task(look(camera, began_s + LASTS_S))
        else:
            await asyncio.sleep(LASTS_S)
        return ages, _percent(used_s, began_s)


def _config(uri: str, index: int) -> OpenCvConfig:
    entry: dict[str, Any] = {
        "id": f"camera-{index}",
        "driver": "opencv",
        "transport": {"kind": "http", "uri": uri},
    }
    return OpenCvConfig.model_validate(entry)


def _percent(used_s: float, began_s: float) -> float:
    return 100 * (time.process_time() - used_s) / (time.monotonic() - began_s)


def _plain(uri: str, count: int, *, pause_s: float) -> tuple[list[float], float]:
    import cv2  # noqa: PLC0415  # the machine may have no cameras, and measure the rest

    captures = [cv2.VideoCapture(uri, cv2.CAP_FFMPEG) for _ in range(count)]
    ages: list[float] = []
    began_s, used_s = time.monotonic(), time.process_time()
    while time.monotonic() < began_s + LASTS_S:
        for capture in captures:
            held, image = capture.read()
            if held:
                height, width = image.shape[:2]
                pixels: Any = image
                ages.append(_age_ms(width, height, memoryview(pixels).cast("B")))
        time.sleep(pause_s)
    cpu = _percent(used_s, began_s)
    for capture in captures:
        capture.release()
    return ages, cpu
