"""How a camera is reached, `transport = { kind = … }`, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from drivers.registry import PeripheralConfig
from drivers.transport.tcp import host_of

_HOST = r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?"
_REST = r"(/[A-Za-z0-9._~/?&=+%,;:!*()-]{0,300})?"
_USUAL_PORT = {"rtsp": 554, "http": 80}


class _Port(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class V4l2Port(_Port):
    """A USB camera by the kernel's driver for it."""

    kind: Literal["v4l2"]
    path: Annotated[str, Field(pattern=r"^/", examples=["/dev/v4l/by-id/usb-…-video-index0"])]
    width: Annotated[int | None, Field(ge=16, le=16_384)] = None
    height: Annotated[int | None, Field(ge=16, le=16_384)] = None
    fps: Annotated[float | None, Field(gt=0, le=1000)] = None
    format: Literal["MJPG", "YUYV"] = "MJPG"
    """MJPG: a USB 2 port carries full HD in no other way at a usual rate."""

    def __str__(self) -> str:
        return f"v4l2:{self.path}"


class NetworkPort(_Port):
    """A camera with an address."""

    uri: str
    credentials: Path | None = None
    """A file of two lines, user and password."""

    @field_validator("uri", mode="after")
    @classmethod
    def _names_a_host_and_a_port_that_can_be(cls, uri: str) -> str:
        parts = urlsplit(uri)
        host_of(parts.hostname or "")
        _ = parts.port
        return uri

    @property
    def host(self) -> str:
        return urlsplit(self.uri).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.uri)
        return parts.port or _USUAL_PORT[parts.scheme]

    def __str__(self) -> str:
        # Some cameras want the password in the path: what stands there is told to nobody.
        return f"{urlsplit(self.uri).scheme}:{self.host}:{self.port}"


class RtspPort(NetworkPort):
    kind: Literal["rtsp"]
    uri: Annotated[
        str,
        Field(
            pattern=rf"^rtsp://{_HOST}{_REST}$", repr=False, examples=["rtsp://192.168.1.70/ch1"]
        ),
    ]


class HttpPort(NetworkPort):
    """MJPEG over HTTP (`multipart/x-mixed-replace`)."""

    kind: Literal["http"]
    uri: Annotated[
        str,
        Field(
            pattern=rf"^http://{_HOST}{_REST}$", repr=False, examples=["http://192.168.1.70/video"]
        ),
    ]


class FilePort(_Port):
    """A clip, at its own pace."""

    kind: Literal["file"]
    path: Annotated[str, Field(min_length=1, examples=["/srv/hall/clip.mp4"])]
    loop: bool = True

    def __str__(self) -> str:
        return f"file:{Path(self.path).name}"


CameraPort = V4l2Port | RtspPort | HttpPort | FilePort


class OpenCvSettings(PeripheralConfig):
    """What the entry of every camera has that OpenCV reads."""

    transport: Annotated[CameraPort, Field(discriminator="kind")]
    width: Annotated[int | None, Field(ge=16, le=16_384)] = None
    """Pictures are at most so wide; none: as they come."""
    rate_fps: Annotated[float, Field(gt=0, le=1000)] = 15.0
    """At most so many pictures a second are decoded, and none that nobody waits for."""
    open_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    stall_timeout_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """A camera that sends no picture for so long has stalled."""
    frame_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Whoever asks for a picture has one by then, or a fault."""
    fresh_s: Annotated[float, Field(gt=0, le=10)] = 0.3
    """A picture that came earlier is not given any more."""
    max_lag_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """An RTSP stream that is further behind is opened anew."""
    glance_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """So often a picture is looked at that nobody asked for: is it whole, is the lens covered?"""
    stuck_after_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """A call that is so far over its time-out is given up."""
    retry_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    retry_max_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """The pause before a lost camera is opened again, at first and at most."""
    covered_after_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """A lens that shows nothing for so long is told of; 0: never."""


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)

    @staticmethod
    def read(path: Path) -> Login:
        """`OSError` or `ValueError` where it cannot be had."""
        user, password = path.read_text(encoding="utf-8").splitlines()[:2]
        if not user or ":" in user:
            raise ValueError("a user is a name without a colon")
        return Login(user, password)
