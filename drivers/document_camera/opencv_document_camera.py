"""Driver `opencv_document_camera`: document cameras (高拍仪) that are USB or network cameras.

The camera itself is driver `opencv`'s (docs/drivers/opencv.md): its wires, states and watchdog.
What makes pages of its pictures is `drivers/documents`. Lamps and autofocus keys of the makers' own
programs have no public protocol and are not switched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from drivers.camera.opencv import OpenCvCamera, Opens
from drivers.camera.opencv_settings import FilePort, HttpPort, OpenCvSettings, V4l2Port
from drivers.documents.capture import capture
from drivers.registry import DriverSpec
from hallkit.errors import NotSupported, Reason
from hallkit.ports.document_camera import CaptureOutcome, NotCaptured, Sheet
from hallkit.runtime.clock import Clock

KEY = "opencv_document_camera"


class DocumentCameraConfig(OpenCvSettings):
    """`[[peripherals]]` entry of a document camera."""

    driver: Literal["opencv_document_camera"]
    transport: Annotated[V4l2Port | HttpPort | FilePort, Field(discriminator="kind")]
    """No RTSP: its pictures come late and end at 2040 points where JPEG is sent."""
    covered_after_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Never: an empty mat looks like a covered lens."""
    still_for_s: Annotated[float, Field(ge=0, le=5)] = 0.3
    """A sheet that has not moved for so long is taken."""


class OpenCvDocumentCamera(OpenCvCamera):
    """One document camera. Keeps no page when `capture` is over."""

    def __init__(
        self, config: DocumentCameraConfig, clock: Clock, *, opens: Opens | None = None
    ) -> None:
        """`opens` stands for OpenCV in tests."""
        super().__init__(config, clock, opens=opens, port="document_camera", key=KEY)
        self._still_for_s = config.still_for_s
        self._outcomes: Counter[str] = Counter()

    async def capture(self, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
        """See `hallkit.ports.document_camera.DocumentCamera.capture`.

        Each of its pictures has `frame_timeout_s`.
        """
        try:
            outcome = await capture(self, sheet, still_for_s=self._still_for_s)
        except ModuleNotFoundError as missing:
            detail = f"{missing.name} is not installed: it is in the extra `camera`"
            fault = NotSupported(self.report.id, Reason.UNSUPPORTED, detail)
            self._fault(fault)
            raise fault from None
        trouble = outcome.trouble if isinstance(outcome, NotCaptured) else None
        self._outcomes[f"refused_{trouble}" if trouble is not None else "pages"] += 1
        return outcome

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """The camera's, and how often what came out: many reflections are a lamp's fault."""
        return {**super().diagnostics(), **self._outcomes}


SPEC = DriverSpec(
    key=KEY,
    port="document_camera",
    config=DocumentCameraConfig,
    open=OpenCvDocumentCamera,
    simulator="drivers.sim.document_camera",
    family="document cameras by USB (V4L2), MJPEG over HTTP",
    transports=("v4l2", "http", "file"),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: not yet run against a document camera; USB by emulated ioctls",
        "guidance": "done",
    },
)
