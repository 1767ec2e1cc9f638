"""The staff pages in a real browser, of a real node: two windows, a supervisor, phone and desk.

Every page is looked at by axe-core at both sizes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, Page, expect

from affairs.catalogue_source import CONTENT, load
from hallkit.clients.affairs import AffairsClient
from hallkit.lexicon.words import words
from hallkit.model.ids import new_id
from hallkit.model.rating import RatingLevel
from launcher.cli import main
from launcher.staff import make_demo_accounts
from tests.integration.affairs_node import private_pem
from tests.integration.staff_hall import (
    DESK,
    ITEM,
    NAME,
    NUMBER,
    ONE_TIME,
    OWN,
    PHONE,
    StaffHall,
    call_for_help,
    chromium,
    log_in,
    open_case,
    rate,
    somebody,
    take_tickets,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

FITS = "document.scrollingElement.scrollWidth <= document.documentElement.clientWidth"
TOO_SMALL = """
    [...document.querySelectorAll('a:not(.skip), button, select, input, summary')]
        .filter(one => one.checkVisibility() && one.type !== 'hidden')
        .filter(one => Math.min(one.offsetWidth, one.offsetHeight) < 44)
        .map(one => one.outerHTML.slice(0, 80))
"""
"""Targets that a finger misses."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def hall(tmp_path: Path) -> StaffHall:
    return StaffHall(tmp_path)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


async def press(page: Page, name: str, then: str) -> None:
    """Press an order and wait for what it leads to."""
    await page.click(f"#{name}")
    await expect(page.locator(then).first).to_be_visible()


async def with_answers(affairs: AffairsClient, count: int) -> None:
    item = next(one for one in load(CONTENT).items if one.catalog_code == ITEM)
    question = item.questions[0]
    await take_tickets(
        affairs,
        count,
        answers={question.key: question.options[0].key},
        materials=tuple(one.key for one in item.materials[:2]),
    )


async def test_two_windows_and_a_supervisor(hall: StaffHall, browser: Browser) -> None:
    await hall.people()
    async with hall.running(), hall.client() as affairs:
        await with_answers(affairs, 4)
        async with (
            somebody(browser, hall, "zhiban") as supervisor,
            somebody(browser, hall, "xiaoman") as first,
            somebody(browser, hall, "lixia", PHONE) as second,
        ):
            await supervisor.evaluate("window.stays = true")
            await expect(supervisor.locator("[data-sum=waiting]")).to_have_text("4")
            for page, window in ((first, 12), (second, 13)):
                await page.click(f"[data-window='{window}']")
                await press(page, "open", "#next")
            await expect(supervisor.locator("[data-sum=open]")).to_have_text("2")
            # By keyboard here, by finger there.
            await first.keyboard.press("Alt+n")
            await expect(first.locator("#now .number")).to_have_text("A001")
            await press(second, "next", "#serve")
            await expect(second.locator("#now .number")).not_to_have_text("A001")
            await expect(supervisor.locator("[data-window='12'] .served b")).to_have_text("A001")
            await expect(supervisor.locator("[data-sum=waiting]")).to_have_text("2")
            await press(first, "again", "#serve")
            await expect(first.locator("#now")).to_contain_text("叫了 2 次")
            await expect(first.locator("#case")).to_contain_text("002X")
            assert NUMBER not in await first.content()
            await first.click("#reveal")
            await expect(first.locator("#identity")).to_contain_text(NUMBER)
            await press(first, "serve", "#finish")
            await first.select_option("#service", "social")
            await press(first, "transfer", "#next")
            await expect(supervisor.locator("[data-queue=social] [data-waiting]")).to_have_text("1")
            await press(second, "serve", "#finish")
            await press(second, "finish", "#next")
            # Whoever works by keyboard is led to what is to be done next.
            await first.focus("#next")
            await first.keyboard.press("Enter")
            await expect(first.locator("#serve")).to_be_focused()
            await press(first, "skip", "#next")
            await expect(supervisor.locator("[data-sum=skipped]")).to_have_text("1")
            assert await second.evaluate(FITS)
            # The whole time it was the same page.
            assert await supervisor.evaluate("window.stays")
            await _a_machine_moves_it_too(affairs, supervisor)
            await _take_over(first, second, hall)
        assert (await hall_log(hall)).count("crashed") == 0
    log = await hall_log(hall)
    assert NAME not in log
    assert NUMBER not in log
    assert OWN not in log


