"""One whole visit through every room, then the faults: what `./hall demo --once` does and proves.

Nothing is faked: the finger touches the real window, the reader and the printer are asked over
their wires, the slip is read back from the emulated paper, the console is a real browser.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zxingcpp
from cryptography.exceptions import InvalidSignature
from PIL import Image

from drivers.sim.control import order
from hallkit.lexicon.words import words
from hallkit.runtime.keys import load_public
from launcher.console import Console, console_page
from launcher.hall import Hall
from launcher.installation import TERMINAL
from launcher.report import Report
from launcher.visitor import Visitor
from launcher.witness import Witness, files_holding, listening

INITIALS = "spjyxkz"
OFFICIAL_NAME = "食品经营许可证 新办"
ANSWERS = ("做餐饮", "小吃店、饮品店")
CARD = {
    "name": "张三",
    "number": "11010519491231002X",  # the sample number of GB 11643-1999
    "address": "四川省什邡市方亭街道测试路1号",
}
MASKED_NUMBER = "1101**********002X"
CONSOLE_TIMEOUT_S = 30.0
PAPER_FOR_HALF_A_SLIP = 8


def say(key: str) -> str:
    """A text as the citizen reads it."""
    return words("zh_CN")(key)


@dataclass(slots=True)
class Rehearsal:
    """What the visit has at hand."""

    hall: Hall
    visitor: Visitor
    console: Console
    witness: Witness
    report: Report
    pictures: Path
    numbers: list[str] = field(default_factory=list)
    """Ticket numbers that the screen showed, one a visit."""

    async def reader(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.hall.reader_control, do, **arguments)

    async def printer(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.hall.printer_control, do, **arguments)

    async def slips(self) -> int:
        """How many slips the printer has cut."""
        count: int = (await self.printer("state"))["state"]["slips"]
        return count


async def whole_visit(hall: Hall, report: Report, pictures: Path) -> None:
    """Drive the visit and the faults; a step that fails ends it and stands in the report."""
    if hall.panel is None:
        raise RuntimeError("the visit needs the virtual panel")
    visitor = Visitor(hall.panel, pictures)
    try:
        async with (
            listening(hall.installation) as witness,
            console_page(hall.installation.console_url()) as console,
        ):
            rehearsal = Rehearsal(hall, visitor, console, witness, report, pictures)
            await _clean_visit(rehearsal)
            await _seen_by_technicians(rehearsal)
            await _nothing_personal(rehearsal)
            await _paper_out_before(rehearsal)
            await _screen_killed(rehearsal)
            await _paper_out_in_mid_job(rehearsal)
            await _agent_killed_in_mid_print(rehearsal)
            await _all_counted_once(rehearsal)
    finally:
        visitor.close()


# ── A visit without faults ──────────────────────────────────────────────────────────────────


async def _clean_visit(it: Rehearsal) -> None:
    with it.report.step("find 食品经营许可证 by its initials, by touch") as step:
        await it.visitor.sees(say("home.title"))
        await it.visitor.picture("01-home")
        await it.visitor.tap(say("home.find"))
        await it.visitor.sees(say("find.title"))
        await _type(it, INITIALS)
        found = await it.visitor.sees(OFFICIAL_NAME)
        step.expect(
            "the item is among the results",
            found.name != "",
            typed=INITIALS,
            found=found.name,
            touches=it.visitor.taps,
            picture=await it.visitor.picture("02-find"),
        )
    with it.report.step("answer two guidance questions, get a personal list") as step:
        await it.visitor.tap(OFFICIAL_NAME)
        asked = await _answer(it, pictures=True)
        await it.visitor.sees(say("materials.title"))
        rows = [text for text in await it.visitor.words() if text]
        step.expect(
            "the list names an identity card",
            any("身份证" in text for text in rows),
            answers=asked,
            shown=rows[:40],
            picture=await it.visitor.picture("04-materials"),
        )
    with it.report.step("lay a resident identity card on the reader") as step:
        await it.visitor.tap(say("materials.take_number"))
        await it.visitor.sees(say("card.title"))
        await it.visitor.picture("05-card")
        await it.reader("card.lay", card=CARD)
        await it.visitor.sees(MASKED_NUMBER)
        shown = " ".join(await it.visitor.words())
        step.expect(
            "only the masked identity is on the screen",
            CARD["number"] not in shown and CARD["name"] not in shown and "张*" in shown,
            masked=f"张* {MASKED_NUMBER}",
            reader=(await it.reader("state"))["state"],
            picture=await it.visitor.picture("06-identity"),
        )
    with it.report.step("take a queue ticket, printed with its QR") as step:
        await it.visitor.tap(say("identity.yes"))
        await it.visitor.sees(say("confirm.title"))
        await it.visitor.picture("07-confirm")
        before = await it.slips()
        await it.visitor.tap(say("confirm.take"))
        number = await _number(it)
        await it.printer("wait", what="slips", count=before + 1)
        await it.visitor.sees(say("ticket.printed"))
        await it.reader("card.lift")
        picture = await it.visitor.picture("08-ticket")
        evidence = _read_slip(it, before + 1)
        step.expect(
            "the QR on the paper is signed by the hall and names the number on the screen",
            evidence["number"] == number,
            on_screen=number,
            picture=picture,
            **evidence,
        )
    await _leave(it)


async def _seen_by_technicians(it: Rehearsal) -> None:
    with it.report.step("events reach the operations centre; the console shows them") as step:
        machine = await _console_shows(it, visits=1, tickets=1)
        text = await it.console.sees(f"[data-device='{TERMINAL}']")
        step.expect(
            "the machine is online with both peripherals",
            "正常" in text,
            machine=machine,
            console=text.split("\n")[:30],
            picture=await it.console.picture(it.pictures / "09-console.png"),
        )


async def _nothing_personal(it: Rehearsal) -> None:
    with it.report.step("nothing personal in any MQTT payload, log or state of the hall") as step:
        secrets = (CARD["name"], CARD["number"], CARD["number"][6:14], CARD["address"])
        in_files = files_holding(
            it.hall.installation, CARD["name"], CARD["number"], CARD["address"]
        )
        step.expect(
            "no payload and no file holds a part of the identity",
            not it.witness.find(*secrets) and not in_files and len(it.witness.payloads) > 0,
            payloads_heard=len(it.witness.payloads),
            topics=sorted({topic for topic, _ in it.witness.payloads}),
            topics_with_secrets=it.witness.find(*secrets),
            files_with_secrets=in_files,
        )


# ── Faults ──────────────────────────────────────────────────────────────────────────────────


async def _paper_out_before(it: Rehearsal) -> None:
    """No paper, and no broker either: the citizen is told, the ticket is kept, so are events."""
    with it.report.step("broker killed; out of paper: told before confirming") as step:
        it.hall.table.kill("broker", hold=True)
        await it.printer("fault.set", fault="paper_out")
        await it.visitor.sees(say("machine.printer_out"))
        await it.visitor.picture("10-home-out-of-paper")
        await _walk_to_confirm(it)
        await it.visitor.sees(say("confirm.printer_out"))
        step.expect(
            "the notice stands beside the button, before the tap",
            await it.slips() == len(it.numbers),
            notice=say("confirm.printer_out"),
            picture=await it.visitor.picture("11-confirm-out-of-paper"),
        )
    with it.report.step("the ticket is kept and prints after the refill") as step:
        before = await it.slips()
        await it.visitor.tap(say("confirm.take"))
        number = await _number(it)
        await it.visitor.sees(say("ticket.waiting_paper"))
        picture = await it.visitor.picture("12-ticket-waits-for-paper")
        await it.printer("fault.clear")
        await it.printer("paper.refill")
        await it.printer("wait", what="slips", count=before + 1)
        await it.visitor.sees(say("ticket.printed"))
        evidence = _read_slip(it, before + 1)
        step.expect(
            "the number on the paper is the one on the screen, without a reprint mark",
            evidence["number"] == number and not evidence["reprint"],
            picture=picture,
            **evidence,
        )
        await _leave(it)
    with it.report.step("broker back: no event lost or doubled") as step:
        connections = it.hall.table["broker"].starts
        await it.hall.table.release("broker")
        machine = await _console_shows(it, visits=2, tickets=2)
        step.expect(
            "every visit and ticket made while it was dead is counted once",
            it.hall.table["broker"].starts == connections + 1,
            machine=machine,
        )


async def _screen_killed(it: Rehearsal) -> None:
    with it.report.step("screen killed with -9: the same step again") as step:
        await it.visitor.tap(say("home.find"))
        await it.visitor.sees(say("find.title"))
        await _type(it, INITIALS)
        await it.visitor.tap(OFFICIAL_NAME)
        await it.visitor.tap(ANSWERS[0])
        second = await it.visitor.sees("店是什么样的")
        screen = it.hall.table["screen"]
        shown = screen.count("interactive")
        pid = it.hall.working_pid("screen")
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await screen.wait_for("interactive", count=shown + 1)
        to_interactive_ms = round((time.monotonic() - killed_at) * 1000)
        await it.visitor.sees(second.name)
        step.expect(
            "the second question stands on the new screen",
            pid != it.hall.working_pid("screen"),
            question=second.name,
            kill_to_interactive_ms=to_interactive_ms,
            picture=await it.visitor.picture("13-after-screen-killed"),
        )


async def _paper_out_in_mid_job(it: Rehearsal) -> None:
    """Goes on with the visit that the screen's death interrupted."""
    with it.report.step("paper ends in mid-job: kept, then printed again, marked") as step:
        await it.visitor.tap(ANSWERS[1])
        await _without_card_to_confirm(it)
        before = await it.slips()
        await it.printer("paper.set", lines=PAPER_FOR_HALF_A_SLIP)
        await it.visitor.tap(say("confirm.take"))
        number = await _number(it)
        await it.visitor.sees(say("ticket.waiting_paper"))
        picture = await it.visitor.picture("14-paper-ended-in-mid-job")
        await it.printer("paper.refill")
        await it.printer("wait", what="slips", count=before + 1)
        await it.visitor.sees(say("ticket.printed_again"))
        evidence = _read_slip(it, before + 1)
        step.expect(
            "one whole slip with the same number and the reprint mark",
            evidence["number"] == number and evidence["reprint"],
            picture=picture,
            after=await it.visitor.picture("15-printed-again"),
            **evidence,
        )
        await _leave(it)


