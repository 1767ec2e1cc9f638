"""What an IPP printer's words mean: its states, and what became of a job.

`printer-state-reasons`: RFC 8011, section 5.4.12; `job-state` and `job-state-reasons`: 5.3.7 and
5.3.8; `printer-output-tray`: PWG 5100.13, section 5.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from drivers.page_printer.ipp_messages import Value
from hallkit.errors import Reason
from hallkit.model.device import Media, Paper, Toner
from hallkit.model.printing import PrintResult

PDF = "application/pdf"
_IDLE, _STOPPED = 3, 5
"""`printer-state`: 3 idle, 4 processing, 5 stopped."""


class JobState(IntEnum):
    PENDING = 3
    HELD = 4
    PROCESSING = 5
    STOPPED = 6
    CANCELED = 7
    ABORTED = 8
    COMPLETED = 9


OVER = (JobState.CANCELED, JobState.ABORTED, JobState.COMPLETED)

_REASON_OF_KEYWORD: tuple[tuple[str, Reason], ...] = (
    # The worst first: what has to be cleared before anything else shows.
    ("media-jam", Reason.PAPER_JAM),
    ("cover-open", Reason.COVER_OPEN),
    ("door-open", Reason.COVER_OPEN),
    ("interlock-open", Reason.COVER_OPEN),
    ("input-tray-missing", Reason.COVER_OPEN),
    ("output-tray-missing", Reason.COVER_OPEN),
    ("media-empty", Reason.PAPER_OUT),
    ("media-needed", Reason.PAPER_OUT),
    ("toner-empty", Reason.TONER_OUT),
    ("marker-supply-empty", Reason.TONER_OUT),
    ("output-area-full", Reason.OUTPUT_FULL),
    ("fuser-over-temp", Reason.OVERHEATED),
    ("paused", Reason.OFFLINE),
    ("moving-to-paused", Reason.OFFLINE),
    ("shutdown", Reason.OFFLINE),
    ("stopping", Reason.OFFLINE),
    ("hold-new-jobs", Reason.OFFLINE),
    # CUPS's words for a printer behind a queue; it says the first one as a `-report`.
    ("offline", Reason.PORT_GONE),
    ("timed-out", Reason.SILENT),
    ("cups-missing-filter", Reason.CONFIGURATION),
    ("cups-insecure-filter", Reason.CONFIGURATION),
    ("media-low", Reason.PAPER_LOW),
    ("toner-low", Reason.TONER_LOW),
    ("marker-supply-low", Reason.TONER_LOW),
)
_WORN = ("opc-life-over", "marker-waste-full", "developer-empty", "fuser-under-temp", "other")
_TOLD_AS_REPORT = ("offline", "media-low", "toner-low", "marker-supply-low")
_LOW = (Reason.PAPER_LOW, Reason.TONER_LOW)
_SEVERITY = re.compile(r"-(report|warning|error)$")


@dataclass(frozen=True, slots=True)
class PrinterSeen:
    """A printer as it describes itself at one moment."""

    reason: Reason | None
    paper: Paper
    toner: Toner
    media: Media
    model: str
    impressions: int | None
    """Printed sides in its life."""


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job as the printer describes it."""

    state: JobState
    reasons: frozenset[str]
    never_processed: bool
    """The printer says in so many words that it has not begun: `time-at-processing` no-value."""
    impressions: int | None


def printer_seen(
    attributes: Mapping[str, tuple[Value, ...]], *, queue: bool = False
) -> PrinterSeen:
    """What the printer's attributes say; `ValueError` without a state.

    An idle `queue` of CUPS repeats what its last job met, also a jam that was cleared long ago.
    Only the next job finds out, so what would keep that one away is not believed.
    """
    state = _number(attributes, "printer-state")
    if state is None:
        raise ValueError("no printer-state")
    keywords = _keywords(attributes, "printer-state-reasons")
    if queue and state == _IDLE:
        keywords = frozenset(one for one in keywords if one.startswith("cups-") or "-low-" in one)
    formats = _keywords(attributes, "document-format-supported")
    reason = _reason_of(keywords, stopped=state == _STOPPED)
    refuses = attributes.get("printer-is-accepting-jobs") == (False,)
    if (reason is None or reason in _LOW) and refuses:
        reason = Reason.OFFLINE
    if formats and PDF not in formats:
        reason = Reason.UNSUPPORTED
    bare = {_SEVERITY.sub("", keyword) for keyword in keywords}
    return PrinterSeen(
        reason=reason,
        paper=_paper_of(bare),
        toner=_toner_of(bare),
        media=Media.JAMMED if "media-jam" in bare else _in_tray(attributes),
        model=_text(attributes, "printer-make-and-model"),
        impressions=_number(attributes, "printer-impressions-completed"),
    )


