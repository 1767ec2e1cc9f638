"""Print requests of e-licences, mixed up in every way, against the node's own routes and database.

Citizens print what is theirs while others meddle: with another person's number, visit, machine or
file, a second time, after the end, all at once. The application runs in this process over ASGI with
its real database on the disk; only the page is a cheap one, made through the renderer's own port.
Whose file it is, the page says, and is compared with who held which licence: not with what the
permits say of themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import httpx

from affairs.api import create_app
from affairs.http.node import Node
from affairs.licences.document import Paper
from affairs.licences.printing import Prints
from affairs.licences.register import Register
from affairs.licences.tables import licences, permits
from affairs.once import Once
from affairs.sealing import Sealer
from affairs.server import with_peer
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.runtime.clock import SystemClock
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, WINDOWS
from hallkit.wire.cases_api import CaseApplicant, CaseContent
from hallkit.wire.licences_api import LICENCES, PERMITS, VISITS
from launcher.rehearsals.record import Plan, Record

HELP = "print requests of e-licences crossed, repeated and at once; no paper for anybody else"

PERSONS = 120
LICENCES_EACH = 2
TERMINALS = tuple(f"terminal-{number:02d}" for number in range(1, 21))
SAMPLE_MACHINE = "sample-01"
WINDOW = "window-31"
CITIZENS = 24
MEDDLERS = 24
LIVE = 16
"""Permits that meddlers know of: the newest."""
TRIES = 200
"""How often a citizen begins anew, where meddlers destroyed the file."""
OK = 200
KIND = "senior_card"

CROSSED = "no file and no yes for anything but the permit's own machine, visit, person and file"
ONCE = "each yes is said once"
THROUGH = "every rightful print gets through in the end"
ALONE = "nobody is refused whose print nobody meddled with"
COUNTED = "the licences count exactly the prints that were completed"
NO_CRASH = "every answer is documented"
GONE = "no file is left of a permit that is over"


@dataclass(frozen=True, slots=True)
class Combination:
    """What a print request names."""

    permit: str
    device: str
    visit: str
    number: str
    sha256: str
    licence: str


@dataclass(slots=True)
class Hall:
    """What is true, beside what the node says."""

    owner: dict[str, str]
    """Licence → number of its holder."""
    owner_of_page: dict[str, str]
    """Identifier on the page → number of its holder."""
    made: dict[str, Combination] = field(default_factory=dict)
    live: deque[Combination] = field(default_factory=lambda: deque(maxlen=LIVE))
    meddled: set[str] = field(default_factory=set)
    """Permits, visits and licences that somebody else has touched."""
    meddling: Counter[str] = field(default_factory=Counter)
    """What requests of meddlers that are on their way may touch."""
    yes: Counter[tuple[str, int]] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    busy: set[str] = field(default_factory=set)
    """Persons who print just now."""


class CheapPage:
    """A page that says whose it is. Implements `affairs.licences.document.Render`."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, paper: Paper) -> bytes:
        self._made += 1
        return f"{paper.identifier}\n{paper.terminal}\n{paper.copy}\n{self._made}".encode()