async def _agent_killed_in_mid_print(it: Rehearsal) -> None:
    with it.report.step("agent killed with -9 in mid-print: one valid number") as step:
        await _walk_to_confirm(it)
        before = await it.slips()
        await it.printer("hold", after_lines=4)
        await it.visitor.tap(say("confirm.take"))
        number = await _number(it)
        await it.printer("wait", what="held")
        agent = it.hall.table["agent"]
        ready = agent.count("ready")
        it.hall.table.kill("agent")
        await agent.wait_for("ready", count=ready + 1)
        await it.printer("release")
        await it.printer("wait", what="slips", count=before + 1)
        await it.visitor.sees(say("ticket.printed_again"))
        evidence = _read_slip(it, await it.slips())
        step.expect(
            "the outcome was unknown, so the same number is printed again, marked",
            evidence["number"] == number and evidence["reprint"],
            whole_slips=await it.slips() - before,
            picture=await it.visitor.picture("16-after-agent-killed"),
            **evidence,
        )
        await _leave(it)


async def _all_counted_once(it: Rehearsal) -> None:
    with it.report.step("every visit and ticket counted once, every number given once") as step:
        machine = await _console_shows(it, visits=4, tickets=4)
        step.expect(
            "four visits, four different numbers",
            len(set(it.numbers)) == len(it.numbers) == 4,
            numbers=it.numbers,
            machine=machine,
            dead=it.hall.table.dead(),
            picture=await it.console.picture(it.pictures / "17-console-at-the-end.png"),
        )


