"""A resident-card reader without a wire, for tests of what uses the port."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.model.identity import CardKind, IdentityCard
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard
from hallkit.runtime.clock import Clock

SAMPLE_CARD = IdentityCard(
    kind=CardKind.RESIDENT,
    name="张三",
    number="11010519491231002X",
    sex_code="2",
    nation_code="01",
    birth=dt.date(1949, 12, 31),
    address="四川省什邡市方亭街道测试路1号",
    issuer="什邡市公安局",
    valid_from=dt.date(2020, 1, 1),
)
"""The sample number of GB 11643; nobody."""


class FakeIdCardReader:
    """Implements `IdCardReader`; the test lays cards and sets faults."""

    def __init__(self, clock: Clock, device_id: str = "id-card-reader") -> None:
        self._clock = clock
        self._card: CardRead | CardUnreadable | None = None
        self._was_read = False
        self._polls = 0
        self.fault: DeviceError | None = None
        """Raised by every look while it is set."""
        self._report = DeviceReport(
            id=device_id,
            port="id_card_reader",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    def lay(self, card: IdentityCard = SAMPLE_CARD) -> None:
        self._lay(CardRead(card))

    def lay_unreadable(self, reason: Reason = Reason.GARBLED) -> None:
        self._lay(CardUnreadable(reason))

    def lift(self) -> None:
        self._card = None

    async def poll_card(self) -> CardOutcome:
        self._polls += 1
        if self.fault is not None:
            self._take_fault(self.fault)
            raise self.fault
        outcome = self._look()
        absent = outcome == NoCard()
        self._update(
            status=DeviceStatus.ONLINE,
            reason=None,
            action=None,
            media=Media.NOT_PRESENT if absent else Media.PRESENT,
        )
        return outcome

    async def probe(self) -> DeviceReport:
        if self.fault is not None:
            return self._take_fault(self.fault)
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"polls": self._polls}

    def _lay(self, outcome: CardRead | CardUnreadable) -> None:
        self._card = outcome
        self._was_read = False

    def _look(self) -> CardOutcome:
        if self._card is None:
            return NoCard()
        if self._was_read:
            return NoCard(left_behind=True)
        self._was_read = isinstance(self._card, CardRead)
        return self._card

    def _take_fault(self, fault: DeviceError) -> DeviceReport:
        status, action = status_of(fault.reason)
        return self._update(status=status, reason=fault.reason, action=action, media=Media.UNKNOWN)

    def _update(self, **changes: object) -> DeviceReport:
        new = self._report.model_copy(update=changes)
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report
