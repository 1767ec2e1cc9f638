"""The driver on the wire: jobs that hang, answers that get lost, certificates, a real cupsd."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drivers.page_printer.ipp import IppConfig, IppPort, IppPrinter
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.errors import Reason
from hallkit.model.device import Media, Paper
from hallkit.model.printing import PageOutcome, PrintResult, Sides
from hallkit.runtime.clock import SystemClock
from tests.pdf import pages

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]

LONG_S = 20.0
TWO = pages(2)


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG_S):
        while not await ask():  # noqa: ASYNC110  # another process has no event
            await asyncio.sleep(0.01)


class Rig:
    """The twin and the driver on it."""

    def __init__(self, folder: Path, port: int, scheme: str = "ipp", **settings: Any) -> None:
        self.folder = folder
        certificate = settings.pop("certificate", None)
        uri = f"{scheme}://127.0.0.1:{port}/ipp/print"
        given = {"answer_timeout_s": 0.5, "poll_interval_s": 0.02, **settings}
        config = IppConfig(
            id="page-printer",
            driver="ipp",
            transport=IppPort(uri=uri, certificate=certificate),
            **given,
        )
        self.printer = IppPrinter(config, SystemClock())

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.folder / "control", do, **arguments)

    async def jobs(self) -> list[str]:
        return [job["state"] for job in (await self.tell("state"))["state"]["jobs"].values()]

    async def reports(self, reason: Reason | None) -> None:
        async def said() -> bool:
            return (await self.printer.probe()).reason == reason

        await until(said)


@asynccontextmanager
async def rig(
    folder: Path, *options: str | Path, scheme: str = "ipp", **settings: Any
) -> AsyncIterator[Rig]:
    control = folder / "control"
    async with simulator("drivers.sim.ipp", "--control", control, "--folder", folder, *options):
        port = (await order(control, "state"))["state"]["port"]
        made = Rig(folder, port, scheme, **settings)
        async with made.printer:
            yield made


async def test_a_jam_is_told_while_it_lasts_and_the_job_goes_on_when_it_is_cleared(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="jam", at_side=1)
        job = asyncio.create_task(one.printer.print_pdf(TWO))
        await one.reports(Reason.PAPER_JAM)
        assert (one.printer.report.paper, one.printer.report.media) == (Paper.JAMMED, Media.JAMMED)
        await one.tell("fault.clear")
        assert await job == PageOutcome(result=PrintResult.COMPLETED, impressions=2)


async def test_a_job_that_has_not_begun_by_the_deadline_is_cancelled_and_not_started(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, job_timeout_s=0.2) as one:
        await one.tell("fault.set", fault="hold")
        outcome = await one.printer.print_pdf(TWO)
        assert (outcome.result, outcome.reason) == (PrintResult.NOT_STARTED, Reason.SILENT)
        await one.tell("fault.clear")
        assert await one.jobs() == ["canceled"]


async def test_whoever_stops_waiting_takes_the_job_back(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="hold")
        job = asyncio.create_task(one.printer.print_pdf(TWO))

        async def queued() -> bool:
            return await one.jobs() == ["pending"]

        await until(queued)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await one.jobs() == ["canceled"]


async def test_whoever_stops_waiting_while_the_job_is_made_leaves_none_behind(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, answer_timeout_s=10) as one:
        await one.tell("fault.set", fault="delay", after=1, seconds=0.3)
        job = asyncio.create_task(one.printer.print_pdf(TWO))

        async def made() -> bool:
            return await one.jobs() == ["pending"]

        await until(made)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await one.jobs() == ["canceled"]


async def test_a_job_the_printer_aborts_may_be_on_paper(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="abort", at_side=1)
        outcome = await one.printer.print_pdf(TWO)
        assert outcome == PageOutcome(
            result=PrintResult.UNKNOWN, reason=Reason.UNRECOVERABLE, impressions=1
        )


async def test_a_busy_printer_starts_nothing_and_is_no_broken_one(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="busy")
        outcome = await one.printer.print_pdf(TWO)
        assert (outcome.result, outcome.reason) == (PrintResult.NOT_STARTED, Reason.OCCUPIED)
        assert one.printer.report.works


async def test_a_power_cut_in_the_middle_is_unknown(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="jam", at_side=1)
        job = asyncio.create_task(one.printer.print_pdf(TWO))
        await one.reports(Reason.PAPER_JAM)
        await one.tell("power.cut")
        await one.reports(Reason.REFUSED)
        await one.tell("fault.clear")
        await one.tell("power.on")
        outcome = await job
        assert (outcome.result, outcome.reason) == (PrintResult.UNKNOWN, Reason.PORT_GONE)
        assert await one.jobs() == []
        assert (await one.printer.print_pdf(TWO)).result is PrintResult.COMPLETED


async def test_a_job_given_up_while_the_printer_was_away_is_cancelled_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, lost_timeout_s=0.2) as one:
        await one.tell("fault.set", fault="paper_out", at_side=1)
        job = asyncio.create_task(one.printer.print_pdf(TWO))
        await one.reports(Reason.PAPER_OUT)
        await one.tell("fault.set", fault="hang_up", times=0)
        outcome = await job
        assert outcome.result is PrintResult.UNKNOWN
        assert await one.jobs() == ["stopped"]
        await one.tell("fault.clear")
        await one.printer.probe()
        assert await one.jobs() in (["canceled"], ["completed"])
        assert (await one.printer.probe()).works


@pytest.mark.parametrize(
    ("fault", "result", "state"),
    [("", PrintResult.COMPLETED, "completed"), ("hold", PrintResult.NOT_STARTED, "canceled")],
)
async def test_when_the_answer_to_the_document_is_lost_the_job_says_what_became_of_it(
    tmp_path: Path, fault: str, result: PrintResult, state: str
) -> None:
    async with rig(tmp_path, job_timeout_s=0.5) as one:
        if fault:
            await one.tell("fault.set", fault=fault)
        # Get-Printer-Attributes and Create-Job are answered, Send-Document is not.
        await one.tell("fault.set", fault="drop", after=2)
        outcome = await one.printer.print_pdf(TWO)
        assert outcome.result is result
        assert outcome.reason == (None if result is PrintResult.COMPLETED else Reason.SILENT)
        assert await one.jobs() == [state]


async def test_one_lost_answer_about_a_job_changes_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.tell("fault.set", fault="drop", after=3)
        assert (await one.printer.print_pdf(TWO)).result is PrintResult.COMPLETED


async def test_a_sheet_in_the_tray_is_seen_until_it_is_taken(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        assert (await one.printer.probe()).media is Media.NOT_PRESENT
        assert (await one.printer.print_pdf(TWO, sides=Sides.LONG_EDGE)).impressions == 2
        assert (await one.printer.probe()).media is Media.PRESENT
        assert (await one.tell("state"))["state"]["in_tray"] == 1, "two sides of one sheet"
        await one.tell("pages.take")
        assert (await one.printer.probe()).media is Media.NOT_PRESENT
        assert one.printer.diagnostics()["life_sides"] == 1002


async def test_a_size_it_does_not_have_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path, media="iso_a3_297x420mm") as one:
        outcome = await one.printer.print_pdf(TWO)
        assert (outcome.result, outcome.reason) == (PrintResult.NOT_STARTED, Reason.UNSUPPORTED)


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


async def test_the_printers_own_certificate_is_trusted_and_no_other(tmp_path: Path) -> None:
    pem, key = _certificate(tmp_path, "printer")
    other, _ = _certificate(tmp_path, "other")
    options = ("--certificate", pem, "--key", key)
    async with rig(tmp_path, *options, scheme="ipps", certificate=pem) as one:
        assert (await one.printer.print_pdf(TWO)).result is PrintResult.COMPLETED
        port = (await one.tell("state"))["state"]["port"]
        for wrong in (other, None, tmp_path / "missing.pem"):
            stranger = Rig(tmp_path, port, "ipps", certificate=wrong)
            async with stranger.printer:
                report = await stranger.printer.probe()
                missing = wrong is not None and not wrong.exists()
                assert report.reason == (Reason.CONFIGURATION if missing else Reason.REFUSED)


@pytest.mark.skipif(shutil.which("ipptool") is None, reason="needs Debian's cups-ipp-utils")
async def test_the_twin_speaks_ipp_as_cups_understands_it(tmp_path: Path) -> None:
    (tmp_path / "two.pdf").write_bytes(TWO)
    script = tmp_path / "job.test"
    head = """
