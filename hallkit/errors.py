"""The tree of faults. Expected outcomes are values, never exceptions.

HallError                    .code  .retryable  .guidance (a key of the wording table)
├─ ConfigError               all problems at once: file, key, suggestion
├─ DeviceError(device_id)    .reason (why, as data)
│  ├─ DeviceUnavailable      retryable: unplugged, port gone, refused
│  ├─ DeviceTimeout          retryable: no complete answer before the deadline
│  ├─ DeviceBusy             retryable: another caller holds it
│  ├─ ProtocolError          the answer makes no sense; keeps its length, never its bytes
│  ├─ NeedsAttention         a person must act: paper, cover, cutter, maintenance
│  └─ NotSupported           the profile lacks the capability
├─ WireError                 a message from outside that is refused and counted
├─ NotPermitted              a peer asked for what is not its own; refused and counted
├─ LinkError
│  ├─ LinkDown               retryable: nobody answers
│  └─ Rejected               the other side said no, with its code
│     └─ Occupied            and says who has the device, until when
├─ StoreError                the local journal cannot keep its promise
└─ TrustError                a signature, certificate or digest does not hold
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HallError(Exception):
    """Root of every fault that Hallkit raises on purpose."""

    code = "hall"
    retryable = False
    guidance = "guidance.call_staff"


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in a configuration file."""

    file: str
    key: str
    message: str
    suggestion: str = ""
    line: int | None = None

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(filter(None, (where, self.key, f"{self.message}{hint}")))


class ConfigError(HallError):
    """Everything that is wrong with a configuration, at once."""

    code = "config"

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Reason(StrEnum):
    """Why a device fault happened; each has words in the wording table (`reason.<value>`)."""

    PORT_GONE = "port_gone"
    """The port, cable or power of the device is gone."""
    REFUSED = "refused"
    """The device or its network end refuses the connection."""
    SILENT = "silent"
    """Connected, but no answer within the deadline."""
    GARBLED = "garbled"
    """Answers that fail their checksum, length or layout."""
    OCCUPIED = "occupied"
    """Somebody else is using it."""
    PAPER_OUT = "paper_out"
    PAPER_LOW = "paper_low"
    PAPER_JAM = "paper_jam"
    TONER_LOW = "toner_low"
    TONER_OUT = "toner_out"
    OUTPUT_FULL = "output_full"
    """The tray for what was printed is full."""
    COVER_OPEN = "cover_open"
    CUTTER = "cutter"
    """The cutter is stuck: clear it and restart the printer."""
    OVERHEATED = "overheated"
    """The head is too hot; it recovers by itself."""
    UNRECOVERABLE = "unrecoverable"
    """The device reports a fault that only a technician can clear."""
    OFFLINE = "offline"
    """The device says it is off line without naming a cause."""
    SELF_TEST = "self_test"
    """The device's own test failed."""
    NOT_AUTHORISED = "not_authorised"
    """The security module of the reader is not authorised."""
    ON_BATTERY = "on_battery"
    """The mains are gone; the machine lives on its battery."""
    BATTERY_LOW = "battery_low"
    """The battery is nearly empty: shut down now."""
    BATTERY_WORN = "battery_worn"
    """The battery must be replaced."""
    OVERLOADED = "overloaded"
    """More hangs on it than it can carry."""
    UNPROTECTED = "unprotected"
    """The UPS lets the current through as it comes: at the next cut the machine goes dark."""
    SMOKE = "smoke"
    """A detector in the machine or beside it tells of smoke."""
    TAMPERED = "tampered"
    """Somebody works on the machine by force, or on the wires that would tell of it."""
    TOO_HOT = "too_hot"
    """The inside of the machine, or the place where it stands."""
    DOOR_OPEN = "door_open"
    """A door of the machine's cabinet."""
    COVERED = "covered"
    """A lens that shows nothing: something is before it, or it is dark."""
    MUTED = "muted"
    """A microphone or loudspeaker that is switched off, or gives nothing at all."""
    OVERDRIVEN = "overdriven"
    """A microphone so loud that what it gives is cut off."""
    UNSUPPORTED = "unsupported"
    CONFIGURATION = "configuration"
    """The machine's files hold mistakes; it works on what they said before."""
    INTERNAL = "internal"
    """Our own fault; the log has it."""


class DeviceError(HallError):
    """A peripheral failed. `reason` says why; the words for people follow from it."""

    code = "device"

    def __init__(self, device_id: str, reason: Reason, detail: str = "") -> None:
        self.device_id = device_id
        self.reason = reason
        self.detail = detail
        text = f"{device_id}: {reason}"
        super().__init__(f"{text}: {detail}" if detail else text)


class DeviceUnavailable(DeviceError):
    code = "device.unavailable"
    retryable = True


class DeviceTimeout(DeviceError):
    code = "device.timeout"
    retryable = True


class DeviceBusy(DeviceError):
    code = "device.busy"
    retryable = True

    def __init__(
        self,
        device_id: str,
        reason: Reason,
        detail: str = "",
        *,
        holder: str = "",
        until_ms: int | None = None,
    ) -> None:
        """`holder` is a role, never a person; `until_ms` wall time, None where nobody knows."""
        super().__init__(device_id, reason, detail or holder)
        self.holder = holder
        self.until_ms = until_ms


class ProtocolError(DeviceError):
    code = "device.protocol"
    retryable = True


class NeedsAttention(DeviceError):
    code = "device.attention"


class NotSupported(DeviceError):
    code = "device.unsupported"


class WireError(HallError):
    """A message from another process that is refused: too big, unknown, malformed."""

    code = "wire"

    def __init__(self, what: str, detail: str = "") -> None:
        self.what = what
        super().__init__(f"{what}: {detail}" if detail else what)


class NotPermitted(HallError):
    """Understood, and not this peer's to ask."""

    code = "not_permitted"


class LinkError(HallError):
    code = "link"


class LinkDown(LinkError):
    code = "link.down"
    retryable = True
    guidance = "guidance.try_again"


class Rejected(LinkError):
    """The other side answered no. `problem_code` is its own word for why."""

    code = "link.rejected"

    def __init__(self, problem_code: str, detail: str, status: int = 0) -> None:
        self.problem_code = problem_code
        self.detail = detail
        self.status = status
        super().__init__(f"{problem_code}: {detail}")


class Occupied(Rejected):
    """Somebody else has the device: their role, and until when (wall time), where it is known."""

    def __init__(
        self, problem_code: str, detail: str, *, holder: str, until_ms: int | None
    ) -> None:
        super().__init__(problem_code, detail)
        self.holder = holder
        self.until_ms = until_ms


class StoreError(HallError):
    code = "store"


class TrustError(HallError):
    code = "trust"
