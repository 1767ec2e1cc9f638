"""The page printer's driver under nonsense: answers of HTTP and of IPP, broken in every place."""

from __future__ import annotations

from random import Random

import httpx

from drivers.page_printer import ipp_messages as ipp
from drivers.page_printer.ipp import IppConfig, IppPort, IppPrinter
from drivers.page_printer.ipp_messages import Attribute, Group, Operation, Tag
from hallkit.errors import DeviceError
from hallkit.model.printing import PrintResult
from launcher.rehearsals.fuzz_wire import WireClock
from launcher.rehearsals.nonsense import broken

_DOCUMENT = b"%PDF-1.7 /Type /Page"
_COMPLETED = 9
_HEAD = (
    ipp.text(Tag.CHARSET, "attributes-charset", "utf-8"),
    ipp.text(Tag.LANGUAGE, "attributes-natural-language", "en"),
)
_REASONS = ("none", "media-empty-error", "media-jam-error", "toner-low-warning", "paused", "x")
_STATUSES = (0x0000, 0x0000, 0x0000, 0x0001, 0x0400, 0x0406, 0x0507, 0x0FFF)


class IppDriver:
    """A printer that is looked at, and given a document, several times."""

    last_input = ""

    async def once(self, random: Random) -> str:
        clock = WireClock()
        delivered = bytearray()
        was_completed = False

        def answer(request: httpx.Request) -> httpx.Response:
            nonlocal was_completed
            if random.random() < 0.02:
                raise random.choice((httpx.ReadError, httpx.RemoteProtocolError))("fuzz")
            asked = ipp.decode(request.content)
            job_state = random.choice((3, 5, 6, 7, 8, _COMPLETED))
            was_completed |= job_state == _COMPLETED
            content = _answer(random, asked, job_state)
            content = content if random.random() < 0.7 else broken(random, content)
            delivered.extend(content)
            status = 200 if random.random() < 0.97 else random.choice((400, 401, 404, 426, 503))
            kind = "application/ipp" if random.random() < 0.98 else "text/html"
            stream = httpx.ByteStream(content)
            return httpx.Response(status, stream=stream, headers={"content-type": kind})

        config = IppConfig(
            id="fuzz",
            driver="ipp",
            transport=IppPort(uri="ipp://127.0.0.1:631/ipp/print"),
            job_timeout_s=2.0,
            lost_timeout_s=1.0,
        )
        printer = IppPrinter(config, clock, http=httpx.MockTransport(answer))
        ended = "nothing"
        async with printer:
            try:
                for _ in range(3):
                    if random.random() < 0.5:
                        ended = f"probe {(await printer.probe()).status}"
                        continue
                    outcome = await printer.print_pdf(_DOCUMENT)
                    ended = f"print {outcome.result}"
                    if outcome.result is PrintResult.COMPLETED and not was_completed:
                        raise AssertionError("completed without the printer's word")
            except DeviceError as fault:
                return fault.code
            finally:
                self.last_input = delivered.hex()
        return ended


def _answer(random: Random, asked: ipp.Message, job_state: int) -> bytes:
    """What a printer might say to a request."""
    status = random.choice(_STATUSES)
    groups: list[tuple[Group, tuple[Attribute, ...]]] = [(Group.OPERATION, _HEAD)]
    if asked.code == Operation.GET_PRINTER_ATTRIBUTES:
        status = status if random.random() < 0.2 else 0
        groups.append((Group.PRINTER, _printer(random)))
    elif asked.code != Operation.CANCEL_JOB:
        groups.append((Group.JOB, _job(random, job_state)))
    request_id = asked.request_id if random.random() < 0.98 else random.randrange(1 << 31)
    return ipp.encode(status, request_id, groups)


def _printer(random: Random) -> tuple[Attribute, ...]:
    whole = (
        ipp.number(Tag.ENUM, "printer-state", random.choice((3, 3, 4, 5, 77))),
        ipp.text(Tag.KEYWORD, "printer-state-reasons", random.choice(_REASONS)),
        Attribute(Tag.BOOLEAN, "printer-is-accepting-jobs", (random.random() < 0.9,)),
        ipp.text(Tag.TEXT, "printer-make-and-model", "Fuzz" * random.randrange(60)),
        ipp.text(Tag.MIME_TYPE, "document-format-supported", "image/urf", "application/pdf"),
        Attribute(Tag.OCTETS, "printer-output-tray", (random.randbytes(random.randrange(80)),)),
        ipp.number(Tag.INTEGER, "printer-impressions-completed", random.randrange(-9, 1 << 20)),
    )
    return tuple(one for one in whole if random.random() < 0.95)


def _job(random: Random, state: int) -> tuple[Attribute, ...]:
    whole = (
        ipp.number(Tag.INTEGER, "job-id", random.randrange(1, 5)),
        ipp.number(Tag.ENUM, "job-state", state),
        ipp.text(Tag.KEYWORD, "job-state-reasons", "job-printing"),
        ipp.number(Tag.INTEGER, "job-impressions-completed", random.randrange(-1, 4)),
        Attribute(Tag.NO_VALUE, "time-at-processing", (None,)),
    )
    return tuple(one for one in whole if random.random() < 0.95)
