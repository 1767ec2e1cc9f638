"""The vote of meaning: names that share no words with the query, by vectors in the snapshot."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affairs.catalogue_source import load_items
from hallkit.catalogue import Catalogue, build
from hallkit.catalogue.meaning import vectors_of
from hallkit.model.content import Content

TOPICS = {"养狗": 0, "犬": 0, "老年": 1, "上年纪": 1}


class Topics:
    """An embedder that knows a few topics; everything else is its own direction by its sum."""

    near = 0.9

    def __init__(self, model: str = "topics 1") -> None:
        self.model = model
        self.asked: list[str] = []

    def names(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        return np.stack([self.query(text) for text in texts])

    def query(self, text: str) -> Any:
        vector = np.zeros(40, dtype=np.float32)
        topic = next((place for word, place in TOPICS.items() if word in text), None)
        vector[2 + sum(map(ord, text)) % 38 if topic is None else topic] = 1.0
        return vector


@pytest.fixture(scope="module")
def content() -> Content:
    return Content(items=tuple(load_items()))


@pytest.fixture(scope="module")
def voting(content: Content) -> Iterator[Catalogue]:
    embedder = Topics()
    with Catalogue.in_memory(content, embedder=embedder) as catalogue:
        assert catalogue.vote_by(embedder)
        yield catalogue


def test_words_that_no_name_holds_find_what_they_mean(content: Content, voting: Catalogue) -> None:
    with Catalogue.in_memory(content) as plain:
        assert plain.find("上年纪咯").outcome == "person"
    found = voting.find("上年纪咯")
    assert found.outcome == "choose"
    assert "老年" in found.hits[0].matched
    assert found.hits[0].reason == f"意思接近“{found.hits[0].matched}”"


def test_a_score_stays_a_share(voting: Catalogue) -> None:
    for text in ("上年纪咯", "老年优待证", "办身份证", "食品经营许可证"):
        for hit in voting.search(text, limit=20):
            assert 0 < hit.score <= 1


@pytest.mark.parametrize("text", ["食品经营许可证", "身份证丢了", "社保卡", "spjyxkz"])
def test_a_clear_winner_stays_one(content: Content, voting: Catalogue, text: str) -> None:
    with Catalogue.in_memory(content) as plain:
        assert voting.find(text).hits[0].code == plain.find(text).hits[0].code


def test_what_is_no_halls_business_stays_so(voting: Catalogue) -> None:
    assert voting.find("上年纪的人看天气预报").outcome == "person"


def test_vectors_of_another_model_are_not_asked(content: Content, voting: Catalogue) -> None:
    assert not voting.vote_by(Topics("topics 2"))
    with Catalogue.in_memory(content) as plain:
        assert not plain.vote_by(Topics())


def test_names_that_stay_are_not_worked_out_again(content: Content, tmp_path: Path) -> None:
    first, second = tmp_path / "first.sqlite", tmp_path / "second.sqlite"
    build(content, first, version="1", embedder=Topics())
    item = content.items[0].model_copy(update={"plain_name": "养狗的新名字"})
    changed = replace(content, items=(item, *content.items[1:]))
    embedder = Topics()
    build(changed, second, version="2", embedder=embedder, former=first)
    assert embedder.asked == ["养狗的新名字"]
    assert vectors_of(second, "topics 1").keys() >= {"养狗的新名字"}
    assert vectors_of(second, "topics 2") == {}
    fresh = tmp_path / "fresh.sqlite"
    build(changed, fresh, version="2", embedder=Topics())
    assert fresh.read_bytes() == second.read_bytes()


def test_a_former_snapshot_that_is_none_does_not_matter(content: Content, tmp_path: Path) -> None:
    (broken := tmp_path / "former.sqlite").write_bytes(b"no database at all, and long enough")
    embedder = Topics()
    build(content, tmp_path / "new.sqlite", version="1", embedder=embedder, former=broken)
    assert len(embedder.asked) > len(content.items)
