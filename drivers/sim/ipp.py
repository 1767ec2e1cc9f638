"""A page printer on IPP: jobs, sheets, trays, toner, and what goes wrong with them.

    python -m drivers.sim.ipp --control SOCKET --folder FOLDER [--port PORT]
                              [--certificate PEM --key PEM]

Prints `ready PORT`; the printer is at `/ipp/print`. What was printed lands in FOLDER as
`<job>.pdf`. RFC 8010 for the bytes, RFC 8011 for the operations. Orders on the control socket
(drivers/sim/control.py):

    fault.set {fault: paper_out | paper_low | jam | cover_open | toner_low | toner_out
               | output_full | overheated | unrecoverable | paused | full_up | busy | no_pdf
               | abort | hold, at_side: 0}          at_side: in the next job, after so many sides
    fault.set {fault: drop | cut | …, times, seconds, after}   the wire: drivers/sim/tcp_faults.py
    fault.clear
    power.cut  power.on            a cut forgets every job, and the numbers begin anew
    pages.take                     the sheets in the output tray
    speed {seconds: 0.02}          for each side
    state
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import h11

from drivers.page_printer import ipp_messages as ipp
from drivers.page_printer.ipp_messages import Attribute, Group, Message, Operation, Tag, Value
from drivers.page_printer.ipp_states import OVER, PDF, JobState
from drivers.sim.control import control_socket
from drivers.sim.tcp_faults import FAULTS, FaultyWire

PATH = "/ipp/print"
_PAGES = re.compile(rb"/Type\s*/Page\b(?!s)")
_TRAY_SHEETS = 100
_OK, _NOT_POSSIBLE, _NOT_FOUND = 0x0000, 0x0404, 0x0406
_BAD_REQUEST, _BAD_FORMAT, _BAD_VALUES = 0x0400, 0x040A, 0x040B
_UNKNOWN_OPERATION, _NOT_ACCEPTING, _BUSY = 0x0501, 0x0506, 0x0507
_SIDES = ("one-sided", "two-sided-long-edge", "two-sided-short-edge")
_SIZES = ("iso_a4_210x297mm", "iso_a5_148x210mm")

_KEYWORDS = {
    "paper_out": "media-empty-error",
    "paper_low": "media-low-warning",
    "jam": "media-jam-error",
    "cover_open": "cover-open-error",
    "toner_low": "toner-low-warning",
    "toner_out": "toner-empty-error",
    "output_full": "output-area-full-error",
    "overheated": "fuser-over-temp-error",
    "unrecoverable": "opc-life-over-error",
    "paused": "paused",
}
_HARMLESS = frozenset({"paper_low", "toner_low", "full_up", "busy", "no_pdf", "abort", "hold"})
_OURS = frozenset(_KEYWORDS) | _HARMLESS


@dataclass(slots=True)
class Job:
    """A job as RFC 8011, section 5.3 describes it."""

    number: int
    name: str
    sides: str
    state: JobState = JobState.PENDING
    why: str = "job-incoming"
    document: bytes | None = None
    printed: int = 0
    begun_s: int | None = None


@dataclass(slots=True)
class Printer:
    """The machine behind the wire."""

    folder: Path
    seconds_per_side: float = 0.02
    jobs: dict[int, Job] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))
    fault: str = ""
    at_side: int = 0
    in_tray: int = 0
    life_sides: int = 1000
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set_fault(self, name: str, at_side: int) -> None:
        self.fault, self.at_side = name, at_side
        self._wake()

    def forget(self) -> None:
        """The power was cut."""
        self.jobs.clear()
        self.numbers = count(1)
        self._wake()

    @property
    def _holds(self) -> str:
        """The fault that is there now; one for a later side is not."""
        return "" if self.at_side else self.fault

    @property
    def keywords(self) -> list[str]:
        return [_KEYWORDS[self._holds]] if self._holds in _KEYWORDS else ["none"]

    @property
    def stopped(self) -> bool:
        return bool(self._holds) and self._holds not in _HARMLESS

    @property
    def printing(self) -> Job | None:
        return next((job for job in self.jobs.values() if job.state not in OVER), None)

    async def run(self) -> None:
        """Print jobs as they come, until cancelled."""
        while True:
            self.changed.clear()
            waiting = [job for job in self.jobs.values() if job.document is not None]
            for job in waiting:
                if job.state not in OVER and self._holds != "hold":
                    await self._print(job)
            await self.changed.wait()

    async def _print(self, job: Job) -> None:
        job.state, job.why, job.begun_s = JobState.PROCESSING, "job-printing", 1
        sides = max(1, len(_PAGES.findall(job.document or b"")))
        while job.printed < sides and job.number in self.jobs:
            if self.fault and self.at_side and job.printed >= self.at_side:
                self.at_side = 0
            if self._holds == "abort":
                job.state, job.why = JobState.ABORTED, "aborted-by-system"
                return
            while self.stopped and job.state not in OVER and job.number in self.jobs:
                job.state, job.why = JobState.STOPPED, "printer-stopped"
                self.changed.clear()
                await self.changed.wait()
            if job.state in OVER or job.number not in self.jobs:
                return
            job.state, job.why = JobState.PROCESSING, "job-printing"
            await asyncio.sleep(self.seconds_per_side)
            job.printed += 1
            self.life_sides += 1
            self.in_tray += job.sides == _SIDES[0] or bool(job.printed % 2)
        if job.state in OVER or job.number not in self.jobs:
            return
        (self.folder / f"{job.number}.pdf").write_bytes(job.document or b"")
        job.state, job.why = JobState.COMPLETED, "job-completed-successfully"

    def answer(self, request: Message) -> tuple[int, list[tuple[Group, list[Attribute]]]]:
        """What an operation comes to: its status, and groups behind the first."""
        operations: dict[int, Callable[[Message], tuple[int, list[Attribute]]]] = {
            Operation.CREATE_JOB: self._create,
            Operation.SEND_DOCUMENT: self._send,
            Operation.CANCEL_JOB: self._cancel,
            Operation.GET_JOB_ATTRIBUTES: self._describe_job,
        }
        if request.code == Operation.GET_PRINTER_ATTRIBUTES:
            return _OK, [(Group.PRINTER, _asked_for(request, self._attributes()))]
        if request.code not in operations:
            return _UNKNOWN_OPERATION, []
        status, attributes = operations[request.code](request)
        return status, [(Group.JOB, attributes)] if attributes else []

    def _create(self, request: Message) -> tuple[int, list[Attribute]]:
        if self.fault == "busy":
            return _BUSY, []
        if self.fault == "full_up":
            return _NOT_ACCEPTING, []
        wishes = request.first(Group.JOB)
        sides, size = _one(wishes, "sides", _SIDES[0]), _one(wishes, "media", _SIZES[0])
        if sides not in _SIDES or size not in _SIZES:
            return _BAD_VALUES, []
        name = _one(request.first(Group.OPERATION), "job-name", "untitled")
        job = Job(next(self.numbers), str(name), str(sides))
        self.jobs[job.number] = job
        return _OK, _of_job(job)

    def _send(self, request: Message) -> tuple[int, list[Attribute]]:
        job = self._meant(request)
        if job is None:
            return _NOT_FOUND, []
        if job.state in OVER or job.document is not None:
            return _NOT_POSSIBLE, []
        told = _one(request.first(Group.OPERATION), "document-format", PDF)
        if told != PDF or not request.document.startswith(b"%PDF"):
            job.state, job.why = JobState.ABORTED, "document-format-error"
            return _BAD_FORMAT, []
        job.document, job.why = request.document, "job-queued"
        self._wake()
        return _OK, _of_job(job)

    def _cancel(self, request: Message) -> tuple[int, list[Attribute]]:
        job = self._meant(request)
        if job is None:
            return _NOT_FOUND, []
        if job.state in OVER:
            return _NOT_POSSIBLE, []
        job.state, job.why = JobState.CANCELED, "job-canceled-by-user"
        self._wake()
        return _OK, []

    def _describe_job(self, request: Message) -> tuple[int, list[Attribute]]:
        job = self._meant(request)
        return (_NOT_FOUND, []) if job is None else (_OK, _asked_for(request, _of_job(job)))

    def _meant(self, request: Message) -> Job | None:
        number = _one(request.first(Group.OPERATION), "job-id", 0)
        return self.jobs.get(number) if isinstance(number, int) else None

    def _attributes(self) -> list[Attribute]:
        tray = (
            f"type=unRemovableBin;maxcapacity={_TRAY_SHEETS};"
            f"remaining={_TRAY_SHEETS - self.in_tray};status=0;name=face-down;"
        )
        formats = ("image/pwg-raster",) if self.fault == "no_pdf" else ("image/pwg-raster", PDF)
        busy = self.printing is not None
        return [
            ipp.text(Tag.NAME, "printer-name", "twin"),
            ipp.number(Tag.ENUM, "printer-state", 5 if self.stopped else 4 if busy else 3),
            ipp.text(Tag.KEYWORD, "printer-state-reasons", *self.keywords),
            Attribute(Tag.BOOLEAN, "printer-is-accepting-jobs", (self.fault != "full_up",)),
            ipp.text(Tag.TEXT, "printer-make-and-model", "Hallkit Twin A4"),
            ipp.text(Tag.MIME_TYPE, "document-format-supported", *formats),
            ipp.text(Tag.MIME_TYPE, "document-format-default", formats[-1]),
            Attribute(Tag.OCTETS, "printer-output-tray", (tray.encode("ascii"),)),
            ipp.number(Tag.INTEGER, "printer-impressions-completed", self.life_sides),
            ipp.text(Tag.KEYWORD, "sides-supported", *_SIDES),
            ipp.text(Tag.KEYWORD, "media-supported", *_SIZES),
            ipp.text(Tag.KEYWORD, "media-default", _SIZES[0]),
            ipp.text(Tag.KEYWORD, "ipp-versions-supported", "1.1", "2.0"),
            ipp.number(Tag.ENUM, "operations-supported", *Operation),
            ipp.text(Tag.CHARSET, "charset-configured", "utf-8"),
            ipp.text(Tag.CHARSET, "charset-supported", "utf-8"),
            ipp.text(Tag.KEYWORD, "compression-supported", "none"),
            ipp.number(Tag.INTEGER, "queued-job-count", int(busy)),
        ]

    def _wake(self) -> None:
        self.changed.set()


def _of_job(job: Job) -> list[Attribute]:
    begun: Value = job.begun_s
    return [
        ipp.number(Tag.INTEGER, "job-id", job.number),
        ipp.text(Tag.NAME, "job-name", job.name),
        ipp.number(Tag.ENUM, "job-state", job.state),
        ipp.text(Tag.KEYWORD, "job-state-reasons", job.why),
        ipp.number(Tag.INTEGER, "job-impressions-completed", job.printed),
        Attribute(Tag.NO_VALUE if begun is None else Tag.INTEGER, "time-at-processing", (begun,)),
    ]


def _one(attributes: dict[str, tuple[Value, ...]], name: str, default: Value) -> Value:
    return (attributes.get(name) or (default,))[0]


def _asked_for(request: Message, all_: Iterable[Attribute]) -> list[Attribute]:
    """What `requested-attributes` names; a group's name, or nothing, means all."""
    wanted = set(request.first(Group.OPERATION).get("requested-attributes", ()))
    groups = {"all", "job-description", "job-template", "printer-description"}
    return [one for one in all_ if not wanted or wanted & groups or one.name in wanted]


