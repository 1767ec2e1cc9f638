"""A power cut at a machine: the real agent, a real upsd, a printer behind its wire, the centre."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hallkit.lexicon.words import words
from hallkit.model.printing import PrintJobState
from hallkit.wire import agent_bus as bus
from launcher.centre import running_centre
from launcher.witness import Witness, listening
from tests.fakes.item import ITEM
from tests.integration.agent_machine import (
    LONG_S,
    Machine,
    begins_to_print,
    machine_with,
)
from tests.integration.test_kiosk_service import TICKET
from tests.integration.test_kiosk_service import Machine as Terminal

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WORDS = words("zh_CN")


@pytest.fixture
async def machine(tmp_path: Path, nut_twin: Path) -> AsyncIterator[Machine]:
    async with machine_with(nut_twin, tmp_path) as one:
        yield one


def power_told(witness: Witness) -> list[str]:
    """The phases that the centre was told of, in order."""
    found = []
    for topic, payload in witness.payloads:
        if topic.endswith("/up/report"):
            records = json.loads(payload)["records"]
            found += [one["data"]["phase"] for one in records if one["type"] == "machine.power.v1"]
    return list(dict.fromkeys(found))


async def test_the_slip_is_finished_the_centre_told_and_the_machine_switched_off_once(
    machine: Machine,
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_centre(machine.installation))
        witness = await stack.enter_async_context(listening(machine.installation))
        async with machine.agent(), machine.application() as kiosk:
            await kiosk.hears_phase("mains")
            await begins_to_print(machine, kiosk, "first")
            await machine.ups("power.low")
            await kiosk.hears_phase("ending")
            await kiosk.prints("second")
            assert not machine.poweroff.exists()  # the first is under way
            await machine.printer("release")
            await kiosk.hears_job("first", PrintJobState.COMPLETED)
            await machine.until_told_to_go_off()
            assert (await kiosk.job("second")).state is PrintJobState.QUEUED
            async with asyncio.timeout(LONG_S):
                while power_told(witness)[-1:] != ["shutdown"]:  # noqa: ASYNC110  # the broker's pace
                    await asyncio.sleep(0.02)
        # What systemd does next: SIGTERM to the agent.
        async with asyncio.timeout(LONG_S):
            while not (farewell := _presences(witness)[-1])["orderly"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert farewell["state"] == "offline"
    assert power_told(witness) == ["mains", "ending", "shutdown"]
    info = [json.loads(raw) for topic, raw in witness.payloads if topic.endswith("/up/info")][-1]
    assert (info["capabilities"], info["maintenance"]) == (["ticket_printer", "ups"], "inactive")
    assert (machine.commands, machine.slips) == (1, 1)

    machine.boot()
    await machine.ups("power.back")
    async with machine.agent(), machine.application() as kiosk:
        assert (await kiosk.job("first")).state is PrintJobState.COMPLETED
        job = await kiosk.job("second")
        if job.state is not PrintJobState.COMPLETED:
            job = await kiosk.hears_job("second", PrintJobState.COMPLETED)
        assert job.copies_marked == 0
    assert (machine.commands, machine.slips) == (1, 2)


def _presences(witness: Witness) -> list[dict[str, Any]]:
    said = [json.loads(raw) for topic, raw in witness.payloads if topic.endswith("/up/presence")]
    return [one for one in said if one]


async def test_an_agent_killed_in_the_middle_loses_nothing_and_commands_once(
    machine: Machine,
) -> None:
    async with machine.agent() as agent, machine.application() as kiosk:
        await kiosk.hears_phase("mains")
        await begins_to_print(machine, kiosk, "slip")
        await machine.ups("power.low")
        await kiosk.hears_phase("ending")
        agent.kill()
        await agent.wait()
    assert not machine.poweroff.exists()
    await machine.printer("power.cut")  # half a slip hangs from it
    await machine.printer("power.on")
    await machine.printer("release")
    async with machine.agent() as agent, machine.application() as kiosk:
        assert kiosk.phases[0] in ("ending", "shutdown")  # as it stood, before any look
        await machine.until_told_to_go_off()
        assert (await kiosk.job("slip")).state is PrintJobState.QUEUED
        agent.kill()
        await agent.wait()
    async with machine.agent(), machine.application() as kiosk:
        assert kiosk.phases[0] == "shutdown"
        assert (await kiosk.job("slip")).state is PrintJobState.QUEUED
    assert (machine.commands, machine.slips) == (1, 0)

    machine.boot()
    await machine.ups("power.back")
    async with machine.agent(), machine.application() as kiosk:
        job = await kiosk.job("slip")
        if job.state is not PrintJobState.COMPLETED:
            job = await kiosk.hears_job("slip", PrintJobState.COMPLETED)
        assert job.copies_marked == 1  # the first attempt may lie in the tray
    assert machine.slips == 1


async def test_a_citizen_in_a_visit_reads_their_number_before_the_machine_goes_off(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The terminal's real service at the real agent; only the hall's node is a fake."""
    terminal = Terminal(tmp_path_factory.mktemp("k"))
    terminal.runtime = machine.runtime
    async with machine.agent(), machine.application() as other:
        await other.hears_phase("mains")
        async with terminal.life() as (shown, _):
            await shown.shows("home")
            for action, value, follows in (
                ("choose", ITEM.catalog_code, "question"),
                ("choose", "own", "materials"),
                ("take_number", "", "card"),
                ("without_card", "", "confirm"),
            ):
                await shown.taps(action, value)
                await shown.shows(follows)
            await machine.printer("hold", after_lines=3)
            await shown.taps("take")
            await shown.shows("ticket")
            async with asyncio.timeout(LONG_S):
                await machine.printer("wait", what="held")
            await machine.ups("power.low")
            while (view := await shown.shows("ticket")).title != WORDS("closed.off_title"):
                pass
            assert (view.big_text, view.why) == (TICKET.number, WORDS("closed.number_printing"))
            assert not machine.poweroff.exists()
            await machine.printer("release")
            while (view := await shown.shows("ticket")).why != WORDS("closed.number_printed"):
                pass
            await machine.until_told_to_go_off()
    assert (machine.commands, machine.slips) == (1, 1)


async def test_a_visit_is_waited_for_and_the_mains_cancel_it(machine: Machine) -> None:
    async with machine.agent(), machine.application() as other:
        async with machine.application() as kiosk:
            await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=True), bus.Empty)
            await machine.ups("power.low")
            await kiosk.hears_phase("ending")
            await machine.ups("power.back")
            await kiosk.until(lambda: kiosk.phases[-3:] == ["ending", "closing", "mains"])
            await machine.ups("power.low")
            await kiosk.until(lambda: kiosk.phases[-1] == "ending")
            assert machine.commands == 0
        # The service that was in the visit is gone, however it went.
        await machine.until_told_to_go_off()
        await other.hears_phase("shutdown")
    assert machine.commands == 1


async def test_a_ups_whose_cable_falls_out_on_battery_counts_as_empty_after_a_while(
    machine: Machine,
) -> None:
    async with machine.agent(), machine.application() as kiosk:
        await kiosk.hears_phase("mains")
        await machine.ups("power.lost")
        await kiosk.hears_phase("closing")
        await machine.ups("unplug")
        await machine.until_told_to_go_off()
    assert machine.commands == 1
