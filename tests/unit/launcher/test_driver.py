"""`hall driver list`: which devices, over which wires, how good, and what nobody has seen yet."""

from __future__ import annotations

import json

import pytest

from drivers.registry import discover
from launcher.cli import main


def test_every_driver_is_listed_with_what_is_unproven(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["driver", "list", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["driver"] for one in told} == discover().keys()
    for one in told:
        assert one["family"]
        assert one["transports"]
        open_rules = {rule for rule, verdict in one["rules"].items() if verdict != "done"}
        assert one["unproven"].keys() == open_rules
        assert all(why and not why.startswith("exempt") for why in one["unproven"].values())


def test_people_read_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["driver", "list"]) == 0
    text = capsys.readouterr().out
    for key, spec in discover().items():
        assert key in text
        assert spec.family in text
        assert all(why in text for why in spec.unproven.values())
    drivers = [line for line in text.splitlines() if not line.startswith(" ")]
    families = [spec.family for spec in discover().values()]
    columns = {line.index(told) for line, told in zip(drivers, families, strict=True)}
    assert len(columns) == 1, "the columns stand below each other"


def test_an_unknown_driver_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["driver", "sim", "onbom"]) == 2
    assert "onbon" in capsys.readouterr().err
