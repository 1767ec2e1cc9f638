"""The contracts as documents, and the check that refuses what a peer could not live with."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from hallkit.wire.base import Message
from hallkit.wire.events import EVENTS
from hallkit.wire.schema import breaches, documents, main, render, write


def document(kind: type[Message]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    inner = schema.pop("$defs", {})
    return {"$defs": {"Slip": schema, **inner}}


class Line(Message):
    text: str


class Slip(Message):
    number: Annotated[str, Field(max_length=8)]
    copies: Annotated[int, Field(ge=0)] = 1
    state: Literal["new", "done"] = "new"
    lines: tuple[Line, ...] = ()
    note: str | None = None


class MoreOptional(Slip):
    colour: str = ""


class MoreValues(Slip):
    state: Literal["new", "done", "again"] = "new"  # type: ignore[assignment]


class Wider(Slip):
    number: Annotated[str, Field(max_length=20)]
    note: str | int | None = None  # type: ignore[assignment]


class FreeState(Slip):
    state: str = "new"  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [Slip, MoreOptional, MoreValues, Wider, FreeState])
def test_additions_are_fine(kind: type[Message]) -> None:
    assert breaches(document(Slip), document(kind)) == []


class Without(Message):
    number: Annotated[str, Field(max_length=8)]
    state: Literal["new", "done"] = "new"
    lines: tuple[Line, ...] = ()
    note: str | None = None


class MoreRequired(Slip):
    colour: str


class NowRequired(Slip):
    copies: Annotated[int, Field(ge=0)]


class Shorter(Slip):
    number: Annotated[str, Field(max_length=4)]


class AtLeastOne(Slip):
    copies: Annotated[int, Field(ge=1)] = 1


class OtherType(Slip):
    number: int  # type: ignore[assignment]


class FewerValues(Slip):
    state: Literal["new"] = "new"


class OnlyListed(Slip):
    number: Literal["A001"]


class NeverNone(Slip):
    note: str = ""


class OtherLine(Message):
    text: str
    size: int


class OtherLines(Slip):
    lines: tuple[OtherLine, ...] = ()  # type: ignore[assignment]


class Patterned(Slip):
    number: Annotated[str, Field(max_length=8, pattern=r"^A\d+$")]


@pytest.mark.parametrize(
    ("kind", "breach"),
    [
        (Without, "Slip.copies: the field is gone"),
        (MoreRequired, "Slip.colour: the field must now be there"),
        (NowRequired, "Slip.copies: the field must now be there"),
        (Shorter, "Slip.number: maxLength is tighter"),
        (AtLeastOne, "Slip.copies: minimum is tighter"),
        (OtherType, "Slip.number: the type is narrower"),
        (FewerValues, "Slip.state: fewer values are allowed"),
        (OnlyListed, "Slip.number: fewer values are allowed"),
        (NeverNone, "Slip.note: fewer forms are allowed"),
        (OtherLines, "Slip.lines[].size: the field must now be there"),
        (Patterned, "Slip.number: pattern is another"),
    ],
)
def test_what_a_peer_could_not_live_with_is_refused(kind: type[Message], breach: str) -> None:
    assert breach in breaches(document(Slip), document(kind))


def test_a_message_that_is_gone_is_refused() -> None:
    old = {"$defs": {"Slip": {}, "Line": {}}}
    assert breaches(old, {"$defs": {"Line": {}}}) == ["Slip: the message is gone"]


def test_another_address_is_refused() -> None:
    old = documents()["asyncapi.json"]
    new = deepcopy(old)
    new["channels"]["report"]["address"] += "s"
    assert breaches(old, new) == ["channel report: fewer values are allowed"]


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_document_does_not_break_with_itself(name: str) -> None:
    made = documents()[name]
    assert breaches(made, json.loads(render(made))) == []


def test_the_same_code_gives_the_same_bytes() -> None:
    first, second = ({n: render(d) for n, d in documents().items()} for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", sorted(documents()))
def test_schemas_are_schemas(name: str) -> None:
    made = documents()[name]
    for definition in (made.get("$defs") or made["components"]["schemas"]).values():
        Draft202012Validator.check_schema(definition)


def test_every_reference_leads_somewhere() -> None:
    for made in documents().values():
        for reference in _references(made):
            here: Any = made
            for part in reference.removeprefix("#/").split("/"):
                here = here[part]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    if isinstance(value, list):
        return [found for part in value for found in _references(part)]
    return []


def test_every_event_is_named() -> None:
    made = documents()["asyncapi.json"]
    assert set(made["components"]["messages"]["report"]["x-records"]) == set(EVENTS)


def test_the_topics_are_the_devices() -> None:
    channels = documents()["asyncapi.json"]["channels"]
    assert channels["report"]["address"].endswith("/{site}/{device}/up/report")
    assert set(channels["hubState"]["parameters"]) == {"site"}


def test_a_breach_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(tmp_path) == []
    standing = json.loads((tmp_path / "mqtt.schema.json").read_text(encoding="utf-8"))
    standing["$defs"]["Ack"]["properties"]["colour"] = {"type": "string"}
    (tmp_path / "mqtt.schema.json").write_text(json.dumps(standing), encoding="utf-8")
    (tmp_path / "asyncapi.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["schema", str(tmp_path)])
    assert main() == 1
    assert "mqtt.schema.json: Ack.colour: the field is gone" in capsys.readouterr().err
    assert (tmp_path / "asyncapi.json").read_text(encoding="utf-8") == "{}"