def _reply(printer: Printer, raw: bytes) -> bytes:
    head = [
        ipp.text(Tag.CHARSET, "attributes-charset", "utf-8"),
        ipp.text(Tag.LANGUAGE, "attributes-natural-language", "en"),
    ]
    try:
        request = ipp.decode(raw)
    except ValueError:
        return ipp.encode(_BAD_REQUEST, 1, [(Group.OPERATION, head)])
    first = request.first(Group.OPERATION)
    if list(first)[:2] != ["attributes-charset", "attributes-natural-language"]:
        return ipp.encode(_BAD_REQUEST, request.request_id, [(Group.OPERATION, head)])
    status, groups = printer.answer(request)
    # RFC 8011, 4.1.8: in the version of the request.
    version = request.version
    return ipp.encode(
        status, request.request_id, [(Group.OPERATION, head), *groups], version=version
    )


async def _serve_http(
    printer: Printer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """HTTP/1.1 with kept connections: POST of `application/ipp` to `PATH`, nothing else."""
    line = h11.Connection(h11.SERVER)
    body = bytearray()
    target = b""
    try:
        while True:
            event = line.next_event()
            if event is h11.NEED_DATA:
                if line.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(line.send(go_on) or b"")
                line.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Request):
                body.clear()
                target = event.target
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                found = target == PATH.encode()
                content = _reply(printer, bytes(body)) if found else b""
                headers = [
                    ("content-type", "application/ipp"),
                    ("content-length", str(len(content))),
                ]
                answer = h11.Response(status_code=200 if found else 404, headers=headers)
                parts = (answer, h11.Data(data=content), h11.EndOfMessage())
                # In one piece, so that a fault of the wire meets a whole answer.
                writer.write(b"".join(line.send(part) or b"" for part in parts))
                await writer.drain()
                line.start_next_cycle()
            else:
                return
    except (h11.ProtocolError, OSError, asyncio.CancelledError):
        return
    finally:
        writer.close()