async def test_somebody_goes_to_who_calls_and_the_window_gives_a_case_back(
    hall: StaffHall, browser: Browser
) -> None:
    await hall.people()
    async with hall.running(), hall.client() as affairs:
        async with (
            somebody(browser, hall, "guanli", PHONE) as guide,
            somebody(browser, hall, "zhiban") as supervisor,
        ):
            await guide.goto(f"{hall.staff_url}/help")
            await expect(guide.locator("#live")).to_have_attribute("data-live", "on")
            await guide.evaluate("window.stays = true")
            call = await call_for_help(affairs)
            # By the bell: the page itself looks every five seconds only.
            await expect(guide.locator("#ringing h3")).to_have_text("1号自助终端", timeout=3000)
            await expect(guide).to_have_title(re.compile(r"^\(1\)"))
            await expect(supervisor.locator("[data-panel=help]")).to_contain_text("老年人在办")
            await press(guide, f"acknowledge-{call}", "#mine .call")
            await expect(guide.locator("#mine")).to_contain_text("看要带的材料")
            assert NUMBER not in await guide.content()
            await guide.click(f"#reveal-{call}")
            await expect(guide.locator("#mine .identity")).to_contain_text(NUMBER)
            await press(guide, f"there-{call}", f"#solved-{call}")
            await guide.click(f"#solved-{call}")
            await expect(guide.locator("[data-call]")).to_have_count(0)
            assert await guide.evaluate("window.stays")
            assert await guide.evaluate(FITS)
        await open_case(affairs)
        await take_tickets(affairs)
        async with somebody(browser, hall, "lixia") as clerk:
            await clerk.click("[data-window='12']")
            await press(clerk, "open", "#next")
            await press(clerk, "next", "#case-accept")
            await clerk.check("#seen-1")
            await clerk.fill("#words", "执照没有拍清楚")
            await press(clerk, "case-accept", "#case-approve")
            await expect(clerk.locator("#words")).to_have_value("执照没有拍清楚")
            await press(clerk, "case-return", "[data-case-state=returned]")
            await expect(clerk.locator("#file")).to_contain_text("执照没有拍清楚")
    assert "执照" not in await hall_log(hall)


async def _a_machine_moves_it_too(affairs: AffairsClient, supervisor: Page) -> None:
    await take_tickets(affairs, 1)
    await expect(supervisor.locator("[data-queue=market] [data-waiting]")).to_have_text("2")


async def _take_over(first: Page, second: Page, hall: StaffHall) -> None:
    """The second comes to the first's window, sees who is there, and relieves them."""
    await second.goto(f"{hall.staff_url}/windows/12")
    await expect(second.locator("#orders")).to_contain_text("王小满")
    await second.click("#stand")
    await expect(second.locator("#next")).to_be_visible()
    await expect(first.locator("#orders")).to_contain_text("赵立夏")
    await expect(first.locator("#next")).to_have_count(0)


async def hall_log(hall: StaffHall) -> str:
    return await asyncio.to_thread((hall.folder / "node.log").read_text, "utf-8")


async def test_every_page_is_clean_for_axe_and_fingers_and_works_without_a_script(
    hall: StaffHall, browser: Browser
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.async_playwright", reason="axe-core is not installed (extra `test`)"
    ).Axe()

    async def clean(page: Page, name: str) -> None:
        for size in (DESK, PHONE):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            found = await axe.run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
            violations = [
                f"{one['id']}: {node['html'][:120]}"
                for one in found.response["violations"]
                for node in one["nodes"]
            ]
            assert not violations, f"{name} {size}: {violations}"
            assert not await page.evaluate(TOO_SMALL), f"{name} {size}: targets"
            assert await page.evaluate(FITS), f"{name} {size} scrolls sideways"

    await hall.people()
    async with hall.running(), hall.client() as affairs:
        await open_case(affairs)
        await with_answers(affairs, 6)
        first, second = [
            await call_for_help(affairs, visit=new_id()) for _ in ("at this", "and that machine")
        ]
        await rate(affairs, RatingLevel.DISSATISFIED)
        async with somebody(browser, hall, "") as page:
            await page.goto(f"{hall.staff_url}/login")
            await page.fill("#name", "nobody")
            await page.fill("#password", "wrong")
            await page.click("button[type=submit]")
            await clean(page, "login refused")
            await log_in(page, hall, "xiaoman")
            await clean(page, "windows")
            await page.goto(f"{hall.staff_url}/password")
            await clean(page, "password")
            await page.goto(f"{hall.staff_url}/audit")
            await clean(page, "no right")
            await page.goto(f"{hall.staff_url}/windows")
            await page.click("[data-window='12']")
            await press(page, "open", "#next")
            await press(page, "next", "#serve")
            await clean(page, "window called, with a case")
            await press(page, "skip", "#next")
            await clean(page, "window open, one skipped")
            await press(page, "next", "#serve")
            await press(page, "serve", "#finish")
            await page.click(".me summary")
            await clean(page, "window serving, menu open")
            for name, path in (("lixia", "/windows/12"), ("zhiban", "/hall"), ("shenji", "/audit")):
                await page.context.clear_cookies()
                await log_in(page, hall, name)
                await page.goto(f"{hall.staff_url}{path}")
                await clean(page, path)
                if name == "zhiban":
                    await _what_people_think_and_need(page, hall, clean, first, second)
        async with somebody(browser, hall, "lixia", java_script_enabled=False) as page:
            await page.goto(f"{hall.staff_url}/windows/12")
            await press(page, "stand", "#finish")
            await press(page, "finish", "#next")
            await press(page, "next", "#serve")
            await page.reload()
            await press(page, "serve", "#finish")


