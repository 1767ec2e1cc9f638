"""Whole catalogues of two provinces come in, go out, and come in again as they were."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from affairs.catalogue_source import load
from affairs.exchange import folder
from affairs.exchange.registry import LAYOUTS, Batch, read
from affairs.exchange.source import read as read_source
from affairs.generator.vocabulary import desks, words

DATA = Path(__file__).parents[3] / "shared/data/catalogue"
FILES = {
    "guangdong": DATA / "guangdong_items.jsonl",
    "sichuan": DATA / "sichuan_guangan_items.jsonl",
}
ROWS = {"guangdong": 2262, "sichuan": 1135}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not all(path.is_file() for path in FILES.values()), reason=f"needs {DATA}"),
]


@pytest.fixture(scope="module", params=FILES)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def batch(layout: str) -> Batch:
    return read([FILES[layout]])


def test_every_row_becomes_an_item_that_can_be_loaded(
    layout: str, batch: Batch, tmp_path: Path
) -> None:
    assert batch.notes == ()
    began = time.monotonic()
    done = folder.merge(tmp_path, batch.items)
    assert done.added == done.items == ROWS[layout]
    assert [item.catalog_code for item in load(tmp_path).items] == [
        entry.item.catalog_code for entry in batch.items
    ]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("through", ["own", "national"])
def test_out_and_in_again_is_the_same(
    layout: str, batch: Batch, through: str, tmp_path: Path
) -> None:
    out = layout if through == "own" else through
    done = folder.merge(tmp_path / "c", batch.items)
    items = [entry.item for entry in batch.items]
    rows = list(folder.export(items, out, done.told))
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    again = read([path])
    assert again.notes == ()
    assert [entry.item for entry in again.items] == items
    assert [entry.missing for entry in again.items] == [entry.missing for entry in batch.items]


def test_fields_come_back_as_they_were_but_for_dirt(
    layout: str, batch: Batch, tmp_path: Path
) -> None:
    done = folder.merge(tmp_path, batch.items)
    rows = folder.export([entry.item for entry in batch.items], layout, done.told)
    source = read_source(FILES[layout]).rows
    assert len(source) == len(batch.items)
    for ours, row in zip(rows, source, strict=True):
        theirs = LAYOUTS[layout].cleaned(row)
        assert {name: ours.get(name) for name in theirs} == theirs


def test_what_is_known_of_the_data_is_found(layout: str, batch: Batch) -> None:
    items = [entry.item for entry in batch.items]
    if layout == "guangdong":
        promised = [i for i in batch.items if not {"anticipate_day", "promise_day"} & {*i.missing}]
        assert sum(entry.item.limit_scene_num == 0 for entry in batch.items) / len(items) > 0.95
        assert len(promised) > 1500
        assert sum(bool(item.materials) for item in items) == 809
        assert sum("dept_code" in warning for i in batch.items for warning in i.warnings) == 6
        assert Counter(item.task_type for item in items)["20"] == 1586
    else:
        assert len({item.dept_name for item in items}) == 34
        told = [warning for entry in batch.items for warning in entry.warnings]
        assert sum("lower-case" in warning for warning in told) == 1
        assert {item.task_type for item in items} == {"01", "05", "07", "08", "09", "10", "20"}


def test_both_merge_into_one_catalogue(tmp_path: Path) -> None:
    done = folder.merge(tmp_path, read(FILES.values()).items)
    assert done.items == sum(ROWS.values())
    assert len(load(tmp_path).items) == done.items


def test_made_up_names_are_our_own() -> None:
    """No name of a generated item is copied from the data."""
    items = [entry.item for entry in read(FILES.values()).items]
    theirs = {name for item in items for name in (item.task_name, item.main_name, item.sub_name)}
    ours = {
        name
        for desk in desks()
        for matter in desk.parsed()
        for name in (
            matter.name,
            *(f"{matter.name} {word}" for _, word in words().kinds[matter.kind].handlings()),
        )
    }
    assert len(ours) > 1300
    assert ours & theirs == set()
