"""What the agent knows of a roll outlives the agent, however that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from hallkit.model.printing import PrintJobState
from hallkit.wire import agent_bus as bus
from tests.integration.agent_machine import Application, machine_with

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def left_on_the_roll(application: Application) -> int | None:
    told = await application.client.request(bus.DEVICES_LIST, bus.Empty(), bus.Devices)
    [printer] = [one for one in told.devices if one.port == "ticket_printer"]
    return printer.paper_left_lines


async def test_what_is_left_on_a_roll_is_known_after_a_kill(tmp_path: Path, nut_twin: Path) -> None:
    async with machine_with(nut_twin, tmp_path) as machine:
        async with machine.agent() as agent, machine.application() as application:
            await machine.printer("paper.set", lines=0)
            await application.until(lambda: _last(application) == 0)
            await machine.printer("paper.refill")
            await application.until(lambda: _last(application) == 4_000)
            await application.prints("slip")
            await application.hears_job("slip", PrintJobState.COMPLETED)
            await application.until(lambda: (_last(application) or 4_000) < 4_000)
            # The next slip's number is in the journal before it is told of.
            await application.prints("another")
            await application.hears_job("another", PrintJobState.COMPLETED)
            before = _last(application)
            agent.kill()
            await agent.wait()
        async with machine.agent(), machine.application() as application:
            await application.until(lambda: _last(application) is not None)
            after = await left_on_the_roll(application)
    assert before is not None
    assert after is not None
    # What was counted in the last moment before the kill may be lost.
    assert before <= after < 4_000


def _last(application: Application) -> int | None:
    """What was told of the roll last."""
    reports = [
        device
        for name, data in application.said
        for device in (data.get("devices", []) if name == "snapshot" else [data.get("device")])
        if device is not None and device["port"] == "ticket_printer"
    ]
    return reports[-1].get("paper_left_lines") if reports else None
