"""The camera's thread with a scripted capture: what is newest, what hangs, what is told."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drivers.camera import opencv_why
from drivers.camera.opencv import OpenCvCamera, OpenCvConfig
from drivers.camera.opencv_capture import address
from drivers.camera.opencv_reader import Arrival, Picture
from drivers.camera.opencv_settings import Login
from drivers.camera.opencv_why import authorisation, gives_pictures, status_of_answer
from hallkit.errors import ConfigError, DeviceBusy, DeviceError, DeviceTimeout, Reason
from hallkit.ports.camera import Frame
from hallkit.runtime.clock import SystemClock

LONG_S = 20.0
STEP_S = 0.01
"""Between two pictures of a scripted camera."""


class Scripted:
    """A capture: a picture every `STEP_S`, its number in its first byte; it does as it is told."""

    def __init__(self, *, queued: int = 0, slowness: float = 0.0, hangs: bool = False) -> None:
        self._queued = queued
        self._slowness = slowness
        self._hangs = hangs
        self._closing = threading.Event()
        self.grabbed = 0
        self.taken = 0
        self.whole = True
        self.deviation = 50.0
        self.more = True
        self.let_go = threading.Event()

    def grab(self) -> bool:
        if self._hangs:
            self.let_go.wait()
            return False
        if self.grabbed >= self._queued:
            self._closing.wait(STEP_S)
        self.grabbed += 1
        return self.more

    def position_s(self) -> float:
        return self.grabbed * STEP_S * (1 - self._slowness)

    def take(self) -> Picture | None:
        self.taken += 1
        if not self.whole:
            return None
        data = memoryview(bytes((self.grabbed % 256, 0, 0)))
        return Picture(1, 1, data, deviation=self.deviation)

    def close(self) -> None:
        self._closing.set()


def settings(**more: Any) -> OpenCvConfig:
    usual = {
        "id": "camera",
        "driver": "opencv",
        "transport": {"kind": "rtsp", "uri": "rtsp://camera/1"},
        "stall_timeout_s": 0.1,
        "glance_s": 600,
        "retry_s": 0.01,
        "retry_max_s": 0.01,
    }
    return OpenCvConfig.model_validate(usual | more)


@asynccontextmanager
async def camera_of(
    *captures: Scripted | Exception | None, **more: Any
) -> AsyncIterator[OpenCvCamera]:
    """Opens one after the other, the last one again and again."""
    left = list(captures)

    def opens() -> Scripted | None:
        capture = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(capture, Exception):
            raise capture
        return capture

    async with OpenCvCamera(settings(**more), SystemClock(), opens=opens) as camera:
        yield camera


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not true():  # noqa: ASYNC110  # a thread has no event
            await asyncio.sleep(0.001)


async def reports(camera: OpenCvCamera, reason: Reason | None) -> None:
    async with asyncio.timeout(LONG_S):
        while (await camera.probe()).reason is not reason:  # noqa: ASYNC110  # its own pauses
            await asyncio.sleep(0.001)


async def test_pictures_that_nobody_asks_for_are_not_decoded() -> None:
    capture = Scripted()
    async with camera_of(capture) as camera:
        await camera.probe()
        await until(lambda: capture.grabbed > 30)
        assert capture.taken == 1, "the glance at its first"
        facts = camera.diagnostics()
        assert int(facts["dropped"]) >= 25


async def test_what_lay_in_a_queue_is_never_given() -> None:
    capture = Scripted(queued=40)
    async with camera_of(capture) as camera:
        frame = await camera.latest_frame()
        assert frame.sequence > 40
        assert frame.data[0] == frame.sequence


class Publishing:
    """A reader that publishes a picture just as somebody looks at the one before."""

    ending, stuck, alive, live = None, False, False, True
    connections = resyncs = decoded = damaged = 0

    def __init__(self) -> None:
        self.sequence = 1
        self._arrival = self._now(-4.0)

    def _now(self, later_s: float = 0.0) -> Arrival:
        at_s = SystemClock().mono_s() + later_s
        picture = memoryview(b"bgr")
        frame = Frame(1, 1, 3, picture, sequence=self.sequence, mono_s=at_s)
        return Arrival(frame, at_s)

    @property
    def newest(self) -> Arrival:
        seen = self._arrival
        self.sequence += 1
        self._arrival = self._now()
        return seen

    def want(self) -> None: ...
    def stop(self) -> None: ...


async def test_an_old_picture_is_not_taken_for_the_one_that_comes_just_now() -> None:
    async with camera_of(None) as camera:
        camera._reader = Publishing()  # type: ignore[assignment]  # as much of one as is asked
        asked_s = SystemClock().mono_s()
        assert (await camera.latest_frame()).mono_s >= asked_s


async def test_no_more_than_the_rate_is_decoded() -> None:
    capture = Scripted()
    clock = SystemClock()
    async with camera_of(capture, rate_fps=20) as camera:
        began_s = clock.mono_s()
        last = None
        for _ in range(4):
            last = (await camera.latest_frame(newer_than=last)).sequence
        assert capture.taken <= (clock.mono_s() - began_s) * 20 + 2
        assert capture.grabbed > capture.taken


async def test_a_stream_that_falls_behind_is_opened_anew_without_a_word() -> None:
    """Its pictures come at their pace, and each shows less of the time than has passed."""
    slow, fresh = Scripted(slowness=0.9), Scripted()
    async with camera_of(slow, fresh, max_lag_s=0.05) as camera:
        with capture_logs() as told:
            await camera.probe()
            await until(lambda: camera.diagnostics()["resyncs"] == 1)
            assert (await camera.latest_frame()).data[0] == fresh.grabbed % 256
        assert [one["status"] for one in told] == ["online"]
        assert camera.diagnostics()["connections"] == 2


async def test_the_lag_is_taken_off_the_time_of_a_picture() -> None:
    async with camera_of(Scripted(slowness=0.5), max_lag_s=60) as camera:
        await until_lag(camera)
        frame = await camera.latest_frame()
        assert SystemClock().mono_s() - frame.mono_s > 0.03


async def until_lag(camera: OpenCvCamera) -> None:
    await camera.probe()
    await until(lambda: int(camera.diagnostics()["lag_ms"]) > 40)


async def test_a_call_that_does_not_come_back_is_left_and_threads_stay_few() -> None:
    hanging = [Scripted(hangs=True) for _ in range(2)]
    before = threading.active_count()
    async with camera_of(*hanging, Scripted(), stuck_after_s=0.01, open_timeout_s=0.1) as camera:
        await until_given_up(camera, 2)
        for _ in range(5):
            await reports(camera, Reason.SILENT)
        assert threading.active_count() == before + 2, "no third one beside two that hang"
        assert camera.diagnostics()["stuck_threads"] == 2
        hanging[0].let_go.set()
        await reports(camera, None)
        hanging[1].let_go.set()
    await until(lambda: threading.active_count() == before)


async def test_a_usb_camera_that_hangs_at_the_question_why_holds_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def why(device_id: str, _path: str) -> DeviceError:
        let_go.wait()
        return DeviceBusy(device_id, Reason.OCCUPIED)

    monkeypatch.setattr(opencv_why, "_why_not_device", why)
    before = set(threading.enumerate())  # of others, which may end meanwhile
    usb = {"kind": "v4l2", "path": "/dev/video9"}
    async with camera_of(None, transport=usb, open_timeout_s=0.05) as camera:
        async with asyncio.timeout(LONG_S):
            for _ in range(3):
                await reports(camera, Reason.SILENT)
                await until(lambda: SystemClock().mono_s() >= camera._retry_at_s)
        assert camera.diagnostics()["stuck_threads"] == 1
        assert len(set(threading.enumerate()) - before) == 1
        let_go.set()
        await until(lambda: camera.diagnostics()["stuck_threads"] == 0)
        await reports(camera, Reason.OCCUPIED)
    await until(lambda: not set(threading.enumerate()) - before)


async def until_given_up(camera: OpenCvCamera, count: int) -> None:
    async with asyncio.timeout(LONG_S):
        while camera.diagnostics()["given_up"] != count:
            await camera.probe()


async def test_who_waits_for_a_picture_hears_that_its_thread_hangs() -> None:
    hanging = Scripted(hangs=True)
    async with camera_of(hanging, stuck_after_s=0.01, frame_timeout_s=60) as camera:
        async with asyncio.timeout(LONG_S):
            with pytest.raises(DeviceTimeout) as stuck:
                await camera.latest_frame()
        assert stuck.value.reason is Reason.SILENT
        hanging.let_go.set()


async def test_a_thread_that_was_left_says_nothing_any_more() -> None:
    hanging, good = Scripted(hangs=True), Scripted()
    async with camera_of(hanging, good, stuck_after_s=0.01) as camera:
        await until_given_up(camera, 1)
        await reports(camera, None)
        hanging.let_go.set()
        await until(lambda: camera.diagnostics()["stuck_threads"] == 0)
        assert (await camera.probe()).works


async def test_nothing_runs_after_the_camera_is_closed() -> None:
    before = threading.active_count()
    async with camera_of(Scripted()) as camera:
        await camera.latest_frame()
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


async def test_damaged_pictures_alone_are_a_fault_and_a_whole_one_ends_it() -> None:
    capture = Scripted()
    capture.whole = False
    async with camera_of(capture, glance_s=0.01) as camera:
        await reports(camera, Reason.GARBLED)
        capture.whole = True
        await reports(camera, None)


async def test_one_damaged_picture_is_passed_over() -> None:
    capture = Scripted()
    async with camera_of(capture) as camera:
        first = await camera.latest_frame()
        capture.whole = False
        asking = asyncio.create_task(camera.latest_frame(newer_than=first.sequence))
        await until(lambda: int(camera.diagnostics()["damaged"]) > 0)
        capture.whole = True
        assert (await asking).sequence > first.sequence
        assert (await camera.probe()).works


async def test_a_covered_lens_is_told_once_it_lasts_and_pictures_are_still_given() -> None:
    capture = Scripted()
    capture.deviation = 1.0
    async with camera_of(capture, glance_s=0.01, covered_after_s=0.05) as camera:
        await reports(camera, Reason.COVERED)
        assert not camera.report.works
        assert (await camera.latest_frame()).width == 1
        assert camera.report.reason is Reason.COVERED
        capture.deviation = 50.0
        await reports(camera, None)


async def test_a_stall_is_logged_once_however_long_it_lasts() -> None:
    capture = Scripted()
    with capture_logs() as told:
        async with camera_of(capture) as camera:
            await camera.probe()
            capture.more = False
            await reports(camera, Reason.PORT_GONE)
            for _ in range(10):
                await camera.probe()
    assert [one["reason"] for one in told] == [None, Reason.PORT_GONE]


async def test_a_machine_without_opencv_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    async with OpenCvCamera(settings(), SystemClock()) as camera:
        assert (await camera.probe()).reason is Reason.UNSUPPORTED
        with pytest.raises(DeviceError, match="OpenCV is not installed"):
            await camera.latest_frame()


def test_the_drivers_are_listed_without_opencv() -> None:
    program = (
        "import sys; sys.modules['cv2'] = sys.modules['numpy'] = None; "
        "from drivers.registry import discover; print('opencv' in discover())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True", done.stderr


async def test_a_thread_that_dies_is_told_without_its_words() -> None:
    with capture_logs() as told:
        async with camera_of(RuntimeError("rtsp://admin:hunter2@camera/1")) as camera:
            assert (await camera.probe()).reason is Reason.INTERNAL
    crashed = next(one for one in told if one["event"] == "device.crashed")
    assert crashed["error"] == "RuntimeError"
    assert "hunter2" not in str(told)


def test_a_password_is_part_of_what_ffmpeg_opens_and_of_nothing_else() -> None:
    login = Login("ad:min@x", "p@ss:w/ord%")
    port = settings().transport
    assert address(port, login) == "rtsp://ad%3Amin%40x:p%40ss%3Aw%2Ford%25@camera/1"  # type: ignore[arg-type]  # an RTSP one
    assert "ord" not in f"{login!r} {port} {port!r}"


@pytest.mark.parametrize(
    "transport",
    [
        {"kind": "rtsp", "uri": "rtsp://admin:hunter2@camera/1"},
        {"kind": "rtsp", "uri": "http://camera/1"},
        {"kind": "http", "uri": "http://camera:99999/1"},
        {"kind": "http", "uri": "http://camera/a b"},
        {"kind": "http", "uri": "http://camera..local/video"},
        {"kind": "rtsp", "uri": f"rtsp://{'a' * 64}/1"},
        {"kind": "v4l2", "path": "video0"},
        {"kind": "gige", "uri": "gige://camera"},
    ],
)
def test_an_address_that_cannot_be_is_refused_and_not_repeated(transport: dict[str, str]) -> None:
    from drivers.registry import discover, parse_peripherals

    entry = {"id": "camera", "driver": "opencv", "transport": transport}
    with pytest.raises(ConfigError) as refused:
        parse_peripherals([entry], discover(), file="test")
    assert "hunter2" not in str(refused.value)


# ── Why it does not open ──────────────────────────────────────────────────────────────────────

MUFASA = Login("Mufasa", "CircleOfLife")
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


def challenge(line: str) -> bytes:
    return f"HTTP/1.0 401 Unauthorized\r\n{line}\r\n\r\n".encode()


def test_a_digest_is_that_of_rfc_2069_with_its_erratum() -> None:
    asked = challenge(f'WWW-Authenticate: Digest realm="testrealm@host.com", nonce="{NONCE}"')
    given = authorisation(asked, "GET", "/dir/index.html", MUFASA)
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in given


def test_a_digest_with_a_count_is_that_of_rfc_2617() -> None:
    line = (
        f'WWW-Authenticate: Digest realm="testrealm@host.com", qop="auth,auth-int", '
        f'nonce="{NONCE}", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    given = authorisation(
        challenge(line),
        "GET",
        "/dir/index.html",
        Login("Mufasa", "Circle Of Life"),
        once="0a4f113b",
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in given
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in given


def test_basic_is_that_of_rfc_7617() -> None:
    asked = challenge('WWW-Authenticate: Basic realm="WallyWorld"')
    given = authorisation(asked, "GET", "/", Login("Aladdin", "open sesame"))
    assert given == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_digest_is_taken_before_the_plain_password() -> None:
    asked = challenge(
        'WWW-Authenticate: Basic realm="x"\r\nWWW-Authenticate: Digest realm="x", nonce="1"'
    )
    assert authorisation(asked, "GET", "/", MUFASA).startswith("Digest ")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"RTSP/1.0 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
        (b"RTSP/1.0 2000 OK\r\n\r\n", 0),
        (b"220 mail ready\r\n", 0),
        (b"", 0),
    ],
)
def test_a_status_is_read(answer: bytes, status: int) -> None:
    assert status_of_answer(answer) == status


@given(st.binary(max_size=400))
def test_whatever_is_answered_is_read(junk: bytes) -> None:
    for answer in (junk, b"RTSP/1.0 " + junk, challenge("") + junk, b"WWW-Authenticate: " + junk):
        assert 0 <= status_of_answer(answer) <= 999
        assert isinstance(authorisation(answer, "GET", "/", MUFASA), str)


CAPTURES, METADATA, STREAMS = 0x1, 0x00800000, 0x04000000


@pytest.mark.parametrize(
    ("of_all", "of_node", "captures"),
    [
        # A USB camera and its two nodes, as uvcvideo tells of them.
        (0x80000000 | CAPTURES | METADATA | STREAMS, CAPTURES | STREAMS, True),
        (0x80000000 | CAPTURES | METADATA | STREAMS, METADATA | STREAMS, False),
        # Older drivers tell of the node alone.
        (CAPTURES | STREAMS, 0, True),
    ],
)
def test_the_node_with_the_pictures_is_told_from_the_others(
    of_all: int, of_node: int, captures: bool
) -> None:
    card = struct.pack("=16s32s32sIII12x", b"uvcvideo", b"Twin", b"usb-1", 6, of_all, of_node)
    assert gives_pictures(card) is captures
