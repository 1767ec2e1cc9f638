"""States of devices in the words of XFS4IoT (Common, Printer, CardReader interfaces)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hallkit.errors import Reason
from hallkit.model.base import Value


class DeviceStatus(StrEnum):
    """XFS4IoT Common.Status device."""

    ONLINE = "online"
    OFFLINE = "offline"
    POWER_OFF = "powerOff"
    NO_DEVICE = "noDevice"
    HARDWARE_ERROR = "hardwareError"
    USER_ERROR = "userError"
    DEVICE_BUSY = "deviceBusy"
    FRAUD_ATTEMPT = "fraudAttempt"
    POTENTIAL_FRAUD = "potentialFraud"
    STARTING = "starting"


class Paper(StrEnum):
    """XFS4IoT Printer paper."""

    UNKNOWN = "unknown"
    FULL = "full"
    LOW = "low"
    OUT = "out"
    JAMMED = "jammed"


class Toner(StrEnum):
    """XFS4IoT Printer toner."""

    UNKNOWN = "unknown"
    FULL = "full"
    LOW = "low"
    OUT = "out"


class Media(StrEnum):
    """XFS4IoT CardReader and Printer media."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    NOT_PRESENT = "notPresent"
    JAMMED = "jammed"
    ENTERING = "entering"
    RETRACTED = "retracted"


class ErrorAction(StrEnum):
    """XFS4IoT Common.ErrorEvent action: what a person does about it."""

    RESET = "reset"
    SOFTWARE_ERROR = "softwareError"
    CONFIGURATION = "configuration"
    CLEAR = "clear"
    MAINTENANCE = "maintenance"
    SUSPEND = "suspend"


class DeviceReport(Value):
    """What a peripheral is and how it is, as applications and the console see it."""

    id: str
    port: str
    """Name of the capability: `ticket_printer`, `id_card_reader`."""
    driver: str
    status: DeviceStatus
    reason: Reason | None = None
    action: ErrorAction | None = None
    paper: Paper = Paper.UNKNOWN
    media: Media = Media.UNKNOWN
    toner: Toner = Toner.UNKNOWN
    paper_left_lines: Annotated[int, Field(ge=0)] | None = None
    """Lines of 3.75 mm estimated to be left on its roll; None: nobody knows."""
    model: str = ""
    """What the device says it is; empty until it has answered."""
    serial: str = ""
    since_ms: int = 0
    """Wall time in milliseconds since when it is so."""

    @property
    def works(self) -> bool:
        """True if a citizen can be served with it now."""
        return (
            self.status is DeviceStatus.ONLINE
            and self.paper not in (Paper.OUT, Paper.JAMMED)
            and self.toner is not Toner.OUT
        )
