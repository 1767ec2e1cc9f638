"""A machine reads only a catalogue that the hall has signed, whole and unchanged."""

import base64
import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallkit.catalogue import Catalogue, build, sign
from hallkit.errors import TrustError
from hallkit.model.content import Content
from hallkit.model.item import Item
from hallkit.wire.affairs_api import CatalogueManifest

KEY = Ed25519PrivateKey.generate()


def item(code: str, name: str) -> Item:
    return Item(
        catalog_code=code,
        task_name=name,
        plain_name=f"办{name}",
        popular_terms=("证件",),
        dept_name="示例局",
        theme="示例",
        service="general",
        transact_addr="1楼 1-4号窗口",
        materials=(),
        base_materials=(),
        steps=("到窗口",),
    )


ITEMS = [item("b", "居住证 申领"), item("a", "老年人优待证 申领")]
CONTENT = Content(items=tuple(ITEMS))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CatalogueManifest]:
    path = tmp_path_factory.mktemp("built") / "catalogue.sqlite"
    build(CONTENT, path, version="7")
    return path, sign(path, KEY)


def test_what_was_built_is_read_back(built: tuple[Path, CatalogueManifest]) -> None:
    path, manifest = built
    with Catalogue.open(path, manifest, [KEY.public_key()]) as catalogue:
        assert catalogue.version == manifest.version == "7"
        assert catalogue.items() == ITEMS
        assert catalogue.item("a") == ITEMS[1]
        assert catalogue.item("nothing") is None
        assert [hit.code for hit in catalogue.search("居住证")] == ["b"]


def test_the_manifest_says_what_the_file_is(built: tuple[Path, CatalogueManifest]) -> None:
    path, manifest = built
    content = path.read_bytes()
    assert manifest.size == len(content)
    assert manifest.sha256 == hashlib.sha256(content).hexdigest()
    signed = f"7\n0\n{manifest.size}\n{manifest.sha256}".encode()
    KEY.public_key().verify(base64.b64decode(manifest.signature), signed)


def test_the_same_items_give_the_same_bytes(
    built: tuple[Path, CatalogueManifest], tmp_path: Path
) -> None:
    again = tmp_path / "again.sqlite"
    build(CONTENT, again, version="7")
    assert again.read_bytes() == built[0].read_bytes()
    build(CONTENT, again, version="8")
    assert again.read_bytes() != built[0].read_bytes()


def test_a_failed_build_leaves_the_former_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    build(CONTENT, path, version="1")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="two items have the code 'b'"):
        build(Content(items=(ITEMS[0], ITEMS[0])), path, version="2")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_read_only_and_leaves_nothing_beside_it(
    built: tuple[Path, CatalogueManifest], tmp_path: Path
) -> None:
    path = tmp_path / "名字 with #?%.sqlite"
    shutil.copy(built[0], path)
    with Catalogue.open(path, built[1], [KEY.public_key()]) as catalogue:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            catalogue._connection.execute("DELETE FROM item")
        catalogue.search("证")
        assert list(tmp_path.iterdir()) == [path]


def test_a_changed_byte_is_refused(built: tuple[Path, CatalogueManifest], tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    content = bytearray(built[0].read_bytes())
    for place in (0, len(content) // 2, len(content) - 1):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(TrustError, match="not the file"):
            Catalogue.open(path, built[1], [KEY.public_key()])
        content[place] ^= 1


def test_a_shortened_or_missing_file_is_refused(
    built: tuple[Path, CatalogueManifest], tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.sqlite"
    with pytest.raises(TrustError):
        Catalogue.open(path, built[1], [KEY.public_key()])
    path.write_bytes(built[0].read_bytes()[:-1])
    with pytest.raises(TrustError, match="not the file"):
        Catalogue.open(path, built[1], [KEY.public_key()])


@pytest.mark.parametrize(
    "change",
    [
        {"version": "8"},
        {"size": 1},
        {"sha256": "0" * 64},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "no base64 中"},
        {"signature": ""},
    ],
)
def test_a_changed_manifest_is_refused(
    built: tuple[Path, CatalogueManifest], change: dict[str, object]
) -> None:
    path, manifest = built
    with pytest.raises(TrustError, match="not signed"):
        Catalogue.open(path, manifest.model_copy(update=change), [KEY.public_key()])


def test_another_key_is_refused(built: tuple[Path, CatalogueManifest]) -> None:
    with pytest.raises(TrustError, match="not signed"):
        Catalogue.open(*built, [Ed25519PrivateKey.generate().public_key()])


def signed(path: Path, version: str) -> CatalogueManifest:
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    signature = KEY.sign(f"{version}\n0\n{len(content)}\n{sha256}".encode())
    return CatalogueManifest(
        version=version,
        size=len(content),
        sha256=sha256,
        signature=base64.b64encode(signature).decode(),
    )


def test_a_signed_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"no database, but signed" * 100)
    with pytest.raises(TrustError, match="is no catalogue"):
        Catalogue.open(path, signed(path, "7"), [KEY.public_key()])


def test_an_old_file_under_a_new_version_is_refused(
    built: tuple[Path, CatalogueManifest],
) -> None:
    with pytest.raises(TrustError, match="holds version '7'"):
        Catalogue.open(built[0], signed(built[0], "8"), [KEY.public_key()])