class Orders:
    """What the control socket asks of it."""

    def __init__(self, printer: Printer, wire: FaultyWire) -> None:
        self._printer = printer
        self._wire = wire

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        printer, wire = self._printer, self._wire
        match do:
            case "fault.set" if order.get("fault") in FAULTS:
                wire.set_fault(order)
            case "fault.set":
                if order.get("fault") not in _OURS:
                    raise ValueError(f"no such fault: {order.get('fault')}")
                printer.set_fault(str(order["fault"]), int(order.get("at_side", 0)))
            case "fault.clear":
                wire.clear_fault()
                printer.set_fault("", 0)
            case "power.cut":
                await wire.unplug()
                printer.forget()
            case "power.on":
                await wire.plug()
            case "pages.take":
                printer.in_tray = 0
            case "speed":
                printer.seconds_per_side = float(order["seconds"])
            case "state":
                jobs = {
                    str(job.number): {
                        "name": job.name,
                        "state": job.state.name.lower(),
                        "sides": job.sides,
                        "printed": job.printed,
                    }
                    for job in printer.jobs.values()
                }
                state = {"port": wire.port, "plugged": wire.plugged, "jobs": jobs}
                return {"state": state | {"in_tray": printer.in_tray}}
            case _:
                raise KeyError(do)
        return None


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)
    printer = Printer(arguments.folder)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve_http(printer, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    wire = FaultyWire(server.sockets[0].getsockname()[1])
    wire.port = arguments.port
    await wire.plug()
    machine = asyncio.create_task(printer.run())
    try:
        async with control_socket(arguments.control, Orders(printer, wire).order):
            print("ready", wire.port, flush=True)  # noqa: T201 - whoever started us waits
            await ended.wait()
    finally:
        machine.cancel()
        await wire.unplug()
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.ipp")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--folder", type=Path, required=True, help="where printed documents land")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: any")
    parser.add_argument("--certificate", type=Path, help="PEM; then it speaks TLS only")
    parser.add_argument("--key", type=Path, help="PEM")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
