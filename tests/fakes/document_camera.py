"""A document camera without pictures, for tests of what uses the port."""

from __future__ import annotations

from hallkit.errors import DeviceUnavailable
from hallkit.ports.document_camera import (
    CaptureOutcome,
    NotCaptured,
    Page,
    PageCaptured,
    Sheet,
    Trouble,
)
from hallkit.runtime.clock import Clock
from tests.fakes.camera import FakeCamera

_WIDTH_OF = {Sheet.A4: 594, Sheet.CARD: 856}
_HEIGHT_OF = {Sheet.A4: 840, Sheet.CARD: 540}
_DPI_OF = {Sheet.A4: 72, Sheet.CARD: 254}


class FakeDocumentCamera(FakeCamera):
    """Implements `DocumentCamera`; the test lays a sheet down, or says what is wrong with it."""

    def __init__(self, clock: Clock, device_id: str = "document-camera") -> None:
        super().__init__(clock, device_id, port="document_camera")
        self.lies: Page | Trouble = Trouble.NO_PAGE

    def lay(self, sheet: Sheet, *, text: bytes = b"\x20") -> None:
        """A sheet of grey paper with a pattern of its own."""
        width, height = _WIDTH_OF[sheet], _HEIGHT_OF[sheet]
        line = (text * width)[:width]
        grey = bytes(200 - value for value in line for _ in range(3))
        self.lies = Page(width, height, grey * height, _DPI_OF[sheet], sheet)

    async def capture(self, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self.report.id, self.fault)
        self._given += 1
        if isinstance(self.lies, Trouble):
            return NotCaptured(self.lies)
        if sheet not in {Sheet.ANY, self.lies.sheet}:
            return NotCaptured(Trouble.OTHER_SHAPE)
        return PageCaptured(self.lies)
