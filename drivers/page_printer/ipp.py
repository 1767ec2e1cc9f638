"""Driver `ipp`: page printers that speak IPP, and queues of CUPS (docs/drivers/ipp.md).

A job is made first (Create-Job), so that it has a number, then the document is sent
(Send-Document): whatever happens to the answers, the job can be asked after and cancelled. The
bytes: `ipp_messages.py`; what a printer's words mean: `ipp_states.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.driver import Driver, status_of
from drivers.page_printer import ipp_messages as ipp
from drivers.page_printer.ipp_messages import Attribute, Group, Message, Operation, Tag
from drivers.page_printer.ipp_states import (
    OVER,
    PDF,
    JobSeen,
    PrinterSeen,
    job_seen,
    printer_seen,
    reason_of_job,
    result_of,
)
from drivers.registry import DriverSpec, PeripheralConfig
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NeedsAttention,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceReport, DeviceStatus, Media, Paper, Toner
from hallkit.model.ids import new_id
from hallkit.model.printing import PageOutcome, PrintResult, Sides
from hallkit.runtime.clock import Clock

KEY = "ipp"
_MIME = "application/ipp"
_LONGEST_ANSWER_BYTES = 1 << 20
_REFUSALS_BEGIN = 0x0100
_NOT_FOUND = 0x0406
_PRINTER_ATTRIBUTES = (
    "printer-state",
    "printer-state-reasons",
    "printer-is-accepting-jobs",
    "printer-make-and-model",
    "document-format-supported",
    "printer-output-tray",
    "printer-impressions-completed",
)
_JOB_ATTRIBUTES = (
    "job-name",
    "job-state",
    "job-state-reasons",
    "job-impressions-completed",
    "time-at-processing",
)
_FAULT_OF_STATUS: Mapping[int, tuple[type[DeviceError], Reason]] = {
    # RFC 8011, section 13.1.4 and 13.1.5.
    0x0401: (DeviceUnavailable, Reason.REFUSED),
    0x0402: (DeviceUnavailable, Reason.REFUSED),
    0x0403: (DeviceUnavailable, Reason.REFUSED),
    _NOT_FOUND: (DeviceUnavailable, Reason.CONFIGURATION),
    0x040A: (NotSupported, Reason.UNSUPPORTED),
    0x040B: (NotSupported, Reason.UNSUPPORTED),
    0x0501: (NotSupported, Reason.UNSUPPORTED),
    0x0502: (DeviceUnavailable, Reason.OFFLINE),
    0x0503: (NotSupported, Reason.UNSUPPORTED),
    0x0504: (NeedsAttention, Reason.UNRECOVERABLE),
    0x0505: (DeviceUnavailable, Reason.OFFLINE),
    0x0506: (DeviceUnavailable, Reason.OFFLINE),
    0x0507: (DeviceBusy, Reason.OCCUPIED),
}
_FAULT_OF_HTTP: Mapping[int, tuple[type[DeviceError], Reason]] = {
    401: (DeviceUnavailable, Reason.REFUSED),
    403: (DeviceUnavailable, Reason.REFUSED),
    404: (DeviceUnavailable, Reason.CONFIGURATION),
    426: (DeviceUnavailable, Reason.CONFIGURATION),
    503: (DeviceUnavailable, Reason.OFFLINE),
}


class IppPort(BaseModel):
    """`transport = { kind = "ipp", uri = "ipps://192.168.1.60/ipp/print", certificate = "…" }`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ipp"] = "ipp"
    uri: Annotated[
        str,
        Field(
            pattern=r"^ipps?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?/[A-Za-z0-9._/-]{0,200}$",
            examples=["ipps://192.168.1.60/ipp/print"],
        ),
    ]
    certificate: Path | None = None
    """PEM file of the printer's own certificate, or of who issued it. Then that one is trusted and
    no other, under whatever name; without it, those that the machine trusts."""

    @model_validator(mode="after")
    def _is_not_overheard(self) -> IppPort:
        """Licences hold personal data: over a network they go encrypted."""
        parts = urlsplit(self.uri)
        if parts.scheme == "ipp" and not _is_loopback(parts.hostname or ""):
            raise ValueError(f"{parts.hostname} is not this machine; use ipps://")
        if parts.port == 0:
            raise ValueError("0 is no port to connect to")
        return self

    @property
    def url(self) -> str:
        """Where HTTP goes (RFC 8010, section 4)."""
        parts = urlsplit(self.uri)
        scheme = "https" if parts.scheme == "ipps" else "http"
        return f"{scheme}://{parts.hostname}:{parts.port or 631}{parts.path}"

    @property
    def is_queue(self) -> bool:
        """Of CUPS, by where CUPS keeps them."""
        return urlsplit(self.uri).path.startswith(("/printers/", "/classes/"))

    def __str__(self) -> str:
        return self.uri


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class IppConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a page printer."""

    driver: Literal["ipp"]
    transport: IppPort
    media: Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,64}$")] = "iso_a4_210x297mm"
    """A size by its PWG 5101.1 name."""
    answer_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    job_timeout_s: Annotated[float, Field(gt=0, le=1800)] = 120.0
    """A job that is not over by then is cancelled."""
    lost_timeout_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    """A printer that can't be asked after a job for so long is given up for this job."""
    poll_interval_s: Annotated[float, Field(gt=0, le=10)] = 0.25