class Machines:
    """Every machine's way to the node; counts requests and looks at each answer."""

    def __init__(
        self, clients: Mapping[str, httpx.AsyncClient], hall: Hall, record: Record, limit: int
    ) -> None:
        self._clients = clients
        self._hall = hall
        self._record = record
        self._limit = limit
        self.requests = 0

    @property
    def is_enough(self) -> bool:
        return self.requests >= self._limit

    async def ask(
        self, device: str, path: str, body: Mapping[str, Any], *, key: str = ""
    ) -> httpx.Response:
        self.requests += 1
        answer = await self._clients[device].post(
            path, json=dict(body), headers={IDEMPOTENCY_HEADER: key or new_id()}
        )
        said = "yes" if answer.is_success else answer.json()["code"]
        name = path.rpartition("/")[2]
        self._record.counts[f"{name}: {said}"] += 1
        if answer.status_code >= 500:
            self._record.expect(NO_CRASH, False, path=path, status=answer.status_code)
        return answer

    async def find(self, device: str, visit: str, number: str) -> httpx.Response:
        answer = await self.ask(device, f"{LICENCES}/find", {"visit": visit, "number": number})
        if answer.is_success:
            for one in answer.json()["licences"]:
                self._expect(
                    CROSSED, self._hall.owner[one["licence"]] == number, listed=one["kind"]
                )
        return answer

    async def permit(
        self, device: str, visit: str, number: str, licence: str, key: str = ""
    ) -> Combination | str:
        """The combination that a file was made for, or the code of the refusal."""
        body = {"visit": visit, "number": number, "licence": licence}
        answer = await self.ask(device, PERMITS, body, key=key)
        said = answer.json()
        if not answer.is_success:
            return str(said["code"])
        self._expect(CROSSED, self._hall.owner[licence] == number, made=said["permit"])
        made = Combination(said["permit"], device, visit, number, said["sha256"], licence)
        self._hall.made.setdefault(made.permit, made)
        self._hall.live.append(made)
        return made

    async def file(self, one: Combination) -> httpx.Response:
        body = {"permit": one.permit, "visit": one.visit, "number": one.number}
        answer = await self.ask(one.device, f"{PERMITS}/file", body)
        if answer.is_success:
            identifier, terminal, *_ = answer.content.decode().splitlines()
            fits = (
                self._hall.owner_of_page[identifier] == one.number
                and terminal == one.device
                and self._is_its_own(one, hashlib.sha256(answer.content).hexdigest())
            )
            self._expect(CROSSED, fits, file=one.permit)
        return answer

    async def redeem(self, one: Combination, key: str = "") -> httpx.Response:
        body = {
            "permit": one.permit,
            "visit": one.visit,
            "number": one.number,
            "sha256": one.sha256,
        }
        answer = await self.ask(one.device, f"{PERMITS}/redeem", body, key=key)
        if answer.is_success:
            said = answer.json()
            fits = (
                self._is_its_own(one, one.sha256)
                and self._hall.owner[said["licence"]] == one.number
            )
            self._expect(CROSSED, fits, yes=one.permit)
            if not said["again"]:
                self._hall.yes[one.permit, said["attempt"]] += 1
                once = self._hall.yes[one.permit, said["attempt"]] == 1
                self._record.expect(ONCE, once, permit=one.permit)
        return answer

    async def tell(self, one: Combination, attempt: int, outcome: str) -> httpx.Response:
        body = {"permit": one.permit, "visit": one.visit, "attempt": attempt, "outcome": outcome}
        answer = await self.ask(one.device, f"{PERMITS}/outcome", body)
        if answer.is_success and outcome == "completed":
            self._hall.completed[one.permit] = 1
        return answer

    async def end(self, device: str, visit: str) -> None:
        await self.ask(device, f"{VISITS}/end", {"visit": visit})

    async def settle(self, number: str, *, printed: bool) -> None:
        body = {"number": number, "printed": printed}
        await self.ask(WINDOW, f"{WINDOWS}/31/prints/settle", body)

    def _is_its_own(self, one: Combination, sha256: str) -> bool:
        made = self._hall.made.get(one.permit)
        asked = (one.device, one.visit, one.number, sha256)
        return made is not None and asked == (made.device, made.visit, made.number, made.sha256)

    def _expect(self, what: str, holds: bool, **evidence: Any) -> None:
        self._record.expect(what, holds, **evidence)
        if not holds:
            self._record.counts["crossed"] += 1