def job_seen(attributes: Mapping[str, tuple[Value, ...]]) -> JobSeen:
    """What the job's attributes say; `ValueError` without a state that there is."""
    state = _number(attributes, "job-state")
    if state is None:
        raise ValueError("no job-state")
    return JobSeen(
        state=JobState(state),
        reasons=_keywords(attributes, "job-state-reasons"),
        never_processed=attributes.get("time-at-processing") == (None,),
        impressions=_number(attributes, "job-impressions-completed"),
    )


def result_of(job: JobSeen | None) -> PrintResult:
    """Which of the three outcomes a job came to; None: nobody can say what became of it."""
    if job is None or job.state not in OVER:
        return PrintResult.UNKNOWN
    if job.state is JobState.COMPLETED and "job-completed-with-errors" not in job.reasons:
        return PrintResult.COMPLETED
    return PrintResult.NOT_STARTED if job.never_processed else PrintResult.UNKNOWN


def reason_of_job(job: JobSeen) -> Reason | None:
    """Why a job failed, where its own words say it."""
    if job.reasons & {"document-format-error", "unsupported-document-format"}:
        return Reason.UNSUPPORTED
    if "job-canceled-at-device" in job.reasons:
        return Reason.OFFLINE
    return None


def _reason_of(keywords: frozenset[str], *, stopped: bool) -> Reason | None:
    """The worst of what holds; a `-report` is no fault, nor is a warning of what is not known."""
    held = {
        _SEVERITY.sub("", keyword): keyword.endswith("-error") or not _SEVERITY.search(keyword)
        for keyword in keywords
        if not keyword.endswith("-report") or keyword.removesuffix("-report") in _TOLD_AS_REPORT
    }
    held.pop("none", None)
    known = next((reason for keyword, reason in _REASON_OF_KEYWORD if keyword in held), None)
    if known is not None and known not in _LOW:
        return known
    if stopped or any(held.get(keyword) for keyword in _WORN):
        return Reason.UNRECOVERABLE
    return known


def _paper_of(bare: set[str]) -> Paper:
    if "media-jam" in bare:
        return Paper.JAMMED
    if bare & {"media-empty", "media-needed"}:
        return Paper.OUT
    return Paper.LOW if "media-low" in bare else Paper.FULL


def _toner_of(bare: set[str]) -> Toner:
    if bare & {"toner-empty", "marker-supply-empty"}:
        return Toner.OUT
    return Toner.LOW if bare & {"toner-low", "marker-supply-low"} else Toner.FULL


def _in_tray(attributes: Mapping[str, tuple[Value, ...]]) -> Media:
    """Whether a sheet lies in an output tray, where a tray counts: `maxcapacity`, `remaining`."""
    seen = Media.UNKNOWN
    for tray in attributes.get("printer-output-tray", ()):
        text = tray.decode("ascii", "replace") if isinstance(tray, bytes) else str(tray)
        fields = dict(part.partition("=")[::2] for part in text.split(";"))
        try:
            most, left = int(fields["maxcapacity"]), int(fields["remaining"])
        except (KeyError, ValueError):
            continue
        # Negative: other, unknown, or some room (RFC 3805, prtOutputRemainingCapacity).
        if most < 0 or left < 0:
            continue
        if left < most:
            return Media.PRESENT
        seen = Media.NOT_PRESENT
    return seen


def _number(attributes: Mapping[str, tuple[Value, ...]], name: str) -> int | None:
    match attributes.get(name):
        case (int() as value,) if not isinstance(value, bool) and value >= 0:
            return value
    return None


def _text(attributes: Mapping[str, tuple[Value, ...]], name: str) -> str:
    match attributes.get(name):
        case (str() as value, *_):
            return value
    return ""


def _keywords(attributes: Mapping[str, tuple[Any, ...]], name: str) -> frozenset[str]:
    return frozenset(value for value in attributes.get(name, ()) if isinstance(value, str))