GROUP operation-attributes-tag
ATTR charset attributes-charset utf-8
ATTR naturalLanguage attributes-natural-language en
ATTR uri printer-uri $uri
"""
    script.write_text(
        f"""
{{ NAME "Create" OPERATION Create-Job {head}
ATTR name job-name "from-ipptool"
STATUS successful-ok
EXPECT job-id OF-TYPE integer WITH-VALUE >0
EXPECT job-state OF-TYPE enum }}
{{ NAME "Send" OPERATION Send-Document {head}
ATTR integer job-id $job-id
ATTR mimeMediaType document-format application/pdf
ATTR boolean last-document true
FILE {tmp_path}/two.pdf
STATUS successful-ok }}
{{ NAME "Ask" OPERATION Get-Job-Attributes {head}
ATTR integer job-id $job-id
STATUS successful-ok
EXPECT job-state-reasons OF-TYPE keyword
EXPECT time-at-processing OF-TYPE integer|no-value }}
{{ NAME "Printer" OPERATION Get-Printer-Attributes {head}
STATUS successful-ok
EXPECT printer-state OF-TYPE enum IN-GROUP printer-attributes-tag
EXPECT printer-state-reasons OF-TYPE keyword
EXPECT printer-output-tray OF-TYPE octetString
EXPECT operations-supported OF-TYPE enum WITH-VALUE 5 }}
{{ NAME "Unknown job" OPERATION Get-Job-Attributes {head}
ATTR integer job-id 99
STATUS client-error-not-found }}
""",
        encoding="ascii",
    )
    async with rig(tmp_path) as one:
        port = (await one.tell("state"))["state"]["port"]
        uri = f"ipp://127.0.0.1:{port}/ipp/print"
        process = await asyncio.create_subprocess_exec(
            "ipptool", "-tI", uri, script, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()

        async def printed() -> bool:
            return (tmp_path / "1.pdf").exists()

        await until(printed)
        assert (tmp_path / "1.pdf").read_bytes() == TWO


ENGINE = """#!/bin/sh
[ $# = 0 ] && exit 0
cat "${{6:--}}" > "{folder}/got-$1.part"
[ -e "{folder}/jam" ] && echo "STATE: +media-jam-error" >&2
while [ -e "{folder}/jam" ]; do sleep 0.05; done
echo "STATE: -media-jam-error" >&2
[ -e "{folder}/fail" ] && exit 1
echo "PAGE: total 2" >&2
mv "{folder}/got-$1.part" "{folder}/got-$1.pdf"
"""


@asynccontextmanager
async def cups(folder: Path) -> AsyncIterator[int]:
    """A cupsd of our own with one queue; its engine is a shell script. Yields the port."""
    for name in ("etc", "cache", "state", "spool", "scratch", "bin/backend", "bin/daemon", "mime"):
        (folder / name).mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    root = os.geteuid() == 0
    user = "nobody" if root else pwd.getpwuid(os.geteuid()).pw_name
    files = {
        "cups-files.conf": f"""ServerRoot {folder}/etc
CacheDir {folder}/cache
StateDir {folder}/state
RequestRoot {folder}/spool
TempDir {folder}/scratch
ServerBin {folder}/bin
DataDir {folder}
AccessLog {folder}/log
ErrorLog {folder}/log
PageLog {folder}/log
Printcap
Sandboxing relaxed
User {user}
""",
        "cupsd.conf": f"""Listen 127.0.0.1:{port}
Browsing No
DefaultAuthType None
<Location />
Allow all
</Location>
<Policy default>
<Limit All>
Allow all
</Limit>
</Policy>
""",
        "etc/printers.conf": """<DefaultPrinter hall>
DeviceURI twin:/engine
State Idle
Accepting Yes
ErrorPolicy abort-job
</DefaultPrinter>
""",
        "mime/mime.types": "application/pdf pdf string(0,%PDF)\n",
        "mime/mime.convs": "",
        "bin/backend/twin": ENGINE.format(folder=folder),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    (folder / "bin" / "backend" / "twin").chmod(0o700)
    (folder / "bin" / "daemon" / "cups-exec").symlink_to("/usr/lib/cups/daemon/cups-exec")
    # A copy: AppArmor lets the one in /usr/sbin read /etc/cups only.
    server = shutil.copy("/usr/sbin/cupsd", folder / "bin" / "cupsd")
    process = await asyncio.create_subprocess_exec(
        server,
        *("-c", folder / "cupsd.conf", "-s", folder / "cups-files.conf", "-f"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(not Path("/usr/sbin/cupsd").exists(), reason="needs Debian's cups-daemon")
async def test_a_queue_of_a_real_cupsd(tmp_path: Path) -> None:
    folder = tmp_path / "cups"
    async with cups(folder) as port:
        config = IppConfig(
            id="page-printer",
            driver="ipp",
            transport=IppPort(uri=f"ipp://127.0.0.1:{port}/printers/hall"),
            poll_interval_s=0.02,
            job_timeout_s=LONG_S,
        )
        hasty = config.model_copy(update={"job_timeout_s": 1.0})
        async with IppPrinter(config, SystemClock()) as printer:

            async def works() -> bool:
                return (await printer.probe()).works

            await until(works)
            outcome = await printer.print_pdf(TWO)
            assert outcome.result is PrintResult.COMPLETED
            assert (folder / "got-1.pdf").read_bytes() == TWO

            (folder / "jam").touch()
            job = asyncio.create_task(printer.print_pdf(TWO))

            async def jammed() -> bool:
                return (await printer.probe()).paper is Paper.JAMMED

            await until(jammed)
            (folder / "jam").unlink()
            assert (await job).result is PrintResult.COMPLETED

            (folder / "jam").touch()
            async with IppPrinter(hasty, SystemClock()) as impatient:
                outcome = await impatient.print_pdf(TWO)
            assert (outcome.result, outcome.reason) == (PrintResult.UNKNOWN, Reason.PAPER_JAM)
            (folder / "jam").unlink()
            assert not (folder / "got-3.pdf").exists()

            (folder / "fail").touch()
            await until(works)
            assert (await printer.print_pdf(TWO)).result is PrintResult.UNKNOWN
