"""A business node with its staff pages, as a real process, and people in front of it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from affairs.audit import AuditLog
from affairs.catalogue_source import CONTENT
from affairs.staff.accounts import Accounts
from affairs.staff.passwords import Cost, Passwords
from affairs.staff.rights import Role
from affairs.store import Store
from hallkit.clients.affairs import AffairsClient
from hallkit.clients.help import HelpClient
from hallkit.clients.ratings import RatingsClient
from hallkit.model.help import HelpReason
from hallkit.model.ids import new_id
from hallkit.model.rating import RatedKind, RatingChannel, RatingLevel, RatingTag
from hallkit.model.ticket import Priority, Ticket
from hallkit.runtime.clock import SystemClock
from hallkit.wire.affairs_api import Applicant, TicketRequest
from hallkit.wire.cases_api import CASES, Case, CaseApplicant, CaseContent
from hallkit.wire.help_api import HelpRequest, SessionSoFar
from hallkit.wire.ratings_api import RatedSubject, RatingRequest
from tests.integration.affairs_node import HOST, Hall

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE, DESK = (390, 844), (1366, 768)
ONE_TIME = "only-for-the-first-day"
OWN = "grey heron at the weir"
NAME = "欧阳什邡"
NUMBER = "11010519491231002X"
ITEM = "food-licence-new"
CHEAP = Cost(memory_kib=64, iterations=1)
STAFF_FILE = """
[affairs]
content = "{content}"
devices = ["robot-01"]

[affairs.staff]
host = "127.0.0.1"
port = {port}
tls = {tls}
"""
PEOPLE: Mapping[str, tuple[str, frozenset[Role], frozenset[int] | None]] = {
    "xiaoman": ("王小满", frozenset({Role.WINDOW}), frozenset({12, 13, 1})),
    "lixia": ("赵立夏", frozenset({Role.WINDOW}), None),
    "zhiban": ("周值班", frozenset({Role.SUPERVISOR}), frozenset()),
    "shenji": ("吴审计", frozenset({Role.AUDITOR}), frozenset()),
    "guanli": ("郑管理", frozenset({Role.ADMIN, Role.GUIDE}), frozenset()),
}


class StaffHall(Hall):
    """A hall whose node serves staff pages, in clear on loopback unless told otherwise."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        super().__init__(folder)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.staff_port = probe.getsockname()[1]
        self._scheme = "https" if tls else "http"
        told = str(tls).lower()
        self.write(
            "affairs.toml", STAFF_FILE.format(content=CONTENT, port=self.staff_port, tls=told)
        )

    @property
    def staff_url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.staff_port}"

    async def people(self, *, must_change: bool = False) -> None:
        """Everybody has an account; passwords are cheap to compare."""
        clock = SystemClock()
        async with Store(self.state / "affairs.sqlite") as store:
            passwords = Passwords(CHEAP)
            accounts = Accounts(store, passwords=passwords, log=AuditLog(clock), clock=clock)
            for name, (display, roles, windows) in PEOPLE.items():
                added = await accounts.add(
                    name,
                    display_name=display,
                    roles=roles,
                    windows=windows,
                    password=ONE_TIME,
                    by="test",
                )
                if not must_change:
                    kept = await passwords.made(OWN)
                    await store.transaction(
                        lambda one, who=added.id, what=kept: accounts.keep_password(  # type: ignore[misc]
                            one, who, what, must_change=False
                        )
                    )

    @asynccontextmanager
    async def visitor(
        self, name: str = "", password: str = OWN
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A browser without a script; logged in, if it is somebody's."""
        async with httpx.AsyncClient(
            base_url=self.staff_url,
            headers={"Accept": "text/html", "Origin": self.staff_url},
            verify=False,  # noqa: S501  # a throw-away certificate
        ) as client:
            if name:
                answer = await client.post("/login", data={"name": name, "password": password})
                assert answer.status_code == 303, answer.text
            yield client


async def take_tickets(affairs: AffairsClient, count: int = 1, **more: Any) -> list[Ticket]:
    """Citizens take numbers; the first has shown a card and answered."""
    taken = []
    for number in range(count):
        wanted = TicketRequest(
            item=more.get("item", ITEM),
            answers=more.get("answers", {}) if number == 0 else {},
            materials=more.get("materials", ()) if number == 0 else (),
            applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident")
            if number == 0
            else None,
            priority=Priority.DISABLED if number == 2 else Priority.NONE,
        )
        taken.append((await affairs.issue_ticket(wanted, new_id())).ticket)
    return taken


async def open_case(affairs: AffairsClient, *, item: str = ITEM) -> Case:
    """Whoever shows the card of `take_tickets` has begun a case at a machine."""
    content = CaseContent(
        item=item,
        applicant=CaseApplicant(name=NAME, number=NUMBER, read="card", phone="13800000000"),
        values={
            "shop_name": "什邡市方亭街道示例小吃店",
            "shop_address": "四川省什邡市方亭街道示例路1号附2号",
            "shop_area": 45,
            "business_kind": "catering",
            "catering_items": ("hot", "cold"),
            "online": True,
        },
    )
    return await affairs.write(Case, CASES, content, new_id(), retry_for_s=5)


async def call_for_help(affairs: AffairsClient, *, visit: str = "") -> str:
    """Somebody at the machine wants a person to come."""
    session = SessionSoFar(
        visit=visit,
        item=ITEM,
        applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident"),
        screen="materials",
    )
    wanted = HelpRequest(reason=HelpReason.ELDERLY, session=session)
    return (await HelpClient(affairs).call(wanted, new_id())).call


async def rate(affairs: AffairsClient, level: RatingLevel) -> None:
    """Somebody who was served at a machine says what they think."""
    request = RatingRequest(
        subject=RatedSubject(kind=RatedKind.VISIT, id=new_id()),
        level=level,
        tags=(RatingTag.SLOW,) if level.is_bad else (),
        words="等了一个上午" if level.is_bad else "",
        channel=RatingChannel.TERMINAL,
        rated_at_ms=SystemClock().wall_ms(),
        contact="13800000000" if level.is_bad else "",
    )
    await RatingsClient(affairs).give(request, new_id())


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


@asynccontextmanager
async def somebody(
    browser: Browser, hall: StaffHall, name: str, size: tuple[int, int] = DESK, **options: Any
) -> AsyncIterator[Page]:
    """A logged-in person's page; its console stays free of complaints."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        **options,
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    if name:
        await log_in(page, hall, name)
    yield page
    await context.close()
    # What is refused with 409 or 422 is meant to be, and browsers note it.
    assert not [one for one in complaints if "status of 4" not in one]


async def log_in(page: Page, hall: StaffHall, name: str, password: str = OWN) -> None:
    await page.goto(f"{hall.staff_url}/login")
    await page.fill("#name", name)
    await page.fill("#password", password)
    await page.click("button[type=submit]")
    await page.wait_for_url(lambda url: "/login" not in url)