# ── What a visit is made of ─────────────────────────────────────────────────────────────────


async def _type(it: Rehearsal, letters: str) -> None:
    for letter in letters:
        await it.visitor.press_key(letter)


async def _answer(it: Rehearsal, *, pictures: bool = False) -> list[str]:
    for number, answer in enumerate(ANSWERS, start=1):
        await it.visitor.sees(answer)
        if pictures:
            await it.visitor.picture(f"03-question-{number}")
        await it.visitor.tap(answer)
    return list(ANSWERS)


async def _walk_to_confirm(it: Rehearsal) -> None:
    """From the first screen, by the short way over the popular item, without a card."""
    await it.visitor.tap(OFFICIAL_NAME)
    await _answer(it)
    await _without_card_to_confirm(it)


async def _without_card_to_confirm(it: Rehearsal) -> None:
    await it.visitor.tap(say("materials.take_number"))
    await it.visitor.tap(say("card.without"))
    await it.visitor.sees(say("confirm.title"))


async def _number(it: Rehearsal) -> str:
    """The ticket number on the screen."""
    await it.visitor.sees(say("ticket.title"))
    for text in await it.visitor.words():
        if match := re.fullmatch(r"[A-Z]\d{3,}", text):
            it.numbers.append(match[0])
            return match[0]
    raise AssertionError("no number on the screen")


