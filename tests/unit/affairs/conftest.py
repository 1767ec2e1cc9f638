"""A node of the business hall without network: real database, real keys, a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from affairs.cases.office import CaseFinder, Office
from affairs.help.bell import Bell
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.help.rules import HelpRules
from affairs.http.node import Node
from affairs.licences.printing import Prints
from affairs.licences.register import Register
from affairs.once import Once
from affairs.publication import Publication
from affairs.queue.blocks import Blocks
from affairs.queue.booking import Booking
from affairs.queue.calling import Windows
from affairs.queue.issuing import Desk, Queue
from affairs.queue.order import Order
from affairs.queue.services import load_services
from affairs.queue.waits import Waits
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import Ratings
from affairs.ratings.rules import RatingRules
from affairs.ratings.summary import Satisfaction
from affairs.sealing import Sealer
from affairs.store import Store
from affairs.upstreams.port import HealthState
from hallkit.lexicon.words import words
from hallkit.wire.affairs_api import CatalogueManifest
from tests.fakes.licences import FakeLicences
from tests.fakes.matters import FakeMatters
from tests.fakes.render import FakeRender
from tests.fakes.upstreams import FakeUpstreams
from tests.unit.affairs.hall import (
    CALLERS,
    DEVICE,
    ITEM,
    SAMPLE_DEVICE,
    WINDOWS,
    Cases,
    SettableClock,
    client,
)
from tests.unit.affairs.staff_place import catalogue, clerk, place

__all__ = ["catalogue", "clerk", "place"]
"""Fixtures of the staff pages."""


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(bytes(range(32)))


@pytest.fixture
def items() -> dict[str, str]:
    """Item code → service."""
    return {
        ITEM: "market",
        "id-card": "public_security",
        "odd": "closed",
        "senior-card": "civil",
        "food": "market",
    }


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "affairs.sqlite") as opened:
        yield opened


@pytest.fixture
def desk(items: dict[str, str], sealer: Sealer, signing_key: Ed25519PrivateKey) -> Desk:
    return Desk(
        services=load_services(),
        service_of_item=items.get,
        sealer=sealer,
        signing_key=signing_key,
    )


@pytest.fixture
def once(sealer: Sealer, clock: SettableClock) -> Once:
    return Once(sealer, clock)


@pytest.fixture
def waits(desk: Desk, clock: SettableClock) -> Waits:
    return Waits(services=desk.services, window_services=lambda: WINDOWS, clock=clock)


@pytest.fixture
def queue(  # noqa: PLR0917  # pytest gives them by name
    store: Store, desk: Desk, waits: Waits, once: Once, sealer: Sealer, clock: SettableClock
) -> Queue:
    return Queue(
        store,
        desk=desk,
        waits=waits,
        once=once,
        order=Order(),
        clock=clock,
        case_of=CaseFinder(sealer),
    )


@pytest.fixture
def windows(store: Store, desk: Desk, once: Once, clock: SettableClock) -> Windows:
    return Windows(
        store,
        desk=desk,
        window_services=lambda: WINDOWS,
        once=once,
        order=Order(),
        clock=clock,
    )


@pytest.fixture
def booking(store: Store, desk: Desk, once: Once, sealer: Sealer, clock: SettableClock) -> Booking:
    return Booking(store, desk=desk, once=once, order=Order(), sealer=sealer, clock=clock)


@pytest.fixture
def submissions_key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


@pytest.fixture
def blocks(
    store: Store,
    desk: Desk,
    once: Once,
    submissions_key: X25519PrivateKey,
    clock: SettableClock,
) -> Blocks:
    return Blocks(
        store,
        desk=desk,
        once=once,
        order=Order(),
        submissions_key=submissions_key,
        clock=clock,
    )


@pytest.fixture
def upstreams(clock: SettableClock) -> FakeUpstreams:
    return FakeUpstreams(
        clock,
        civil_affairs={"has_card": False, "card_made": True},
        population={"living_here": True},
    )


@pytest.fixture
def licences() -> FakeLicences:
    return FakeLicences()


@pytest.fixture
def office(  # noqa: PLR0917  # pytest gives them by name
    store: Store,
    sealer: Sealer,
    once: Once,
    clock: SettableClock,
    upstreams: FakeUpstreams,
    signing_key: Ed25519PrivateKey,
    desk: Desk,
    licences: FakeLicences,
) -> Office:
    return Office.of(
        store,
        sealer=sealer,
        once=once,
        clock=clock,
        matters=FakeMatters(),
        upstreams=upstreams,
        signing_key=signing_key,
        desk=desk,
        order=Order(),
        words=words("zh_CN"),
        systems_down=lambda: [
            name for name, one in upstreams.health().items() if one.state is HealthState.DOWN
        ],
        licences=licences,
    )


@pytest.fixture
def call_backs(store: Store, once: Once, sealer: Sealer, clock: SettableClock) -> CallBacks:
    return CallBacks(store, once=once, rules=RatingRules(), sealer=sealer, clock=clock)


@pytest.fixture
def cases() -> Cases:
    return Cases()


@pytest.fixture
def ratings(  # noqa: PLR0917  # pytest gives them by name
    store: Store,
    call_backs: CallBacks,
    cases: Cases,
    once: Once,
    sealer: Sealer,
    submissions_key: X25519PrivateKey,
    clock: SettableClock,
) -> Ratings:
    return Ratings(
        store,
        call_backs=call_backs,
        cases=cases,
        once=once,
        sealer=sealer,
        submissions_key=submissions_key,
        clock=clock,
    )


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def help_calls(
    store: Store, once: Once, sealer: Sealer, bell: Bell, clock: SettableClock
) -> HelpCalls:
    return HelpCalls(
        store,
        hall_map=lambda: None,
        once=once,
        rules=HelpRules(),
        sealer=sealer,
        bell=bell,
        clock=clock,
    )


@pytest.fixture
def help_desk(
    store: Store, once: Once, sealer: Sealer, bell: Bell, clock: SettableClock
) -> HelpDesk:
    return HelpDesk(store, once=once, rules=HelpRules(), sealer=sealer, bell=bell, clock=clock)


@pytest.fixture
def register(sealer: Sealer, clock: SettableClock) -> Register:
    return Register(sealer, clock)


@pytest.fixture
def render() -> FakeRender:
    return FakeRender()


@pytest.fixture
def prints(  # noqa: PLR0917  # pytest gives them by name
    store: Store,
    register: Register,
    once: Once,
    sealer: Sealer,
    clock: SettableClock,
    render: FakeRender,
) -> Iterator[Prints]:
    made = Prints(
        store,
        register=register,
        once=once,
        sealer=sealer,
        clock=clock,
        render=render,
        verify_at="https://verify.example",
    )
    yield made
    made.close()


@dataclass(frozen=True)
class Offered:
    """A catalogue that never changes."""

    publication: Publication


@pytest.fixture
def node(  # noqa: PLR0917  # pytest gives them by name
    queue: Queue,
    windows: Windows,
    booking: Booking,
    blocks: Blocks,
    office: Office,
    ratings: Ratings,
    call_backs: CallBacks,
    help_calls: HelpCalls,
    help_desk: HelpDesk,
    store: Store,
    prints: Prints,
    clock: SettableClock,
    tmp_path: Path,
) -> Node:
    snapshot = tmp_path / "catalogue.sqlite"
    snapshot.write_bytes(b"catalogue")
    manifest = CatalogueManifest(version="v1", size=9, sha256="5" * 64, signature="")
    return Node(
        queue=queue,
        windows=windows,
        booking=booking,
        blocks=blocks,
        cases=office,
        ratings=ratings,
        satisfaction=Satisfaction(store, clock),
        call_backs=call_backs,
        help=help_calls,
        help_desk=help_desk,
        prints=prints,
        callers=CALLERS,
        catalogue=Offered(Publication(snapshot, manifest)),
        devices=frozenset({DEVICE, SAMPLE_DEVICE}),
        terminals=frozenset({DEVICE}),
        clock=clock,
    )


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """The API as the listed terminal sees it."""
    async with client(node, DEVICE) as opened:
        yield opened