@dataclass(frozen=True, slots=True)
class _Job:
    """A job in the printer. The name is ours alone: numbers begin anew in a restarted printer."""

    number: int
    name: str


class IppPrinter(Driver):
    """A printer, or a queue, at one URI. Requests take turns, and so do documents."""

    def __init__(
        self, config: IppConfig, clock: Clock, *, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`http`: what carries requests in place of a connection."""
        super().__init__(config.id, port="page_printer", key=KEY, clock=clock)
        self._config = config
        self._http = http
        self._client: httpx.AsyncClient | None = None
        self._turn = asyncio.Lock()
        self._printing = asyncio.Lock()
        self._requests = count(1)
        self._counts: Counter[str] = Counter()
        self._impressions: int | None = None
        self._to_cancel: list[_Job] = []
        """Jobs that were given up while the printer could not be reached."""

    async def probe(self) -> DeviceReport:
        """How the printer is, also while it prints."""
        return await self._guard(self._look_and_tidy)

    async def print_pdf(self, document: bytes, *, sides: Sides = Sides.ONE) -> PageOutcome:
        """See `hallkit.ports.page_printer.PagePrinter.print_pdf`."""
        async with self._printing:
            outcome = await self._print(document, sides)
        self._counts[outcome.result] += 1
        self._counts["sides_printed"] += outcome.impressions or 0
        return outcome

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start, and the printer's own page counter where it has one."""
        facts: dict[str, str | int | float] = {"wire": self._config.transport.uri}
        facts |= {result: self._counts[result] for result in PrintResult}
        facts |= {name: self._counts[name] for name in ("sides_printed", "jobs_cancelled")}
        if self._impressions is not None:
            facts["life_sides"] = self._impressions
        return facts

    async def _print(self, document: bytes, sides: Sides) -> PageOutcome:
        try:
            seen = await self._look()
            if not self._report.works:
                return PageOutcome(result=PrintResult.NOT_STARTED, reason=seen.reason)
            job = await self._created(sides)
        except DeviceError as fault:
            self._take(fault)
            return PageOutcome(result=PrintResult.NOT_STARTED, reason=fault.reason)
        try:
            job_end, reason = await self._send_and_follow(job, document)
        except asyncio.CancelledError:
            await self._withdraw(job)
            raise
        result = result_of(job_end)
        return PageOutcome(
            result=result,
            reason=None if result is PrintResult.COMPLETED else reason,
            impressions=job_end.impressions if job_end else None,
        )

    async def _created(self, sides: Sides) -> _Job:
        """A job of ours. Whoever stops waiting while it is made leaves none in the printer."""
        creating = asyncio.create_task(self._create(sides))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The printer may have it already; only its answer tells the number.
            with contextlib.suppress(DeviceError):
                await self._withdraw(await creating)
            raise

    async def _create(self, sides: Sides) -> _Job:
        name = f"hallkit-{new_id()}"
        answer = await self._request(
            Operation.CREATE_JOB,
            (
                ipp.text(Tag.NAME, "job-name", name),
                # Rather none than another than was asked for.
                Attribute(Tag.BOOLEAN, "ipp-attribute-fidelity", (True,)),
            ),
            job=(
                ipp.text(Tag.KEYWORD, "media", self._config.media),
                ipp.text(Tag.KEYWORD, "sides", sides),
            ),
        )
        match answer.first(Group.JOB).get("job-id"):
            case (int() as number,):
                return _Job(number, name)
        raise self._garbled("no job-id")

    async def _send_and_follow(
        self, job: _Job, document: bytes
    ) -> tuple[JobSeen | None, Reason | None]:
        """Give the printer the document, and see what becomes of it: the job's end, and why."""
        try:
            await self._request(
                Operation.SEND_DOCUMENT,
                (
                    ipp.number(Tag.INTEGER, "job-id", job.number),
                    ipp.text(Tag.MIME_TYPE, "document-format", PDF),
                    Attribute(Tag.BOOLEAN, "last-document", (True,)),
                ),
                document=document,
                timeout_s=self._config.job_timeout_s,
            )
        except DeviceError as fault:
            self._take(fault)
            return await self._withdraw(job), fault.reason
        return await self._follow(job)

    async def _follow(self, job: _Job) -> tuple[JobSeen | None, Reason | None]:
        deadline_s = self._clock.mono_s() + self._config.job_timeout_s
        heard_s = self._clock.mono_s()
        reason: Reason | None = None
        while True:
            try:
                seen = await self._ask_after(job)
                if seen is None:
                    # It was started anew and knows nothing of us.
                    return None, Reason.PORT_GONE
                await self._look()
                reason = self._report.reason or reason
                if seen.state in OVER:
                    return seen, reason_of_job(seen) or reason or Reason.UNRECOVERABLE
                heard_s = self._clock.mono_s()
            except DeviceError as fault:
                self._take(fault)
                reason = fault.reason
            now_s = self._clock.mono_s()
            if now_s >= deadline_s or now_s - heard_s >= self._config.lost_timeout_s:
                return await self._withdraw(job), reason or Reason.SILENT
            await self._clock.sleep(self._config.poll_interval_s)

    async def _withdraw(self, job: _Job) -> JobSeen | None:
        """Cancel it, now or when the printer is back; how it ended, where that can be said."""
        deadline_s = self._clock.mono_s() + self._config.answer_timeout_s
        try:
            await self._cancel(job)
            while (seen := await self._ask_after(job)) is not None and seen.state not in OVER:
                if self._clock.mono_s() >= deadline_s:
                    break
                await self._clock.sleep(self._config.poll_interval_s)
        except (DeviceError, asyncio.CancelledError) as fault:
            self._to_cancel.append(job)
            if isinstance(fault, asyncio.CancelledError):
                raise
            return None
        return seen

    async def _cancel(self, job: _Job) -> None:
        """Take it out of the printer, if it is there and not over."""
        seen = await self._ask_after(job)
        if seen is None or seen.state in OVER:
            return
        answer = await self._exchange(
            Operation.CANCEL_JOB, (ipp.number(Tag.INTEGER, "job-id", job.number),)
        )
        # "Not possible" where it has just ended.
        self._counts["jobs_cancelled"] += answer.code < _REFUSALS_BEGIN

    async def _ask_after(self, job: _Job) -> JobSeen | None:
        """The job; None where the printer has none of this number, or gave it to another."""
        answer = await self._exchange(
            Operation.GET_JOB_ATTRIBUTES,
            (
                ipp.number(Tag.INTEGER, "job-id", job.number),
                ipp.text(Tag.KEYWORD, "requested-attributes", *_JOB_ATTRIBUTES),
            ),
        )
        if answer.code == _NOT_FOUND:
            return None
        attributes = self._accepted(answer).first(Group.JOB)
        if attributes.get("job-name", (job.name,)) != (job.name,):
            return None
        try:
            return job_seen(attributes)
        except ValueError as fault:
            raise self._garbled(str(fault)) from None

    async def _look_and_tidy(self) -> DeviceReport:
        await self._look()
        while self._to_cancel:
            await self._cancel(self._to_cancel[0])
            del self._to_cancel[0]
        return self._report

    async def _look(self) -> PrinterSeen:
        """Ask the printer how it is and take it into the report."""
        answer = await self._request(
            Operation.GET_PRINTER_ATTRIBUTES,
            (ipp.text(Tag.KEYWORD, "requested-attributes", *_PRINTER_ATTRIBUTES),),
        )
        try:
            seen = printer_seen(answer.first(Group.PRINTER), queue=self._config.transport.is_queue)
        except ValueError as fault:
            raise self._garbled(str(fault)) from None
        status, action = status_of(seen.reason) if seen.reason else (DeviceStatus.ONLINE, None)
        self._impressions = seen.impressions
        self._update(
            status=status,
            reason=seen.reason,
            action=action,
            paper=seen.paper,
            toner=seen.toner,
            media=seen.media,
            model=seen.model,
        )
        return seen

    def _fault(self, fault: DeviceError) -> DeviceReport:
        """Take a fault into the report; nobody knows how a printer that is lost is inside."""
        status, action = status_of(fault.reason)
        return self._update(
            status=status,
            reason=fault.reason,
            action=action,
            paper=Paper.UNKNOWN,
            toner=Toner.UNKNOWN,
            media=Media.UNKNOWN,
        )

    def _take(self, fault: DeviceError) -> None:
        """Into the report, where it says something of the printer and not of this one job."""
        if not isinstance(fault, NotSupported | DeviceBusy):
            self._fault(fault)

    async def _request(
        self,
        operation: Operation,
        attributes: Iterable[Attribute],
        *,
        job: Iterable[Attribute] = (),
        document: bytes = b"",
        timeout_s: float | None = None,
    ) -> Message:
        """The answer to a request; `DeviceError` where it is a refusal."""
        return self._accepted(
            await self._exchange(
                operation, attributes, job=job, document=document, timeout_s=timeout_s
            )
        )

    def _accepted(self, answer: Message) -> Message:
        if answer.code >= _REFUSALS_BEGIN:
            fault, reason = _FAULT_OF_STATUS.get(answer.code, (ProtocolError, Reason.GARBLED))
            raise fault(self._config.id, reason, f"status {answer.code:04x}")
        return answer

    async def _exchange(
        self,
        operation: Operation,
        attributes: Iterable[Attribute],
        *,
        job: Iterable[Attribute] = (),
        document: bytes = b"",
        timeout_s: float | None = None,
    ) -> Message:
        """One request and its answer, whatever it says."""
        request_id = next(self._requests)
        head = (
            ipp.text(Tag.CHARSET, "attributes-charset", "utf-8"),
            ipp.text(Tag.LANGUAGE, "attributes-natural-language", "en"),
            ipp.text(Tag.URI, "printer-uri", self._config.transport.uri),
        )
        tail = (ipp.text(Tag.NAME, "requesting-user-name", "hallkit"),)
        # RFC 8011, 4.1.5: charset, language and target first; job-id stands behind the target.
        first, *others = attributes
        groups = [(Group.OPERATION, (*head, first, *tail, *others))]
        if job := tuple(job):
            groups.append((Group.JOB, job))
        body = ipp.encode(operation, request_id, groups, document)
        async with self._turn:
            try:
                async with asyncio.timeout(timeout_s or self._config.answer_timeout_s):
                    raw = await self._post(body)
                answer = ipp.decode(raw)
            except TimeoutError:
                await self._close()
                raise DeviceTimeout(self._config.id, Reason.SILENT) from None
            except ValueError as fault:
                await self._close()
                raise self._garbled(str(fault)) from None
            except DeviceError:
                await self._close()
                raise
        if answer.request_id != request_id:
            raise self._garbled("an answer to another request")
        return answer

    async def _post(self, body: bytes) -> bytes:
        """HTTP's part (RFC 8010, section 4). No exception of the library leaves it."""
        device = self._config.id
        try:
            client = self._client = self._client or self._connect()
            async with client.stream("POST", self._config.transport.url, content=body) as response:
                if response.status_code != httpx.codes.OK:
                    fault, reason = _FAULT_OF_HTTP.get(
                        response.status_code, (ProtocolError, Reason.GARBLED)
                    )
                    raise fault(device, reason, f"HTTP {response.status_code}")
                if response.headers.get("content-type", "").partition(";")[0].strip() != _MIME:
                    raise self._garbled("not IPP")
                raw = bytearray()
                async for piece in response.aiter_raw():
                    raw += piece
                    if len(raw) > _LONGEST_ANSWER_BYTES:
                        raise self._garbled(f"more than {_LONGEST_ANSWER_BYTES} bytes")
                return bytes(raw)
        except httpx.ConnectError as fault:
            raise _unreachable(device, fault) from fault
        except (httpx.RemoteProtocolError, httpx.DecodingError) as fault:
            raise self._garbled(type(fault).__name__) from fault
        except httpx.HTTPError as fault:
            raise DeviceUnavailable(device, Reason.PORT_GONE, type(fault).__name__) from fault

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=self._http,
            verify=self._trust() if self._http is None else False,
            trust_env=False,
            timeout=None,  # noqa: S113  # `_exchange` has the deadline of the whole
            headers={"content-type": _MIME, "accept": _MIME, "accept-encoding": "identity"},
        )

    def _trust(self) -> ssl.SSLContext:
        path = self._config.transport.certificate
        try:
            context = ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as fault:
            raise DeviceUnavailable(
                self._config.id, Reason.CONFIGURATION, f"{path}: {type(fault).__name__}"
            ) from fault
        if path is not None:
            # A printer's own certificate names it as its maker did; the key is what counts.
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _garbled(self, detail: str) -> ProtocolError:
        return ProtocolError(self._config.id, Reason.GARBLED, detail)

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _drop(self) -> None:
        async with self._turn:
            await self._close()


def _unreachable(device_id: str, fault: httpx.ConnectError) -> DeviceUnavailable:
    causes: list[BaseException] = [fault]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return DeviceUnavailable(device_id, Reason.REFUSED, "its certificate is not the one")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return DeviceUnavailable(device_id, Reason.REFUSED)
    return DeviceUnavailable(device_id, Reason.PORT_GONE, type(causes[-1]).__name__)


SPEC = DriverSpec(
    key=KEY,
    port="page_printer",
    config=IppConfig,
    open=IppPrinter,
    simulator="drivers.sim.ipp",
    family="page printers by IPP, and queues of CUPS",
    transports=("ipp",),
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
        "hardware": "exempt: run against its twin and a real cupsd; no printer was at hand",
        "guidance": "done",
    },
)
