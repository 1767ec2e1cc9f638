"""Driver `opencv_document_camera` beside what its contract suite asks."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.document_camera import opencv_document_camera
from drivers.document_camera.opencv_document_camera import (
    DocumentCameraConfig,
    OpenCvDocumentCamera,
)
from hallkit.errors import NotSupported, Reason
from hallkit.model.device import DeviceStatus
from hallkit.ports.document_camera import NotCaptured, Page, PageCaptured, Sheet, Trouble
from hallkit.runtime.clock import SystemClock

CONFIG: dict[str, Any] = {
    "id": "document-camera",
    "driver": "opencv_document_camera",
    "transport": {"kind": "v4l2", "path": "/dev/video0"},
}


@pytest.fixture
def camera() -> OpenCvDocumentCamera:
    return OpenCvDocumentCamera(DocumentCameraConfig.model_validate(CONFIG), SystemClock())


def test_an_empty_mat_is_no_covered_lens() -> None:
    assert DocumentCameraConfig.model_validate(CONFIG).covered_after_s == 0


async def test_without_the_extra_it_says_which_is_missing(
    camera: OpenCvDocumentCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def capture(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(name="numpy")

    monkeypatch.setattr(opencv_document_camera, "capture", capture)
    with pytest.raises(NotSupported, match="numpy"):
        await camera.capture()
    assert camera.report.reason is Reason.UNSUPPORTED
    assert camera.report.status is DeviceStatus.HARDWARE_ERROR


async def test_a_technician_sees_what_sheets_suffer_from(
    camera: OpenCvDocumentCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(1, 1, bytes(3), 200, Sheet.A4)
    refused = NotCaptured(Trouble.GLARE)
    outcomes = iter((refused, refused, PageCaptured(page)))

    async def capture(*_: object, **__: object) -> object:
        return next(outcomes)

    monkeypatch.setattr(opencv_document_camera, "capture", capture)
    for _ in range(3):
        await camera.capture()
    facts = camera.diagnostics()
    assert (facts["refused_glare"], facts["pages"]) == (2, 1)
