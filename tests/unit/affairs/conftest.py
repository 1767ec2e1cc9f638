"""A node of the business hall without network: real database, real keys, a clock of our own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.api import Node
from affairs.publication import Publication
from affairs.queue import Queue, load_services
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.wire.affairs_api import CatalogueManifest
from tests.unit.affairs.hall import DEVICE, ITEM, SettableClock, client


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
    return {ITEM: "market", "id-card": "public_security", "odd": "closed"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "affairs.sqlite") as opened:
        yield opened


@pytest.fixture
def queue(
    store: Store,
    items: dict[str, str],
    sealer: Sealer,
    signing_key: Ed25519PrivateKey,
    clock: SettableClock,
) -> Queue:
    return Queue(
        store,
        services=load_services(),
        service_of_item=items.get,
        sealer=sealer,
        signing_key=signing_key,
        clock=clock,
    )


@dataclass(frozen=True)
class Offered:
    """A catalogue that never changes."""

    publication: Publication


@pytest.fixture
def node(queue: Queue, clock: SettableClock, tmp_path: Path) -> Node:
    snapshot = tmp_path / "catalogue.sqlite"
    snapshot.write_bytes(b"catalogue")
    manifest = CatalogueManifest(version="v1", size=9, sha256="5" * 64, signature="")
    return Node(
        queue=queue,
        catalogue=Offered(Publication(snapshot, manifest)),
        devices=frozenset({DEVICE}),
        clock=clock,
    )


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """The API as the listed terminal sees it."""
    async with client(node, DEVICE) as opened:
        yield opened
