"""The hub wants the newest catalogue on every machine, and says so to each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hallkit.errors import LinkDown
from hallkit.model.ids import DeviceId, SiteId
from hallkit.wire.mqtt import PAYLOAD_LIMIT, CatalogueNotice, Desired
from ops.desired import DesiredState
from ops.store import Store

SITE = SiteId("demo")
MACHINES = (DeviceId("terminal-01"), DeviceId("terminal-02"))


def notice(sequence: int) -> CatalogueNotice:
    return CatalogueNotice(
        version=f"v{sequence}", sequence=sequence, sha256=f"{sequence:064x}", ts=sequence
    )


class Broker:
    """Keeps what is retained."""

    def __init__(self) -> None:
        self.retained: dict[str, Desired] = {}
        self.down = False

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert retain
        if self.down:
            raise LinkDown("down")
        self.retained[topic] = Desired.from_bytes(payload, limit=PAYLOAD_LIMIT)

    def sequence(self, machine: str) -> int:
        catalogue = self.retained[f"hallkit/1/demo/{machine}/down/desired"].catalogue
        assert catalogue is not None
        return catalogue.sequence


@pytest.fixture
async def kept_in(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "ops.sqlite") as opened:
        yield opened


def state(kept_in: Store, broker: Broker) -> DesiredState:
    return DesiredState(
        kept_in,
        site=SITE,
        devices=MACHINES,
        publish=broker.publish,
        on_change=lambda: None,
    )


async def test_every_machine_is_told(kept_in: Store) -> None:
    broker = Broker()
    desired = state(kept_in, broker)
    await desired.tell()
    assert broker.retained == {}  # nothing is known yet
    await desired.on_notice(notice(7).to_bytes())
    assert [broker.sequence(machine) for machine in MACHINES] == [7, 7]


async def test_an_older_word_changes_nothing(kept_in: Store) -> None:
    broker = Broker()
    desired = state(kept_in, broker)
    await desired.on_notice(notice(7).to_bytes())
    await desired.on_notice(notice(6).to_bytes())
    assert broker.sequence("terminal-01") == 7


async def test_each_change_has_a_higher_version(kept_in: Store) -> None:
    broker = Broker()
    desired = state(kept_in, broker)
    versions = []
    for sequence in (7, 7, 8):
        await desired.on_notice(notice(sequence).to_bytes())
        versions.append(broker.retained["hallkit/1/demo/terminal-01/down/desired"].version)
    assert versions == [1, 1, 2]


async def test_what_could_not_be_told_is_told_after_a_restart(kept_in: Store) -> None:
    broker = Broker()
    broker.down = True
    await state(kept_in, broker).on_notice(notice(7).to_bytes())
    broker.down = False
    await state(kept_in, broker).tell()
    assert broker.sequence("terminal-02") == 7


async def test_a_word_that_makes_no_sense_is_counted(kept_in: Store) -> None:
    broker = Broker()
    desired = state(kept_in, broker)
    await desired.on_notice(b"{}")
    assert (desired.refused, broker.retained) == (1, {})
