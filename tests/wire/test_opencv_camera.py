"""The driver with real streams: what a network camera does, clips, and what no camera is."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from drivers.camera.opencv import OpenCvCamera, OpenCvConfig
from drivers.camera.opencv_capture import _OpenCvCapture
from drivers.sim.camera_h264 import picture as h264_picture
from drivers.sim.camera_picture import jpeg, number_of
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.ports.camera import Frame
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

LONG_S = 20.0
STREAMS = ("http", "rtsp", "rtsp h264")
LATE = {"rtsp h264": 1}
"""Pictures by which a stream is late (docs/drivers/opencv.md)."""
REAL_CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "vision" / "clips"
"""Beside the repository; nothing of them is kept in it."""


def made(transport: dict[str, Any], **more: Any) -> OpenCvCamera:
    usual = {
        "id": "camera",
        "driver": "opencv",
        "transport": transport,
        "open_timeout_s": 1.5,
        "stall_timeout_s": 0.4,
        "glance_s": 0.05,
        "retry_s": 0.01,
        "retry_max_s": 0.05,
    }
    return OpenCvCamera(OpenCvConfig.model_validate(usual | more), SystemClock())


class Rig:
    def __init__(self, camera: OpenCvCamera, control: Path) -> None:
        self.camera = camera
        self.control = control

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def sent(self) -> int:
        number: int = (await self.tell("state"))["state"]["sent"]
        return number

    async def more(self, count: int) -> int:
        """Wait for so many more to be sent; the number of the last one."""
        end = await self.sent() + count
        async with asyncio.timeout(LONG_S):
            while await self.sent() < end:  # noqa: ASYNC110  # another process has no event
                await asyncio.sleep(0.005)
        return await self.sent()

    async def reports(self, reason: Reason | None) -> None:
        await reported(self.camera, reason)


async def reported(camera: OpenCvCamera, reason: Reason | None) -> None:
    async with asyncio.timeout(LONG_S):
        while (await camera.probe()).reason is not reason:  # noqa: ASYNC110  # its own pauses
            await asyncio.sleep(0.005)


@asynccontextmanager
async def rig(twins: Mapping[str, Path], stream: str, **more: Any) -> AsyncIterator[Rig]:
    kind, _, codec = stream.partition(" ")
    control = twins[codec or "jpeg"]
    port = (await order(control, "state"))["state"]["port"]
    uri = f"{kind}://127.0.0.1:{port}/{more.pop('path', 'video')}"
    async with made({"kind": kind, "uri": uri}, **more) as camera:
        yield Rig(camera, control)


def seen(frame: Frame) -> int | None:
    return number_of(frame.width, frame.height, frame.stride, frame.data)


# ── Which picture one gets ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", STREAMS)
async def test_of_many_that_come_at_once_the_newest_is_given(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    async with rig(camera_twins, stream, stall_timeout_s=10, rate_fps=1000) as one:
        await one.camera.latest_frame()
        await one.tell("pace", fps=0)

        def frames() -> int:
            return int(one.camera.diagnostics()["frames"])

        before = frames()
        shown = await one.sent()
        await one.tell("show", count=40)
        async with asyncio.timeout(LONG_S):
            while frames() < before + 40:  # noqa: ASYNC110  # a thread has no event
                await asyncio.sleep(0.005)
        asking = asyncio.create_task(one.camera.latest_frame())
        # The rate may have left out the last of the forty: then it is the one behind them.
        await one.tell("show", count=2)
        number = seen(await asking)
        assert number is not None
        assert number >= shown + 40 - LATE.get(stream, 0)


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_slow_reader_gets_the_newest_each_time(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    async with rig(camera_twins, stream, rate_fps=1000) as one:
        last = None
        for _ in range(5):
            # It works on each picture for as long as the camera needs for several.
            before = await one.more(5)
            frame = await one.camera.latest_frame(newer_than=last)
            last = frame.sequence
            number = seen(frame)
            assert number is not None
            assert number >= before - LATE.get(stream, 0) - 1


async def test_an_idle_camera_decodes_next_to_nothing(camera_twins: Mapping[str, Path]) -> None:
    async with rig(camera_twins, "http", glance_s=600) as one:
        await one.camera.probe()
        await one.more(20)
        await one.camera.probe()
        assert one.camera.diagnostics()["decoded"] == 1


@pytest.mark.parametrize("stream", ["http", "rtsp h264"])
async def test_pictures_are_as_wide_as_is_wanted(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    for width, size in ((100, (100, 75)), (4_000, (256, 192))):
        async with rig(camera_twins, stream, width=width) as one:
            frame = await one.camera.latest_frame()
            assert (frame.width, frame.height) == size
            assert seen(frame) is not None


# ── Faults ────────────────────────────────────────────────────────────────────────────────────

RUNNING = [
    ("http", "stall", Reason.SILENT),
    ("http", "drop", Reason.SILENT),
    ("http", "slow", Reason.SILENT),
    ("http", "garble", Reason.GARBLED),
    ("http", "half", Reason.GARBLED),
    ("http", "hang_up", Reason.PORT_GONE),
    ("http", "black", Reason.COVERED),
    ("rtsp", "stall", Reason.SILENT),
    # FFmpeg puts no picture together whose packets make no sense.
    ("rtsp", "garble", Reason.SILENT),
    ("rtsp", "half", Reason.SILENT),
    ("rtsp", "hang_up", Reason.PORT_GONE),
    ("rtsp", "black", Reason.COVERED),
    ("rtsp h264", "stall", Reason.SILENT),
    ("rtsp h264", "garble", Reason.PORT_GONE),
]
OPENING = [
    ("deaf", Reason.SILENT),
    ("stall", Reason.SILENT),
    ("refuse", Reason.REFUSED),
    ("unauthorised", Reason.REFUSED),
    ("busy", Reason.OCCUPIED),
]


@pytest.mark.parametrize(("stream", "fault", "reason"), RUNNING)
async def test_each_fault_of_a_stream_is_named_and_heals(
    camera_twins: Mapping[str, Path], stream: str, fault: str, reason: Reason
) -> None:
    async with rig(camera_twins, stream, covered_after_s=0.05) as one:
        await one.reports(None)
        await one.tell("fault.set", fault=fault, times=0, seconds=60)
        await one.reports(reason)
        if reason is not Reason.COVERED:
            with pytest.raises(DeviceError):
                await one.camera.latest_frame()
        await one.tell("fault.clear")
        await one.reports(None)
        assert seen(await one.camera.latest_frame()) is not None


@pytest.mark.parametrize("stream", ["http", "rtsp"])
@pytest.mark.parametrize(("fault", "reason"), OPENING)
async def test_each_fault_of_opening_is_named_and_heals(
    camera_twins: Mapping[str, Path], fault: str, stream: str, reason: Reason
) -> None:
    async with rig(camera_twins, stream, open_timeout_s=0.5) as one:
        await one.tell("fault.set", fault=fault, times=0)
        await one.reports(reason)
        await one.tell("fault.clear")
        await one.reports(None)


@pytest.mark.parametrize("stream", ["http", "rtsp"])
async def test_one_bad_picture_changes_nothing(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    async with rig(camera_twins, stream, stall_timeout_s=2) as one:
        first = await one.camera.latest_frame()
        for fault in ("drop", "garble", "half"):
            await one.tell("fault.set", fault=fault)
            await one.more(3)
            assert (await one.camera.latest_frame(newer_than=first.sequence)).sequence
            assert (await one.camera.probe()).works
        assert one.camera.diagnostics()["connections"] == 1


@pytest.mark.parametrize("stream", ["http", "rtsp"])
async def test_a_camera_that_is_unplugged_is_found_again(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    async with rig(camera_twins, stream) as one:
        for _ in range(2):
            await one.reports(None)
            await one.tell("unplug")
            await one.reports(Reason.REFUSED)
            await one.tell("plug")
        await one.reports(None)
        assert one.camera.diagnostics()["connections"] == 3


@pytest.mark.parametrize("stream", ["http", "rtsp"])
async def test_a_stream_that_is_not_there_is_a_mistake_of_the_files(
    camera_twins: Mapping[str, Path], stream: str
) -> None:
    async with rig(camera_twins, stream, path="other") as one:
        report = await one.camera.probe()
        assert (report.status, report.reason) == (DeviceStatus.USER_ERROR, Reason.CONFIGURATION)


async def test_a_stalled_camera_takes_nothing_from_the_others(
    camera_twins: Mapping[str, Path],
) -> None:
    """Four that stand still, one of H.264, all in this process."""
    async with (
        rig(camera_twins, "http") as a,
        rig(camera_twins, "rtsp") as b,
        rig(camera_twins, "http") as c,
        rig(camera_twins, "rtsp") as d,
        rig(camera_twins, "rtsp h264", rate_fps=1000) as good,
    ):
        for one in (a, b, c, d):
            await one.reports(None)
        await a.tell("fault.set", fault="stall", times=0)
        await asyncio.gather(*(one.reports(Reason.SILENT) for one in (a, b, c, d)))
        last = None
        for _ in range(10):
            before = await good.sent()
            frame = await good.camera.latest_frame(newer_than=last)
            last, number = frame.sequence, seen(frame)
            assert number is not None
            assert number >= before - 2
        assert good.camera.diagnostics()["connections"] == 1


async def test_eight_cameras_in_one_process_all_give_pictures(
    camera_twins: Mapping[str, Path],
) -> None:
    rigs = [rig(camera_twins, stream) for stream in (*STREAMS, *STREAMS, "http", "rtsp")]
    before = threading.active_count()
    ones = [await one.__aenter__() for one in rigs]
    try:
        for _ in range(3):
            frames = await asyncio.gather(*(one.camera.latest_frame() for one in ones))
            assert None not in [seen(frame) for frame in frames]
        assert threading.active_count() == before + 8
    finally:
        for one in rigs:
            await one.__aexit__(None, None, None)
    assert threading.active_count() == before


# ── Passwords and pictures stay where they are ────────────────────────────────────────────────

PASSWORD = "p@ss:w/ord%41"  # noqa: S105  # made up


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[Path, Path]]:
    """A camera that asks for a password, and the file that holds it."""
    control, secret = tmp_path / "control", tmp_path / "camera"
    password = tmp_path / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    secret.write_text(f"admin\n{PASSWORD}\n", encoding="utf-8")
    options = ("--control", control, "--user", "admin", "--password-file", password)
    async with simulator("drivers.sim.camera", *options, "--fps", "25"):
        yield control, secret


async def test_a_password_lets_in_and_is_told_to_nobody(
    guarded: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    control, secret = guarded
    port = (await order(control, "state"))["state"]["port"]
    wrong = tmp_path / "wrong"
    wrong.write_text("admin\nhunter2\n", encoding="utf-8")
    told: list[str] = []
    with capture_logs() as logs:
        for kind in ("http", "rtsp"):
            transport = {"kind": kind, "uri": f"{kind}://127.0.0.1:{port}/video"}
            for credentials, reason in (
                (secret, None),
                (wrong, Reason.REFUSED),
                (tmp_path / "none", Reason.CONFIGURATION),
                (control, Reason.CONFIGURATION),
            ):
                async with made(transport | {"credentials": str(credentials)}) as camera:
                    await reported(camera, reason)
                    told += [str(camera.report), str(camera.diagnostics()), repr(camera._config)]
                    if reason is not None:
                        with pytest.raises(DeviceError) as fault:
                            await camera.latest_frame()
                        told.append(repr(fault.value))
            # The password is right and the stream is not: the one is told from the other.
            lost = transport | {"uri": f"{kind}://127.0.0.1:{port}/other"}
            async with made(lost | {"credentials": str(secret)}) as camera:
                await reported(camera, Reason.CONFIGURATION)
    out, err = capfd.readouterr()
    everything = " ".join([*told, str(logs), out, err])
    for secret_word in (PASSWORD, "p%40ss", "hunter2"):
        assert secret_word not in everything


async def test_ffmpeg_and_opencv_say_nothing_of_their_own(
    camera_twins: Mapping[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs():
        for stream in ("http", "rtsp h264"):
            async with rig(camera_twins, stream) as one:
                await one.reports(None)
                await one.tell("fault.set", fault="stall", times=0)
                await one.reports(Reason.SILENT)
                await one.tell("unplug")
                await one.reports(Reason.REFUSED)
                await one.tell("plug")
                await one.tell("fault.clear")
    assert capfd.readouterr() == ("", "")


async def test_no_picture_is_written_anywhere(
    camera_twins: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    opened = set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough
    with capture_logs() as logs:
        async with rig(camera_twins, "http") as one:
            frame = await one.camera.latest_frame()
            files = [
                target
                for name in set(os.listdir("/proc/self/fd")) - opened  # noqa: PTH208
                if Path(target := _target(name)).is_file() and target.startswith(str(tmp_path))
            ]
            assert files == []
            facts = one.camera.diagnostics()
    assert list(tmp_path.iterdir()) == []
    assert len(str(logs)) < 2_000
    assert all(len(str(fact)) < 100 for fact in facts.values())
    assert len(repr(frame)) < 200


def _is_local_socket(descriptor: int) -> bool:
    if not _target(str(descriptor)).startswith("socket:"):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as one:
        return one.family is socket.AF_UNIX


def _target(name: str) -> str:
    try:
        return str(Path(f"/proc/self/fd/{name}").readlink())
    except OSError:
        return ""


# ── Clips ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten pictures of a second, numbered from 1."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (256, 192))
    for number in range(1, 11):
        data = np.frombuffer(jpeg(256, 192, number), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert image is not None
        writer.write(image)
    writer.release()
    return path


async def test_a_clip_runs_at_its_own_pace_and_ends(clip: Path) -> None:
    clock = SystemClock()
    async with made({"kind": "file", "path": str(clip), "loop": False}) as camera:
        began_s = clock.mono_s()
        numbers: list[int | None] = []
        last = None
        with pytest.raises(DeviceError) as over:  # noqa: PT012  # until it is over
            while True:
                frame = await camera.latest_frame(newer_than=last)
                last = frame.sequence
                numbers.append(seen(frame))
        assert over.value.reason is Reason.OFFLINE
        # No faster than its times say; a busy machine may miss some.
        assert clock.mono_s() - began_s >= 0.8
        assert numbers == sorted(set(numbers), key=lambda number: number or 0)
        assert set(numbers) <= set(range(1, 11))
        assert camera.report.status is DeviceStatus.OFFLINE


async def test_a_clip_begins_anew_and_nobody_notices(clip: Path) -> None:
    async with made({"kind": "file", "path": str(clip)}) as camera:
        await camera.probe()
        async with asyncio.timeout(LONG_S):
            while int(camera.diagnostics()["frames"]) < 12:
                await asyncio.sleep(0.01)
                assert (await camera.probe()).works
        first = await camera.latest_frame()
        assert (await camera.latest_frame(newer_than=first.sequence)).sequence > first.sequence


async def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no clip", encoding="utf-8")
    for name, reason in (("none.mp4", Reason.CONFIGURATION), ("text.mp4", Reason.UNSUPPORTED)):
        async with made({"kind": "file", "path": str(tmp_path / name)}) as camera:
            assert (await camera.probe()).reason is reason


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("one-by-one-person-detection.mp4", (640, 360)),
        ("facenet_pytorch_entrance.mp4", (640, 360)),
    ],
)
async def test_a_real_clip_of_h264_plays(name: str, size: tuple[int, int]) -> None:
    path = REAL_CLIPS / name
    if not path.exists():
        pytest.skip("the clips are kept beside the repository and are not here")
    async with made({"kind": "file", "path": str(path)}, width=640, open_timeout_s=5) as camera:
        first = await camera.latest_frame()
        second = await camera.latest_frame(newer_than=first.sequence)
        assert (second.width, second.height) == size
        assert bytes(first.data) != bytes(second.data)


# ── USB: no camera can be made up here, its faults can ────────────────────────────────────────


async def test_what_is_no_usb_camera_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "video0", Reason.PORT_GONE),
        (tmp_path / "file", Reason.CONFIGURATION),
        (Path("/dev/null"), Reason.UNSUPPORTED),
    ):
        async with made({"kind": "v4l2", "path": str(path)}) as camera:
            report = await camera.probe()
            assert report.reason is reason, path
            with pytest.raises(DeviceError):
                await camera.latest_frame()


# ── Nonsense ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def quiet_stderr() -> Iterator[None]:
    """To where libjpeg tells of damaged pictures, and nothing turns that off."""
    with Path(os.devnull).open("w", encoding="ascii") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        yield
        os.dup2(kept, 2)
        os.close(kept)


class _Packet:
    """A capture whose packet is given."""

    def __init__(self, packet: bytes) -> None:
        self._packet = packet

    def get(self, what: int) -> float:
        return 256.0 if what == cv2.CAP_PROP_FRAME_WIDTH else cv2.VideoWriter.fourcc(*"MJPG")

    def set(self, what: int, value: float) -> bool:
        return True

    def getBackendName(self) -> str:  # noqa: N802  # OpenCV's name
        return "FFMPEG"

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.frombuffer(self._packet, np.uint8).reshape(1, -1)


WHOLE = jpeg(256, 192, 7)


@given(st.data())
@pytest.mark.usefixtures("quiet_stderr")
def test_whatever_a_packet_holds_is_a_picture_or_none(data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(WHOLE)))
    junk = data.draw(st.binary(max_size=64))
    for packet in (WHOLE[:cut] + junk + WHOLE[cut:], WHOLE[:2] + junk + WHOLE[-2:], junk + b"x"):
        for width in (None, 64):
            taken = _OpenCvCapture(cv2, _Packet(packet), width).take()
            assert taken is None or len(taken.data) == 3 * taken.width * taken.height


@pytest.mark.parametrize("seed", range(4))
async def test_a_server_that_talks_nonsense_is_a_fault(
    seed: int, quiet_stderr: None, camera_twins: Mapping[str, Path]
) -> None:
    """Bytes of all kinds behind a good beginning; FFmpeg reads them in this process."""
    random = Random(seed)  # noqa: S311  # nonsense, not secrets

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            if asked.startswith(b"GET"):
                writer.write(
                    b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"
                )
            else:
                writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 60\r\n\r\n")
            for _ in range(30):
                body = bytearray(WHOLE[: random.randrange(len(WHOLE))])
                for _ in range(random.randrange(20)):
                    body[random.randrange(len(body))] = random.randrange(256)
                length = random.choice((len(body), random.randrange(1 << 20)))
                head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                writer.write(random.choice((head % length, random.randbytes(20))) + body)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for kind in ("http", "rtsp"):
            async with made({"kind": kind, "uri": f"{kind}://127.0.0.1:{port}/video"}) as camera:
                for _ in range(6):
                    report = await camera.probe()
                    assert report.status is not DeviceStatus.STARTING
                assert report.reason in {Reason.GARBLED, Reason.PORT_GONE, Reason.SILENT}


def test_a_picture_of_h264_has_no_start_code_within() -> None:
    for number in (None, 0, 1, (1 << 24) - 1):
        unit = h264_picture(256, 192, number, index=0)
        assert not {unit[at : at + 3] for at in range(len(unit) - 2)} & {
            b"\0\0\0",
            b"\0\0\1",
            b"\0\0\2",
        }


async def test_opening_and_closing_many_times_keeps_files_and_threads_few(
    camera_twins: Mapping[str, Path],
) -> None:
    def open_files() -> int:
        """Without local sockets: under umockdev's preload each stream leaves one, which is its."""
        gc.collect()
        names = os.listdir("/proc/self/fd")  # noqa: PTH208  # names are enough
        return sum(not _is_local_socket(int(name)) for name in names)

    async with rig(camera_twins, "rtsp") as one:
        await one.reports(None)
    files, threads = open_files(), threading.active_count()
    for _ in range(8):
        async with rig(camera_twins, "rtsp") as one:
            await one.camera.latest_frame()
    assert threading.active_count() == threads
    assert open_files() <= files + 1
