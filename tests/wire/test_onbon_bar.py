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
from pydantic import ValidationError

from drivers.led_bar.onbon import OnbonBar, OnbonConfig
from drivers.led_bar.onbon_frames import frame
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.tcp import TcpPort
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    ProtocolError,
    Reason,
)
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
async def rig(folder: Path, *, twin: tuple[str, ...] = (), **settings: Any) -> AsyncIterator[Rig]:
    control, picture = folder / "control", folder / "bar.png"
    async with simulator("drivers.sim.onbon", "--control", control, "--picture", picture, *twin):
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


@pytest.mark.parametrize("cards", ["6e", "6q"])
async def test_a_rare_name_is_drawn_for_a_picture_card(tmp_path: Path, cards: str) -> None:
    """䶮 and 𠮷 are in no card's font."""
    options = ("--cards", cards, "--colours", "2", "--width", "192")
    settings = {"cards": cards, "colours": 2, "width_px": 192, "brightness": 7}
    async with rig(tmp_path, twin=options, **settings) as one:
        await one.bar.show(BarText(text="请𠮷女士到3号窗口", colour="green"))
        state = await one.state()
        assert (state["colour"], state["runs"], state["refused"]) == ("green", False, 0)
        assert (state["area"], state["brightness"]) == ([0, 0, 192, 16], 7)
        with Image.open(one.picture) as picture:
            colours = {colour for _, colour in picture.getcolors(1 << 16) or []}
        assert (64, 230, 64) in colours
        await one.bar.show(BarText(text="请䶮先生、𠮷女士到3号窗口"))
        assert (await one.state())["runs"] is True
        await one.bar.clear()
        state = await one.state()
        assert (state["lamps"], state["shown"]) == ([], "")


@pytest.mark.parametrize("cards", ["font", "6e"])
async def test_what_the_card_refuses_is_told(tmp_path: Path, cards: str) -> None:
    """A bar narrower than its configuration says."""
    async with rig(tmp_path, twin=("--cards", cards, "--width", "64"), cards=cards) as one:
        with pytest.raises(DeviceUnavailable) as caught:
            await one.bar.show(CALL)
        assert (caught.value.reason, caught.value.detail) == (
            Reason.UNSUPPORTED,
            "the card's error 4",
        )
        report = await one.bar.probe()
        assert (report.works, report.reason) == (False, Reason.UNSUPPORTED)
        assert one.bar.diagnostics()["refused"] == 2


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [(3, DeviceBusy, Reason.OCCUPIED), (5, ProtocolError, Reason.GARBLED)],
)
async def test_a_card_that_is_busy_or_misheard_is_asked_again(
    tmp_path: Path, error: int, kind: type[DeviceError], reason: Reason
) -> None:
    answers = [frame(bytes((0xA0, 1, error, 0, 0))), frame(bytes(5))]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    bar = Rig(tmp_path, server.sockets[0].getsockname()[1]).bar
    async with server, bar:
        with pytest.raises(kind) as caught:
            await bar.show(CALL)
        assert caught.value.reason is reason
        assert (await bar.probe()).works


@pytest.mark.parametrize(
    "wrong",
    [{"device_type": 0x100}, {"cards": "6e", "font_px": 24}, {"cards": "5e"}, {"colours": 3}],
)
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rig(tmp_path, 5005, **wrong)


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