async def run(plan: Plan, record: Record) -> None:
    """Until so many requests have been answered."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(plan.root / "affairs.sqlite"))
        sealer, clock = Sealer(plan.random("key").randbytes(32)), SystemClock()
        register = Register(sealer, clock)
        prints = Prints(
            store,
            register=register,
            once=Once(sealer, clock),
            sealer=sealer,
            clock=clock,
            render=CheapPage(),
        )
        stack.callback(prints.close)
        hall = await _issued(store, register, plan.random("persons"))
        clients = {
            name: await stack.enter_async_context(client)
            for name, client in _clients(prints, clock).items()
        }
        machines = Machines(clients, hall, record, plan.requests)
        record.counts["crossed"] = 0
        for what in (CROSSED, ONCE, THROUGH, ALONE, NO_CRASH):
            record.expect(what, True)
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(CITIZENS):
                citizen = _citizen(plan.random(f"citizen {number}"), machines, hall, record)
                tasks.create_task(citizen)
            for number in range(MEDDLERS):
                tasks.create_task(_meddler(plan.random(f"meddler {number}"), machines, hall))
        seconds = time.monotonic() - began
        record.counts["requests"] = machines.requests
        record.figures["requests a second"] = round(machines.requests / seconds)
        await _reckon(store, hall, record)


async def _issued(store: Store, register: Register, random: Random) -> Hall:
    numbers = [f"5106821940{random.randrange(10**8):08d}" for _ in range(PERSONS)]

    def issue(connection: Any) -> Hall:
        hall = Hall({}, {})
        for number in numbers:
            applicant = CaseApplicant(name=f"示例{number[-4:]}", number=number, read="card")
            said = CaseContent(item="senior-card", applicant=applicant)
            for _ in range(LICENCES_EACH):
                licence = register.issue(connection, KIND, said, new_id())
                hall.owner[licence or ""] = number
        for row in connection.execute(licences.select()):
            hall.owner_of_page[row.identifier] = hall.owner[row.id]
        return hall

    return await store.transaction(issue)


def _clients(prints: Prints, clock: SystemClock) -> dict[str, httpx.AsyncClient]:
    """Of every machine, by the name in its certificate. The rest of the node is not there."""
    node = SimpleNamespace(
        prints=prints,
        devices=frozenset({*TERMINALS, SAMPLE_MACHINE}),
        terminals=frozenset(TERMINALS),
        callers={WINDOW: 31},
        clock=clock,
    )
    app = create_app(cast("Node", node))
    return {
        name: httpx.AsyncClient(
            transport=httpx.ASGITransport(with_peer(app, name)), base_url="https://affairs"
        )
        for name in (*TERMINALS, SAMPLE_MACHINE, WINDOW)
    }


# ── Citizens ─────────────────────────────────────────────────────────────────────────────────────


async def _citizen(random: Random, machines: Machines, hall: Hall, record: Record) -> None:
    while not machines.is_enough:
        number = random.choice(sorted(set(hall.owner.values())))
        if number in hall.busy:
            await asyncio.sleep(0)
            continue
        with _busy(hall, number):
            licence = random.choice([one for one, of in hall.owner.items() if of == number])
            for _ in range(TRIES):
                if await _print(random, machines, hall, record, licence):
                    record.counts["rightful prints"] += 1
                    break
            else:
                record.expect(THROUGH, False, licence=licence)


@contextmanager
def _busy(hall: Hall, number: str) -> Iterator[None]:
    hall.busy.add(number)
    try:
        yield
    finally:
        hall.busy.discard(number)


async def _print(  # noqa: C901, PLR0911  # a visit, step by step
    random: Random, machines: Machines, hall: Hall, record: Record, licence: str
) -> bool:
    """One visit from the card to the paper; False if it came to nothing."""
    device, visit, number = random.choice(TERMINALS), new_id(), hall.owner[licence]
    hall.meddled.discard(licence)

    def alone(said: str, *touched: str) -> bool:
        """It came to nothing; if nobody meddled, that must not be."""
        mine = {licence, visit, *touched}
        meddled = bool(hall.meddled & mine) or any(hall.meddling[one] for one in mine)
        record.expect(ALONE, meddled, said=said, licence=licence)
        return False

    await machines.find(device, visit, number)
    made = await machines.permit(device, visit, number, licence, key := new_id())
    if made == "permit_unsettled":
        await machines.settle(number, printed=random.random() < 0.5)
        return False
    if isinstance(made, str):
        return alone(made)
    if random.random() < 0.1:
        await machines.permit(device, visit, number, licence, key)
    if (await machines.file(made)).status_code != OK:
        return alone("file", made.permit)
    attempt = await _yes(random, machines, made, 1)
    if attempt is None:
        return alone("redeem", made.permit)
    if random.random() < 0.1:
        await machines.tell(made, attempt, "not_started")
        attempt = await _yes(random, machines, made, attempt + 1)
        if attempt is None:
            return alone("redeem again", made.permit)
    if random.random() < 0.05:
        await machines.tell(made, attempt, "unknown")
        await machines.settle(number, printed=False)
        return False
    told = await machines.tell(made, attempt, "completed")
    if random.random() < 0.7:
        await machines.end(device, visit)
    return told.is_success or alone("outcome", made.permit)


async def _yes(random: Random, machines: Machines, made: Combination, number: int) -> int | None:
    """Which attempt the node says yes to; now and then its answer is lost, and asked for again.

    A machine whose lost yes is not said again has printed nothing, and says so.
    """
    key = new_id()
    answer = await machines.redeem(made, key)
    if random.random() < 0.1:
        answer = await machines.redeem(made, key)
        if not answer.is_success:
            await machines.tell(made, number, "not_started")
    return int(answer.json()["attempt"]) if answer.is_success else None


# ── Meddlers ─────────────────────────────────────────────────────────────────────────────────────


async def _meddler(random: Random, machines: Machines, hall: Hall) -> None:
    while not machines.is_enough:
        await asyncio.sleep(random.random() * 0.02)
        if not hall.live:
            continue
        target = random.choice(hall.live)
        crossed = _crossed(random, target, hall)
        touches = {target.permit, target.licence, target.visit, crossed.licence, crossed.visit}
        with _meddling(hall, touches):
            await _meddle(random, machines, crossed)


@contextmanager
def _meddling(hall: Hall, touches: set[str]) -> Iterator[None]:
    hall.meddled |= touches
    hall.meddling.update(touches)
    try:
        yield
    finally:
        hall.meddled |= touches  # whoever began meanwhile has forgotten
        hall.meddling.subtract(touches)


async def _meddle(random: Random, machines: Machines, crossed: Combination) -> None:
    match random.randrange(8):
        case 0:
            await machines.find(crossed.device, crossed.visit, crossed.number)
        case 1:
            await machines.permit(crossed.device, crossed.visit, crossed.number, crossed.licence)
        case 2 | 3:
            await machines.file(crossed)
        case 4 | 5:
            await _redeem_and_tell(random, machines, crossed)
        case 6:
            await machines.tell(crossed, random.randrange(1, 3), "not_started")
        case _:
            await machines.end(crossed.device, crossed.visit)


async def _redeem_and_tell(random: Random, machines: Machines, one: Combination) -> None:
    """Several at once, as a program might that has lost its head."""
    said = await asyncio.gather(*(machines.redeem(one) for _ in range(random.randrange(1, 4))))
    for answer in said:
        if answer.is_success:
            outcome = random.choice(["completed", "not_started", "unknown"])
            await machines.tell(one, answer.json()["attempt"], outcome)


def _crossed(random: Random, one: Combination, hall: Hall) -> Combination:
    """The same with something of somebody else; now and then all the same, a second time."""
    other = random.choice(hall.live)
    values = {
        "permit": one.permit,
        "device": random.choice([*TERMINALS, SAMPLE_MACHINE]),
        "visit": random.choice([other.visit, new_id()]),
        "number": random.choice([other.number, random.choice(list(hall.owner.values()))]),
        "sha256": random.choice([other.sha256, random.randbytes(32).hex()]),
        "licence": other.licence,
    }
    kept = random.sample(sorted(values), random.randrange(2, len(values) + 1))
    changed = {name: value for name, value in values.items() if name not in kept}
    return Combination(
        permit=one.permit,
        device=changed.get("device", one.device),
        visit=changed.get("visit", one.visit),
        number=changed.get("number", one.number),
        sha256=changed.get("sha256", one.sha256),
        licence=changed.get("licence", one.licence),
    )


async def _reckon(store: Store, hall: Hall, record: Record) -> None:
    """Compare what the database says in the end with what was seen."""

    def read(connection: Any) -> tuple[int, int, int]:
        counted = sum(row.prints for row in connection.execute(licences.select()))
        rows = connection.execute(permits.select()).all()
        left = sum(row.holder_mac is None and bool(row.file) for row in rows)
        return counted, left, sum(row.state == "completed" for row in rows)

    counted, left, settled = await store.transaction(read)
    record.expect(COUNTED, counted == settled >= len(hall.completed), counted=counted)
    record.expect(GONE, left == 0, left=left)
    record.counts["permits"] = len(hall.made)
    record.counts["yeses"] = sum(hall.yes.values())
    record.counts["prints"] = counted
