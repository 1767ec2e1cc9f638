"""What a machine has on its disk is whole, and there is a way back."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallkit.catalogue import build, sign
from hallkit.catalogue.installed import FOLDER, former, install, installed, open_installed
from hallkit.errors import TrustError
from hallkit.model.content import Content
from hallkit.wire.affairs_api import CatalogueManifest
from tests.fakes.item import ITEM

KEY = Ed25519PrivateKey.generate()
KEYS = [KEY.public_key()]


def put(state: Path, version: str) -> CatalogueManifest:
    folder = state / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "download.part"
    build(Content(items=(ITEM,)), fresh, version=version)
    manifest = sign(fresh, KEY)
    install(fresh, state, manifest)
    return manifest


def opened(state: Path) -> str:
    catalogue = open_installed(state, KEYS)
    assert catalogue is not None
    with catalogue:
        return catalogue.version


def test_before_the_first_download_there_is_none(tmp_path: Path) -> None:
    assert installed(tmp_path) is None
    assert open_installed(tmp_path, KEYS) is None


def test_the_newest_is_in_use_and_the_former_is_kept(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        put(tmp_path, version)
    assert opened(tmp_path) == "3"
    before = former(tmp_path)
    assert before is not None
    assert before[1].version == "2"
    assert len(list((tmp_path / FOLDER).glob("*.sqlite"))) == 2


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped", "manifest cut", "manifest gone"])
def test_a_broken_one_gives_way_to_the_former(tmp_path: Path, damage: str) -> None:
    put(tmp_path, "1")
    newest = put(tmp_path, "2")
    snapshot = tmp_path / FOLDER / f"{newest.sha256}.sqlite"
    manifest = tmp_path / FOLDER / "manifest.json"
    content = snapshot.read_bytes()
    match damage:
        case "cut":
            snapshot.write_bytes(content[:-100])
        case "gone":
            snapshot.unlink()
        case "flipped":
            middle = len(content) // 2
            snapshot.write_bytes(
                content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            )
        case "manifest cut":
            manifest.write_bytes(manifest.read_bytes()[:40])
        case "manifest gone":
            manifest.unlink()
    assert opened(tmp_path) == "1"


def test_if_both_are_broken_it_says_what_is_wrong(tmp_path: Path) -> None:
    put(tmp_path, "1")
    put(tmp_path, "2")
    for snapshot in (tmp_path / FOLDER).glob("*.sqlite"):
        snapshot.write_bytes(b"")
    with pytest.raises(TrustError, match="not the file that the manifest names"):
        open_installed(tmp_path, KEYS)


def test_installing_the_same_again_keeps_the_way_back(tmp_path: Path) -> None:
    put(tmp_path, "1")
    put(tmp_path, "2")
    put(tmp_path, "2")
    before = former(tmp_path)
    assert before is not None
    assert before[1].version == "1"
    assert opened(tmp_path) == "2"


def test_a_broken_one_never_becomes_the_way_back(tmp_path: Path) -> None:
    put(tmp_path, "1")
    broken = put(tmp_path, "2")
    (tmp_path / FOLDER / f"{broken.sha256}.sqlite").write_bytes(b"")
    newest = put(tmp_path, "3")
    before = former(tmp_path)
    assert before is not None
    assert before[1].version == "1"
    (tmp_path / FOLDER / f"{newest.sha256}.sqlite").write_bytes(b"")
    assert opened(tmp_path) == "1"
