"""The staff pages of a hall without network: its people, its citizens, and their browsers."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from affairs.audit import AuditLog, latest
from affairs.cases.office import Office
from affairs.help.desk import HelpDesk
from affairs.publication import Publication
from affairs.queue.calling import Windows
from affairs.queue.issuing import Desk, Queue
from affairs.queue.waits import Waits
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.summary import Satisfaction
from affairs.sealing import Sealer
from affairs.staff.accounts import Accounts
from affairs.staff.composition import Staff
from affairs.staff.passwords import Cost, Passwords
from affairs.staff.rights import Role
from affairs.staff.settings import StaffSection
from affairs.store import Store
from hallkit.catalogue import snapshot
from hallkit.model.content import Content
from hallkit.model.form import FormDefinition
from hallkit.model.ids import new_id
from hallkit.model.item import Item, Material, Option, Question
from hallkit.wire.affairs_api import Applicant, CatalogueManifest, TicketRequest
from tests.fakes.matters import FakeMatters
from tests.unit.affairs.hall import DEVICE, ITEM, NAME, NUMBER, WINDOWS, SettableClock

HOST = "http://staff"
FIRST = "only-for-the-first-day"
OWN = "grey heron at the weir"
CHEAP = Passwords(Cost(memory_kib=64, iterations=1))
ANSWERED = Item(
    catalog_code=ITEM,
    task_name="食品经营许可",
    plain_name="开小吃店",
    dept_name="市场监管局",
    theme="开店",
    service="market",
    transact_addr="2楼",
    materials=(Material(key="card", material_name="居民身份证", plain_name="身份证"),),
    base_materials=("card",),
    steps=("窗口受理",),
    first_question="what",
    questions=(
        Question(
            key="what",
            text="您要卖什么",
            why="材料不同",
            options=(Option(key="meals", label="做餐饮"), Option(key="goods", label="卖食品")),
        ),
    ),
)


@dataclass(frozen=True)
class Catalogue:
    """One item, published."""

    publication: Publication

    def plain_name(self, code: str) -> str | None:
        return ANSWERED.plain_name if code == ITEM else None

    def window_services(self) -> Mapping[int, frozenset[str]]:
        return WINDOWS

    def hall_map(self) -> None:
        return None

    def item(self, code: str) -> Item | None:
        return FakeMatters().item(code)

    def form(self, code: str) -> FormDefinition | None:
        return FakeMatters().form(code)


class Visitor:
    """Somebody's browser, without a script."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.page = ""

    async def orders(self, path: str, do: str, *, key: str = "", **more: str) -> dict[str, Any]:
        """Press a button, as the page's script does it."""
        fields = {"do": do, "key": key or new_id(), **more}
        told: dict[str, Any] = (await self.post(path, script=True, **fields)).json()
        return told

    async def log_in(self, name: str, password: str = OWN) -> httpx.Response:
        return await self.http.post("/login", data={"name": name, "password": password})

    async def get(self, path: str, **how: Any) -> httpx.Response:
        answer = await self.http.get(path, **how)
        self.page = answer.text
        return answer

    @property
    def form(self) -> str:
        """The form token of the page that lies there."""
        found = re.search(r'name="form" value="([0-9a-f]{64})"', self.page)
        assert found is not None, self.page
        return found[1]

    async def post(self, path: str, *, script: bool = False, **fields: str) -> httpx.Response:
        headers = {"Accept": "application/json"} if script else {}
        return await self.http.post(path, data={"form": self.form, **fields}, headers=headers)

    async def order(self, window: int, do: str, *, key: str = "", **more: str) -> dict[str, Any]:
        return await self.orders(f"/windows/{window}/orders", do, key=key, **more)

    async def stand(self, window: int, **more: str) -> None:
        await self.get("/windows")
        assert (await self.post(f"/windows/{window}/stand", **more)).status_code == 303
        await self.get(f"/windows/{window}")


class Place:
    """The pages of a hall, its people, and its citizens."""

    def __init__(
        self, staff: Staff, store: Store, accounts: Accounts, queue: Queue, clock: SettableClock
    ) -> None:
        self.staff = staff
        self.store = store
        self.accounts = accounts
        self.queue = queue
        self.clock = clock
        self._open = AsyncExitStack()

    async def add(self, name: str, *roles: Role, first: bool = False, **more: Any) -> None:
        told = {"display_name": f"<{name}>", "windows": None, "by": "test"} | more
        added = await self.accounts.add(name, roles=roles, password=FIRST, **told)
        if not first:
            kept = await CHEAP.made(OWN)
            await self.store.transaction(
                lambda one: self.accounts.keep_password(one, added.id, kept, must_change=False)
            )

    async def visitor(self, name: str = "", *, address: str = "10.0.0.9") -> Visitor:
        transport = httpx.ASGITransport(self.staff.app, client=(address, 1))
        http = httpx.AsyncClient(
            transport=transport,
            base_url=HOST,
            headers={"Accept": "text/html", "Origin": HOST},
        )
        found = Visitor(await self._open.enter_async_context(http))
        if name:
            assert (await found.log_in(name)).status_code == 303
        return found

    async def take(self, *, with_card: bool = False) -> str:
        self.clock.now += dt.timedelta(seconds=1)
        request = TicketRequest(
            item=ITEM,
            answers={"what": "meals"},
            materials=("card",),
            applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident")
            if with_card
            else None,
        )
        return (await self.queue.issue(request, device=DEVICE, key=new_id())).ticket.id

    async def noted(self, kind: str = "") -> list[tuple[str, str, dict[str, Any]]]:
        rows = await self.store.transaction(lambda one: latest(one, limit=1000))
        return [
            (row.kind, row.subject, json.loads(row.detail))
            for row in reversed(rows)
            if kind in {"", row.kind}
        ]

    async def close(self) -> None:
        await self._open.aclose()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    path = tmp_path / "catalogue.sqlite"
    snapshot.build(Content(items=(ANSWERED,)), path, version="v1")
    manifest = CatalogueManifest(version="v1", size=1, sha256="5" * 64, signature="")
    return Catalogue(Publication(path, manifest))


@pytest.fixture
async def place(  # noqa: PLR0917  # pytest gives them by name
    store: Store,
    queue: Queue,
    windows: Windows,
    office: Office,
    waits: Waits,
    desk: Desk,
    catalogue: Catalogue,
    help_desk: HelpDesk,
    call_backs: CallBacks,
    sealer: Sealer,
    clock: SettableClock,
) -> AsyncIterator[Place]:
    staff = Staff(
        StaffSection(tls=False),
        store=store,
        windows=windows,
        office=office,
        waits=waits,
        services=desk.services,
        catalogue=catalogue,
        help_desk=help_desk,
        call_backs=call_backs,
        satisfaction=Satisfaction(store, clock),
        sealer=sealer,
        site_name="测试大厅",
        clock=clock,
        passwords=CHEAP,
    )
    accounts = Accounts(store, passwords=CHEAP, log=AuditLog(clock), clock=clock)
    opened = Place(staff, store, accounts, queue, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def clerk(place: Place) -> Visitor:
    """Somebody who stands at window 12."""
    await place.add("xiaoman", Role.WINDOW)
    found = await place.visitor("xiaoman")
    await found.stand(12)
    return found