async def _what_people_think_and_need(
    page: Page, hall: StaffHall, clean: Callable[[Page, str], Awaitable[None]], *calls: str
) -> None:
    """Call-backs, one of them taken; calls for help, one of them too."""
    mine, other = calls
    await page.goto(f"{hall.staff_url}/call-backs")
    await page.click("[id^=take-]")
    await expect(page.locator("[id^=done-]")).to_be_visible()
    await clean(page, "call-backs")
    await page.goto(f"{hall.staff_url}/help")
    await press(page, f"acknowledge-{mine}", f"#there-{mine}")
    await press(page, f"there-{mine}", f"#solved-{mine}")
    await expect(page.locator(f"#acknowledge-{other}")).to_be_visible()
    await clean(page, "help: one rings, one is mine")


async def test_over_https_a_session_outlives_a_kill_and_streams_end_with_the_node(
    tmp_path: Path,
) -> None:
    hall = StaffHall(tmp_path, tls=True)
    await hall.people()
    async with hall.running() as process, hall.visitor("zhiban") as visitor:
        (cookie,) = visitor.cookies.jar
        assert (cookie.name, cookie.secure) == ("__Host-hallkit_staff", True)
        process.kill()
        await process.wait()
        async with hall.running() as again:
            assert (await visitor.get("/hall")).status_code == 200
            async with visitor.stream("GET", "/hall/events") as stream:
                lines = stream.aiter_lines()
                assert "pieces" in await anext(lines)
                again.send_signal(signal.SIGTERM)
                async with asyncio.timeout(10):
                    assert [line async for line in lines]  # to its end
                    assert await again.wait() == 0


async def test_accounts_and_the_log_by_the_command_line(
    hall: StaffHall, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(hall.state)]
    key = hall.folder / "signing.pem"
    key.write_bytes(private_pem(hall.signing_key))
    public = hall.folder / "signing.pub"
    public.write_bytes(
        hall.signing_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    def run(*words_: str, said: str = "") -> tuple[int, str]:
        reading, writing = os.pipe()
        os.write(writing, said.encode())
        os.close(writing)
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            code = main(["affairs", *words_, *state])
        return code, capsys.readouterr().out

    async def hall_run(*words_: str, said: str = "") -> tuple[int, str]:
        return await asyncio.to_thread(run, *words_, said=said)

    who = ("xiaoman", "--display", "王小满", "--roles", "window", "--windows", "12")
    assert (await hall_run("audit", "list"))[0] == 1  # there is no log yet
    assert (await hall_run("staff", "add", *who, said="short\n"))[0] == 1
    code, said = await hall_run("staff", "add", *who, said=f"{ONE_TIME}\n")
    assert (code, "must change" in said, ONE_TIME in said) == (0, True, False)
    assert (await hall_run("staff", "add", *who, said=f"{ONE_TIME}\n"))[0] == 1
    async with hall.running(), hall.visitor() as visitor:
        answer = await visitor.post("/login", data={"name": "xiaoman", "password": ONE_TIME})
        assert answer.headers["location"] == "/password"
        assert (await hall_run("staff", "lock", "xiaoman"))[0] == 0  # while the node runs
        assert (await visitor.get("/password")).status_code == 401
        assert (await hall_run("staff", "unlock", "xiaoman"))[0] == 0
        assert (await hall_run("staff", "passwd", "xiaoman", said="another one-time\n"))[0] == 0
        code, anchor = await hall_run("audit", "anchor", "--key", str(key))
        assert code == 0
    kept = hall.folder / "anchor.json"
    kept.write_text(anchor, encoding="utf-8")
    check = ("audit", "verify", "--key", str(public), "--anchor", str(kept))
    code, said = await hall_run(*check)
    assert (code, "holds" in said) == (0, True)
    assert "xiaoman" in (await hall_run("audit", "list"))[1]
    assert "locked" not in (await hall_run("staff", "list"))[1]
    assert (await hall_run("staff", "retire", "xiaoman"))[0] == 0
    assert "retired" in (await hall_run("staff", "list", "--json"))[1]


async def test_the_demo_has_accounts_with_one_time_passwords(tmp_path: Path) -> None:
    path = await make_demo_accounts(tmp_path / "state", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = path.read_text(encoding="utf-8")
    assert len(told.splitlines()) == 4
    assert await make_demo_accounts(tmp_path / "state", None) == path
    assert path.read_text(encoding="utf-8") == told
    assert words().has("staff.demo.window_1")
