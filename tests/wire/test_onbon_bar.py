"""The driver against the card's twin, over TCP: what it shows, and what a wire may do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from drivers.led_bar.onbon import OnbonBar, OnbonConfig
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.tcp import TcpPort
from hallkit.errors import DeviceError, DeviceTimeout, Reason
from hallkit.model.signage import BarText
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

CALL = BarText(text="请A001号到3号窗口")


class Rig:
    """A card and the driver that uses it."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        self.control, self.picture = folder / "control", folder / "bar.png"
        config = OnbonConfig(
            id="led-bar",
            driver="onbon",
            transport=TcpPort(host="127.0.0.1", port=port),
            **{"answer_timeout_s": 0.3, **settings},
        )
        self.bar = OnbonBar(config, SystemClock())

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.tell("state"))["state"]
        return state


@asynccontextmanager
async def rig(folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    control, picture = folder / "control", folder / "bar.png"
    async with simulator("drivers.sim.onbon", "--control", control, "--picture", picture):
        port = (await order(control, "state"))["state"]["port"]
        made = Rig(folder, port, **settings)
        async with made.bar:
            yield made


async def test_a_short_text_stands_still_and_a_long_one_runs(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.bar.show(BarText(text="3号窗口", colour="green"))
        state = await one.state()
        assert (state["shown"], state["colour"], state["runs"]) == ("3号窗口", "green", False)
        assert state["area"] == [0, 0, 128, 16]
        await one.bar.show(CALL)  # 17 half characters of 8 pixels
        assert (await one.state())["runs"] is True


async def test_the_lamps_that_are_lit_are_those_of_the_text(tmp_path: Path) -> None:
    def lit() -> set[tuple[int, int, int]]:
        with Image.open(one.picture) as picture:
            colours = picture.convert("RGB").getcolors(1 << 16) or []
        return {colour for _, colour in colours}  # type: ignore[misc]

    async with rig(tmp_path) as one:
        await one.bar.show(BarText(text="3号窗口", colour="green"))
        assert (64, 230, 64) in lit()
        await one.bar.clear()
        assert (64, 230, 64) not in lit()


async def test_brightness_is_set_when_the_card_is_found(tmp_path: Path) -> None:
    async with rig(tmp_path, brightness=7) as one:
        assert (await one.bar.probe()).works
        assert (await one.state())["brightness"] == 7


async def test_a_backslash_is_no_colour(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.bar.show(BarText(text="\\C2绿", colour="red"))
        state = await one.state()
        assert (state["shown"], state["colour"]) == ("＼C2绿", "red")


async def test_a_card_that_nobody_asked_for_anything_keeps_its_own_page(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        own = (await one.state())["shown"]
        await one.bar.probe()
        await one.bar.probe()
        assert (await one.state())["shown"] == own


async def test_a_text_whose_time_is_over_does_not_come_back(tmp_path: Path) -> None:
    class Late(SystemClock):
        ahead_s = 0.0

        def mono_s(self) -> float:
            return super().mono_s() + self.ahead_s

    async with rig(tmp_path) as one:
        clock = Late()
        config = one.bar._config
        async with OnbonBar(config, clock) as bar:
            await bar.show(CALL.model_copy(update={"for_s": 60}))
            await one.tell("power.cut")
            await bar.probe()
            clock.ahead_s = 61.0
            await one.tell("power.on")
            await bar.probe()
            assert (await bar.probe()).works
            assert (await one.state())["shown"] == ""


async def test_a_late_answer_counts_for_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        assert (await one.bar.probe()).works
        await one.tell("fault.set", fault="delay", seconds=0.6, times=1)
        with pytest.raises(DeviceTimeout) as caught:
            await one.bar.show(CALL)
        assert caught.value.reason is Reason.SILENT
        assert (await one.bar.probe()).works
        assert (await one.state())["shown"] == CALL.text
        assert one.bar.diagnostics()["connections"] == 2


async def test_a_cancelled_call_leaves_a_driver_that_works(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        assert (await one.bar.probe()).works
        await one.tell("fault.set", fault="silent")
        showing = asyncio.create_task(one.bar.show(CALL))
        await asyncio.sleep(0)
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        await one.tell("fault.clear")
        assert (await one.bar.probe()).works
        assert (await one.state())["shown"] == CALL.text


async def test_a_wire_that_says_anything_never_hangs_or_breaks_the_driver(tmp_path: Path) -> None:
    """A peer that answers every request with noise: no outcome but a fault with its reason."""
    noise = random.Random(11)  # noqa: S311  # the same noise every time

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(noise.randbytes(noise.randrange(1, 4000)))
            if noise.random() < 0.2:
                break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bar = Rig(tmp_path, port, answer_timeout_s=0.02).bar
    reasons = set()
    async with server, bar:
        for _ in range(60):
            reasons.add((await bar.probe()).reason)
            try:
                await bar.show(CALL)
            except DeviceError as fault:
                reasons.add(fault.reason)
    assert reasons <= {Reason.GARBLED, Reason.SILENT, Reason.PORT_GONE, Reason.OCCUPIED}
    assert Reason.GARBLED in reasons
