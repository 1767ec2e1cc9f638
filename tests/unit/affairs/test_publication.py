"""A catalogue gets a new version when its content changed, and only then."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.hall_map import MAP, load_hall_map
from affairs.publication import KEPT, Publication, publish
from hallkit.catalogue import delta
from hallkit.catalogue.snapshot import Catalogue, verify_manifest
from hallkit.guide.routes import Routes
from hallkit.model.content import Content
from hallkit.model.hall_map import STEPPED
from hallkit.model.item import Item
from tests.unit.affairs.hall import SettableClock


def item(name: str) -> Item:
    return Item(
        catalog_code="510682-001",
        task_name=name,
        plain_name=name,
        dept_name="公安局",
        theme="户籍办理",
        service="public_security",
        transact_addr="1楼D区",
        materials=(),
        base_materials=(),
        steps=(),
    )


def content(*names: str) -> Content:
    items = (item(name) for name in names)
    return Content(
        items=tuple(
            one.model_copy(update={"catalog_code": f"510682-{number:03}"})
            for number, one in enumerate(items, start=1)
        )
    )


def holds(publication: Publication, key: Ed25519PrivateKey) -> bool:
    told, manifest = publication.path.read_bytes(), publication.manifest
    verify_manifest(manifest, [key.public_key()])
    return (manifest.size, manifest.sha256) == (
        len(told),
        hashlib.sha256(told).hexdigest(),
    )


def test_the_same_content_keeps_its_version(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path, signing_key, clock)
    clock.now += dt.timedelta(days=1)
    again = publish(content("身份证补领"), tmp_path, signing_key, clock)
    assert again == first
    assert holds(again, signing_key)
    with Catalogue.open(first.path, first.manifest, [signing_key.public_key()]) as catalogue:
        assert catalogue.items() == [item("身份证补领")]


def test_other_content_gets_a_later_version(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path, signing_key, clock)
    clock.now += dt.timedelta(seconds=1)
    second = publish(content("身份证换领"), tmp_path, signing_key, clock)
    assert second.manifest.version > first.manifest.version
    assert holds(second, signing_key)


def test_a_damaged_file_is_made_again(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path, signing_key, clock)
    first.path.write_bytes(b"damaged")
    assert holds(publish(content("身份证补领"), tmp_path, signing_key, clock), signing_key)


def test_a_new_key_signs_the_standing_file(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path, signing_key, clock)
    other = Ed25519PrivateKey.generate()
    second = publish(content("身份证补领"), tmp_path, other, clock)
    assert second.manifest.sha256 == first.manifest.sha256
    assert holds(second, other)


def test_machines_of_the_last_versions_get_a_delta(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    names = [f"第{number}版" for number in range(KEPT + 3)]
    kept: list[tuple[str, bytes]] = []
    for name in names:
        clock.now += dt.timedelta(seconds=1)
        now = publish(content("身份证补领", name), tmp_path, signing_key, clock)
        verify_manifest(now.manifest, [signing_key.public_key()])
        kept.append((now.manifest.sha256, now.path.read_bytes()))
    assert len(now.manifest.deltas) == KEPT
    for sha256, old in kept[-KEPT - 1 : -1]:
        path = now.delta(sha256)
        assert path is not None
        packed = path.read_bytes()
        assert delta.apply(old, packed, size=now.manifest.size) == now.path.read_bytes()
        assert len(packed) < now.manifest.size / 4
    assert now.delta(kept[0][0]) is None
    assert len(list(tmp_path.glob("*.sqlite"))) == KEPT + 1
    assert len(list(tmp_path.glob("*.delta"))) == KEPT


def test_a_moved_window_reaches_a_machine_by_delta_and_the_way_leads_to_it(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    source = Path(shutil.copytree(MAP, tmp_path / "hall"))
    before = replace(content("身份证补领"), hall_map=load_hall_map(source))
    first = publish(before, tmp_path / "out", signing_key, clock)
    windows = source / "windows.toml"
    text = windows.read_text(encoding="utf-8")
    text = text.replace('20 = { row = "A1", slot = 9', '20 = { row = "Z1", slot = 5')
    text = text.replace("box = [44, 12.8, 12, 6.4]", "box = [44, 12.8, 14, 6.4]")
    windows.write_text(text, encoding="utf-8")
    clock.now += dt.timedelta(seconds=1)
    after = replace(before, hall_map=load_hall_map(source))
    second = publish(after, tmp_path / "out", signing_key, clock)
    packed = second.delta(first.manifest.sha256)
    assert packed is not None
    assert packed.stat().st_size < 10_000
    machine = tmp_path / "machine.sqlite"
    old = first.path.read_bytes()
    machine.write_bytes(delta.apply(old, packed.read_bytes(), size=second.manifest.size))
    ways = []
    for path, manifest in ((first.path, first.manifest), (machine, second.manifest)):
        with Catalogue.open(path, manifest, [signing_key.public_key()]) as catalogue:
            hall = catalogue.hall_map()
        assert hall is not None
        start = hall.machine("terminal-01").id
        way = Routes(hall).route(start, hall.window(20).id, step_free=True)
        assert way is not None
        assert not any(leg.kind in STEPPED for leg in way.legs)
        ways.append(way)
    assert [way.changes_level for way in ways] == [True, False]


def test_going_back_is_a_new_publication_that_machines_take(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    former = publish(content("身份证补领"), tmp_path, signing_key, clock)
    clock.now += dt.timedelta(seconds=1)
    mistaken = publish(content("身份证换领"), tmp_path, signing_key, clock)
    clock.now += dt.timedelta(seconds=1)
    back = publish(content("身份证补领"), tmp_path, signing_key, clock)
    sequences = [one.manifest.sequence for one in (former, mistaken, back)]
    assert sequences == sorted(set(sequences))
    assert back.delta(mistaken.manifest.sha256) is not None
    with Catalogue.open(back.path, back.manifest, [signing_key.public_key()]) as catalogue:
        assert catalogue.items() == [item("身份证补领")]


def test_the_sequence_grows_though_the_clock_was_set_back(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path, signing_key, clock)
    clock.now -= dt.timedelta(days=400)
    second = publish(content("身份证换领"), tmp_path, signing_key, clock)
    assert second.manifest.sequence > first.manifest.sequence


def test_a_new_node_does_not_start_below_what_machines_have(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish(content("身份证补领"), tmp_path / "old", signing_key, clock)
    clock.now += dt.timedelta(days=1)
    second = publish(content("身份证换领"), tmp_path / "new", signing_key, clock)
    assert second.manifest.sequence > first.manifest.sequence
