"""A catalogue gets a new version when its content changed, and only then."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.publication import Publication, publish
from hallkit.catalogue.snapshot import Catalogue
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


def holds(publication: Publication, key: Ed25519PrivateKey) -> bool:
    content, manifest = publication.path.read_bytes(), publication.manifest
    signed = f"{manifest.version}\n{manifest.size}\n{manifest.sha256}".encode()
    key.public_key().verify(base64.b64decode(manifest.signature), signed)
    return (manifest.size, manifest.sha256) == (
        len(content),
        hashlib.sha256(content).hexdigest(),
    )


def test_the_same_content_keeps_its_version(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish([item("身份证补领")], tmp_path, signing_key, clock)
    clock.now += dt.timedelta(days=1)
    again = publish([item("身份证补领")], tmp_path, signing_key, clock)
    assert again == first
    assert holds(again, signing_key)
    with Catalogue.open(first.path, first.manifest, signing_key.public_key()) as catalogue:
        assert catalogue.items() == [item("身份证补领")]


def test_other_content_gets_a_later_version(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish([item("身份证补领")], tmp_path, signing_key, clock)
    clock.now += dt.timedelta(seconds=1)
    second = publish([item("身份证换领")], tmp_path, signing_key, clock)
    assert second.manifest.version > first.manifest.version
    assert holds(second, signing_key)


def test_a_damaged_file_is_made_again(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish([item("身份证补领")], tmp_path, signing_key, clock)
    first.path.write_bytes(b"damaged")
    assert holds(publish([item("身份证补领")], tmp_path, signing_key, clock), signing_key)


def test_a_new_key_signs_the_standing_file(
    tmp_path: Path, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    first = publish([item("身份证补领")], tmp_path, signing_key, clock)
    other = Ed25519PrivateKey.generate()
    second = publish([item("身份证补领")], tmp_path, other, clock)
    assert second.manifest.sha256 == first.manifest.sha256
    assert holds(second, other)
