"""A snapshot built in another process is the same one, and a failure has a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from affairs.build_apart import build_apart
from affairs.catalogue_source import load
from affairs.hall_map import load_hall_map
from hallkit.catalogue.snapshot import build
from hallkit.errors import StoreError


def test_it_is_the_same_to_the_byte(tmp_path: Path) -> None:
    content = replace(load(), hall_map=load_hall_map())
    build(content, tmp_path / "here", version="1")
    build_apart(content, tmp_path / "elsewhere", version="1")
    assert (tmp_path / "elsewhere").read_bytes() == (tmp_path / "here").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "here"}


def test_what_cannot_be_built_is_a_fault_with_its_reason(tmp_path: Path) -> None:
    content = load()
    twice = replace(content, items=(content.items[0], content.items[0]))
    with pytest.raises(StoreError, match="two items have the code"):
        build_apart(twice, tmp_path / "catalogue.sqlite", version="1")
    with pytest.raises(StoreError, match="unable to open database file"):
        build_apart(content, tmp_path / "nowhere" / "catalogue.sqlite", version="1")
    assert not list(tmp_path.iterdir())
