"""Contacts and outputs without a wire, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, NotSupported, Reason
from hallkit.model.auxiliaries import (
    AuxiliaryReading,
    Contact,
    ContactState,
    Measure,
    PointKind,
)
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock

_KINDS = {"cabinet-door": PointKind.CABINET_DOOR, "smoke": PointKind.SMOKE_SENSOR}
_CALM = {"cabinet-door": ContactState.CLOSED, "smoke": ContactState.OFF}
_FALLS_BACK = "door"


class FakeAuxiliaries:
    """Implements `Auxiliaries`: a cabinet door, a smoke detector, a people counter, a temperature,
    a guide light and a door release; the test is the hand at all of them.
    """

    def __init__(self, clock: Clock, device_id: str = "cabinet") -> None:
        self._clock = clock
        self._contacts = dict(_CALM)
        self._change = asyncio.Event()
        self._people = 0
        self._wanted: dict[str, bool] = {}
        self._switched = 0
        self.outputs = {"guide-light": False, _FALLS_BACK: False}
        """As somebody there sees them."""
        self.fault: Reason | None = None
        self._report = DeviceReport(
            id=device_id,
            port="auxiliaries",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    def put(self, contact: str, state: ContactState) -> None:
        self._contacts[contact] = state
        self._change.set()

    def count(self, people: int) -> None:
        self._people += people

    def break_(self, reason: Reason) -> None:
        self.fault = reason
        self._change.set()

    def power_cut(self) -> None:
        self.break_(Reason.SILENT)
        self.outputs = dict.fromkeys(self.outputs, False)

    def mend(self) -> None:
        self.fault = None
        self.outputs |= self._wanted

    def pass_time(self) -> None:
        """Longer than a pulse."""
        self.outputs[_FALLS_BACK] = False

    async def probe(self) -> DeviceReport:
        reason = self.fault
        if self._contacts["smoke"] is ContactState.ON:
            reason = Reason.SMOKE
        elif reason is None and self._contacts["cabinet-door"] is ContactState.OPEN:
            reason = Reason.DOOR_OPEN
        status, action = status_of(reason) if reason else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(update={"status": status, "reason": reason, "action": action})
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def read(self) -> AuxiliaryReading:
        await self.probe()
        self._must_answer()
        return AuxiliaryReading(
            contacts={
                name: Contact(kind=_KINDS[name], state=state)
                for name, state in self._contacts.items()
            },
            counts={"people-in": self._people},
            measures={"inside": Measure(kind=PointKind.TEMPERATURE, value=22.5)},
            outputs=dict(self.outputs),
        )

    async def changed(self, last: AuxiliaryReading) -> AuxiliaryReading:
        while (reading := await self.read()).contacts == last.contacts:
            self._change.clear()
            await self._change.wait()
        return reading

    async def switch(self, point: str, *, on: bool) -> None:
        if point not in self.outputs:
            raise NotSupported(self._report.id, Reason.UNSUPPORTED, point)
        if point != _FALLS_BACK:
            self._wanted[point] = on
        await self.probe()
        self._must_answer()
        self.outputs[point] = on
        self._switched += 1

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"switched": self._switched}

    def _must_answer(self) -> None:
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
