"""What of a machine's files may go to its printer: for one visit, one person, once. Pure.

    guard = Guard(visit="…", person="…")
    guard, orders = after(guard, Permitted(...))

The machine keeps one guard for each visit and does what it orders: it never sends a file to the
printer, nor deletes one, but by an order. A file goes to the printer only after the node has said
yes to its hash, as the job that it was meant for, in the visit and for the person that it was made
for; anything that does not fit orders every file of the visit to be destroyed. So a machine whose
programs mix files or people up prints nothing, whatever the node thinks.

`person` names a reading of a card, made up by the machine: the guard knows no numbers of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hallkit.model.licence import PrintOutcome


class Stage(StrEnum):
    """How far one file is."""

    PERMITTED = "permitted"
    """The node has made it; the machine does not hold it yet."""
    HELD = "held"
    BOUND = "bound"
    """A print job waits for it."""
    PRINTING = "printing"
    """It has gone to the printer, and may be on paper."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class HeldFile:
    """One file of the visit."""

    permit: str
    sha256: str
    stage: Stage = Stage.PERMITTED
    job: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Guard:
    """What a machine holds for one visit."""

    visit: str
    person: str
    files: Mapping[str, HeldFile] = field(default_factory=dict)
    """By permit."""
    is_over: bool = False


# ── What happens ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Permitted:
    """The node has made a file."""

    visit: str
    person: str
    permit: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes have come; `sha256` is what the machine itself computed of them."""

    visit: str
    permit: str
    sha256: str


@dataclass(frozen=True, slots=True)
class JobMade:
    """A print job was made for a file."""

    visit: str
    permit: str
    job: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The node has said yes, this moment, to the bytes of this hash."""

    visit: str
    person: str
    permit: str
    job: str
    sha256: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The printer has said what came of a job."""

    visit: str
    job: str
    outcome: PrintOutcome


@dataclass(frozen=True, slots=True)
class Refused:
    """The node has said no."""

    visit: str
    permit: str


@dataclass(frozen=True, slots=True)
class VisitOver:
    """The person has gone, taken the card away, or another one lies there."""

    visit: str


Event = Permitted | Arrived | JobMade | Redeemed | Ended | Refused | VisitOver


# ── What to do ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Print:
    """Send this file to the printer as this job, now."""

    permit: str
    job: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """Delete the bytes, and withdraw jobs that wait for them."""

    permits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the node what came of a print."""

    permit: str
    attempt: int
    outcome: PrintOutcome


Order = Print | Destroy | Tell
Step = tuple[Guard, tuple[Order, ...]]


def after(guard: Guard, event: Event) -> Step:  # noqa: PLR0911  # one a kind of event
    """The guard after something happened, and what the machine does now, in this order."""
    if event.visit != guard.visit:
        return _destroy_all(guard, event)
    match event:
        case VisitOver():
            return _destroy_all(guard, event)
        case Ended():
            return _ended(guard, event)
        case _ if guard.is_over:
            return guard, (Destroy((event.permit,)),)
        case Permitted():
            return _permitted(guard, event)
        case Arrived():
            return _arrived(guard, event)
        case JobMade():
            return _job_made(guard, event)
        case Redeemed():
            return _redeemed(guard, event)
        case Refused():
            return _destroyed(guard, event.permit)


def _permitted(guard: Guard, event: Permitted) -> Step:
    if event.person != guard.person or event.permit in guard.files:
        return _destroy_all(guard, event)
    return _with(guard, HeldFile(event.permit, event.sha256)), ()


def _arrived(guard: Guard, event: Arrived) -> Step:
    file = guard.files.get(event.permit)
    if file is None or event.sha256 != file.sha256:
        return _destroy_all(guard, event)
    if file.stage is not Stage.PERMITTED:
        return guard, ()  # fetched again: the same bytes
    return _with(guard, replace(file, stage=Stage.HELD)), ()


def _job_made(guard: Guard, event: JobMade) -> Step:
    file = guard.files.get(event.permit)
    taken = any(one.job == event.job for one in guard.files.values())
    if file is None or file.stage is not Stage.HELD or taken or not event.job:
        return _destroy_all(guard, event)
    return _with(guard, replace(file, stage=Stage.BOUND, job=event.job)), ()


def _redeemed(guard: Guard, event: Redeemed) -> Step:
    file = guard.files.get(event.permit)
    fits = (
        file is not None
        and file.stage is Stage.BOUND
        and event.person == guard.person
        and event.job == file.job
        and event.sha256 == file.sha256
        and event.attempt > file.attempt
    )
    if file is None or not fits:
        return _destroy_all(guard, event)
    printing = replace(file, stage=Stage.PRINTING, attempt=event.attempt)
    return _with(guard, printing), (Print(file.permit, file.job, file.sha256),)


def _ended(guard: Guard, event: Ended) -> Step:
    """Of a visit that is over, too: a paper may come out after its owner has gone."""
    file = next(
        (
            one
            for one in guard.files.values()
            if one.job == event.job and one.stage is Stage.PRINTING
        ),
        None,
    )
    if file is None:
        return guard, ()  # nothing of ours
    told = Tell(file.permit, file.attempt, event.outcome)
    if event.outcome is PrintOutcome.NOT_STARTED and not guard.is_over:
        return _with(guard, replace(file, stage=Stage.HELD, job="")), (told,)
    over = _with(guard, replace(file, stage=Stage.OVER))
    return over, (told, Destroy((file.permit,)))


def _destroyed(guard: Guard, permit: str) -> Step:
    """One file; what has gone to the printer is still waited for."""
    file = guard.files.get(permit)
    if file is None or file.stage is Stage.PRINTING:
        return guard, (Destroy((permit,)),)
    return _with(guard, replace(file, stage=Stage.OVER)), (Destroy((permit,)),)


def _destroy_all(guard: Guard, event: Event) -> Step:
    """In doubt nothing is printed any more in this visit."""
    files = {
        permit: one if one.stage is Stage.PRINTING else replace(one, stage=Stage.OVER)
        for permit, one in guard.files.items()
    }
    told = () if isinstance(event, (Ended, VisitOver)) else (event.permit,)
    gone = tuple(dict.fromkeys((*guard.files, *told)))
    orders = (Destroy(gone),) if gone else ()
    return replace(guard, files=files, is_over=True), orders


def _with(guard: Guard, file: HeldFile) -> Guard:
    return replace(guard, files={**guard.files, file.permit: file})