async def _leave(it: Rehearsal) -> None:
    """End the visit; fresh processes show the first screen."""
    screen = it.hall.table["screen"]
    shown = screen.count("interactive")
    await it.visitor.tap(say("ticket.done"))
    await screen.wait_for("interactive", count=shown + 1)
    await it.visitor.sees(say("home.title"))


async def _console_shows(it: Rehearsal, *, visits: int, tickets: int) -> dict[str, Any]:
    """Wait until the console counts so much; what it says of the machine."""
    async with asyncio.timeout(CONSOLE_TIMEOUT_S):
        while True:
            state = await it.console.state()
            machine: dict[str, Any] = next(
                (one for one in state["machines"] if one["device"] == TERMINAL), {}
            )
            counted = (machine.get("visits_today"), machine.get("tickets_today"))
            if counted == (visits, tickets) and machine.get("state") == "online":
                return machine
            if any(
                have is not None and have > want
                for have, want in zip(counted, (visits, tickets), strict=True)
            ):
                raise AssertionError(f"counted too much: {counted}, not {(visits, tickets)}")
            await asyncio.sleep(0.1)


def _read_slip(it: Rehearsal, number: int) -> dict[str, Any]:
    """Read the paper: decode the QR from the picture and check its signature."""
    path = it.hall.installation.receipts / f"slip-{number:04}.png"
    with Image.open(path) as image:
        codes = zxingcpp.read_barcodes(image)
        image.save(it.pictures / path.name)
    if len(codes) != 1:
        raise AssertionError(f"{len(codes)} codes on {path.name}")
    code = codes[0].text
    signed, _, signature = code.rpartition(".")
    key = load_public(it.hall.installation.pki / TERMINAL / "catalogue.pub")
    try:
        key.verify(
            base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), signed.encode()
        )
        genuine = True
    except InvalidSignature:
        genuine = False
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    return {
        "slip": path.name,
        "qr": code,
        "signature_holds": genuine,
        "number": signed.split(".")[4] if genuine else "",
        "reprint": say("slip.reprint") in text,
        "paper": [line for line in text.splitlines() if line.strip()],
    }
