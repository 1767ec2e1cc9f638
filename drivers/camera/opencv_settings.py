"""How a camera is reached: `transport = { kind = … }` of driver `opencv`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

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
