"""IPP's bytes and words: RFC 8010's own example, and nonsense."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.page_printer import ipp_messages as ipp
from drivers.page_printer.ipp import IppPort
from drivers.page_printer.ipp_messages import Attribute, Group, Operation, Tag
from drivers.page_printer.ipp_states import JobSeen, JobState, job_seen, printer_seen, result_of
from hallkit.errors import Reason
from hallkit.model.device import Media, Paper, Toner
from hallkit.model.printing import PrintResult

EXAMPLE = bytes.fromhex(
    # RFC 8010, appendix A.3 in its layout: a Print-Job answer with one unsupported value.
    "0101 0001 00000001 01"
    "47 0012 617474726962757465732d63686172736574 0005 7574662d38"
    "48 001b 617474726962757465732d6e61747572616c2d6c616e6775616765 0005 656e2d7573"
    "05 21 0006 636f70696573 0004 00000014"
    "10 0005 7369646573 0000"
    "02 21 0006 6a6f622d6964 0004 00000093"
    "23 0009 6a6f622d7374617465 0004 00000003 03"
)


def test_an_answer_of_the_standard_is_read() -> None:
    message = ipp.decode(EXAMPLE)
    assert (message.code, message.request_id) == (0x0001, 1)
    assert message.first(Group.UNSUPPORTED) == {"copies": (20,), "sides": (None,)}
    assert message.first(Group.JOB) == {"job-id": (147,), "job-state": (3,)}
    assert message.first(Group.PRINTER) == {}


def test_what_is_written_is_read_again() -> None:
    attributes = (
        ipp.text(Tag.KEYWORD, "several", "one", "two"),
        ipp.number(Tag.INTEGER, "number", -7),
        Attribute(Tag.BOOLEAN, "truth", (True, False)),
        Attribute(Tag.OCTETS, "bytes", (b"\0\xff",)),
        Attribute(Tag.NO_VALUE, "none", (None,)),
        ipp.text(Tag.TEXT, "words", "什邡"),
    )
    raw = ipp.encode(Operation.SEND_DOCUMENT, 9, [(Group.OPERATION, attributes)], b"%PDF")
    message = ipp.decode(raw)
    assert (message.code, message.request_id, message.document) == (6, 9, b"%PDF")
    assert message.first(Group.OPERATION) == {one.name: one.values for one in attributes}


def test_a_collection_is_passed_over_with_all_that_is_in_it() -> None:
    def piece(tag: int, name: bytes, value: bytes) -> bytes:
        return bytes([tag]) + b"".join(len(x).to_bytes(2, "big") + x for x in (name, value))

    inner = piece(Tag.BEGIN_COLLECTION, b"", b"") + piece(Tag.END_COLLECTION, b"", b"")
    collection = (
        piece(Tag.BEGIN_COLLECTION, b"media-col", b"")
        + piece(Tag.MEMBER_NAME, b"", b"size")
        + inner
        + piece(Tag.END_COLLECTION, b"", b"")
    )
    head = bytes.fromhex("0200 0000 00000001 04")
    message = ipp.decode(head + collection + piece(Tag.ENUM, b"printer-state", b"\0\0\0\3") + b"\3")
    assert message.first(Group.PRINTER) == {"printer-state": (3,)}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        EXAMPLE[:-1],
        b"\x03" + EXAMPLE[1:],
        EXAMPLE.replace(b"\0\4\0\0\0\x14", b"\0\3\0\0\x14"),
        # A name of 65531 bytes, on which one reader of IPP goes round for ever (decision 0013).
        bytes.fromhex("0200 0000 00000001 01 13 0001 61 0000 44 fffb 0004 00000001 03"),
    ],
)
def test_what_cannot_be_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ipp.decode(raw)


@given(st.data())
def test_one_wrong_byte_ends_in_a_message_or_a_refusal(data: st.DataObject) -> None:
    raw = bytearray(EXAMPLE)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        message = ipp.decode(bytes(raw))
        for group in Group:
            with suppress(ValueError):
                printer_seen(message.first(group))
            with suppress(ValueError):
                job_seen(message.first(group))


@given(st.binary(max_size=300))
def test_nonsense_is_refused_and_nothing_else(raw: bytes) -> None:
    with suppress(ValueError):
        ipp.decode(b"\2\0\0\0\0\0\0\1" + raw)


IDLE, STOPPED = 3, 5


@pytest.mark.parametrize(
    ("state", "keywords", "reason"),
    [
        (IDLE, ("none",), None),
        (IDLE, ("media-low-report",), Reason.PAPER_LOW),
        (IDLE, ("media-low-warning", "toner-low-warning"), Reason.PAPER_LOW),
        (STOPPED, ("media-empty-error", "media-jam-error"), Reason.PAPER_JAM),
        (STOPPED, ("door-open",), Reason.COVER_OPEN),
        (STOPPED, ("marker-supply-empty-error",), Reason.TONER_OUT),
        (STOPPED, ("com.example-odd-error",), Reason.UNRECOVERABLE),
        (STOPPED, ("none",), Reason.UNRECOVERABLE),
        (STOPPED, ("media-low-warning",), Reason.UNRECOVERABLE),
        (IDLE, ("com.example-odd-warning",), None),
        (IDLE, ("marker-waste-full-error",), Reason.UNRECOVERABLE),
        (IDLE, ("marker-waste-full-warning",), None),
        (IDLE, ("offline-report",), Reason.PORT_GONE),
        (IDLE, ("connecting-to-device",), None),
        (STOPPED, ("paused",), Reason.OFFLINE),
    ],
)
def test_a_printers_words_become_a_reason(
    state: int, keywords: tuple[str, ...], reason: Reason | None
) -> None:
    seen = printer_seen({"printer-state": (state,), "printer-state-reasons": keywords})
    assert seen.reason == reason


@pytest.mark.parametrize(
    ("state", "keyword", "reason"),
    [
        (IDLE, "media-jam-error", None),
        (IDLE, "offline-report", None),
        (IDLE, "media-low-report", Reason.PAPER_LOW),
        (IDLE, "cups-missing-filter-warning", Reason.CONFIGURATION),
        (4, "media-jam-error", Reason.PAPER_JAM),
        (STOPPED, "media-jam-error", Reason.PAPER_JAM),
    ],
)
def test_an_idle_queue_is_not_believed_what_its_last_job_met(
    state: int, keyword: str, reason: Reason | None
) -> None:
    told = {"printer-state": (state,), "printer-state-reasons": (keyword,)}
    assert printer_seen(told, queue=True).reason == reason


def test_paper_and_toner_are_told_apart() -> None:
    keywords = ("media-low-warning", "toner-empty-error")
    seen = printer_seen({"printer-state": (STOPPED,), "printer-state-reasons": keywords})
    assert (seen.paper, seen.toner) == (Paper.LOW, Toner.OUT)


@pytest.mark.parametrize(
    ("trays", "media"),
    [
        ((), Media.UNKNOWN),
        ((b"type=unRemovableBin;maxcapacity=100;remaining=100;",), Media.NOT_PRESENT),
        ((b"maxcapacity=100;remaining=99",), Media.PRESENT),
        ((b"maxcapacity=-2;remaining=-3",), Media.UNKNOWN),
        ((b"remaining=1",), Media.UNKNOWN),
        ((b"maxcapacity=10;remaining=10", b"maxcapacity=10;remaining=2"), Media.PRESENT),
        (("maxcapacity=10;remaining=x",), Media.UNKNOWN),
    ],
)
def test_a_sheet_in_a_tray_that_counts(trays: tuple[bytes | str, ...], media: Media) -> None:
    seen = printer_seen({"printer-state": (IDLE,), "printer-output-tray": trays})
    assert seen.media is media


@pytest.mark.parametrize(
    ("job", "result"),
    [
        (None, PrintResult.UNKNOWN),
        (JobSeen(JobState.COMPLETED, frozenset(), False, 2), PrintResult.COMPLETED),
        (
            JobSeen(JobState.COMPLETED, frozenset({"job-completed-with-errors"}), False, 1),
            PrintResult.UNKNOWN,
        ),
        (JobSeen(JobState.PROCESSING, frozenset(), False, 1), PrintResult.UNKNOWN),
        (JobSeen(JobState.ABORTED, frozenset(), False, 0), PrintResult.UNKNOWN),
        (JobSeen(JobState.CANCELED, frozenset(), True, 0), PrintResult.NOT_STARTED),
        (JobSeen(JobState.PENDING, frozenset(), True, 0), PrintResult.UNKNOWN),
    ],
)
def test_only_what_the_printer_says_for_sure_is_said(
    job: JobSeen | None, result: PrintResult
) -> None:
    assert result_of(job) is result


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("ipp://127.0.0.1/printers/hall", "http://127.0.0.1:631/printers/hall"),
        ("ipps://printer.hall:8443/ipp/print", "https://printer.hall:8443/ipp/print"),
    ],
)
def test_where_a_printer_is(uri: str, url: str) -> None:
    assert IppPort(uri=uri).url == url


@pytest.mark.parametrize(
    "uri", ["ipp://192.168.1.60/ipp/print", "http://127.0.0.1/", "ipp://user:word@127.0.0.1/"]
)
def test_documents_leave_the_machine_encrypted_only(uri: str) -> None:
    with pytest.raises(ValidationError):
        IppPort(uri=uri)
