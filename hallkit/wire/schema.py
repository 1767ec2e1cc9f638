"""The wire contracts as documents: JSON Schema of every message, AsyncAPI 3.0 of the topics.

    python -P -m hallkit.wire.schema docs/contracts

writes them, and refuses a change that a peer of the version before could not live with. Such a
change is a new message with a new name (`visit.ended.v2`), never another meaning of an old one.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic.json_schema import models_json_schema

from hallkit.model.ids import NAME_PATTERN, DeviceId, SiteId
from hallkit.wire import agent_bus, bus, events, mqtt
from hallkit.wire.base import Message
from hallkit.wire.topics import CALLS_STREAM, HELP_STREAM, DeviceTopics, hall_stream, hub_state

Schema = Mapping[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi.json"
_REFERENCE = "#/$defs/{model}"
_SUFFIX = ".schema.json"


def documents() -> dict[str, dict[str, Any]]:
    """Every document by its file name. The same code gives the same bytes."""
    return {
        f"mqtt{_SUFFIX}": _bundle("Payloads of the MQTT topics", [mqtt, events]),
        f"local-bus{_SUFFIX}": _bundle("Lines of the local bus", [bus]),
        f"agent-bus{_SUFFIX}": _bundle(
            "What the agent and the card reader's process offer on local buses", [agent_bus]
        ),
        ASYNCAPI: _asyncapi(),
    }


def render(document: Schema) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _messages(module: ModuleType) -> list[type[Message]]:
    """Messages that a module defines, in its order; abstract bases are none."""
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Message)
        and kind.__module__ == module.__name__
        and kind is not events.EventData
    ]


def _definitions(modules: list[ModuleType], template: str) -> dict[str, Any]:
    kinds = [kind for module in modules for kind in _messages(module)]
    _, schema = models_json_schema([(kind, "validation") for kind in kinds], ref_template=template)
    definitions: dict[str, Any] = schema["$defs"]
    for kind in kinds:
        if issubclass(kind, events.EventData):
            definitions[kind.__name__]["x-event-type"] = kind.EVENT_TYPE
    return definitions


def _bundle(title: str, modules: list[ModuleType]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": title,
        "$defs": _definitions(modules, _REFERENCE),
    }


def _asyncapi() -> dict[str, Any]:
    """The topics as a device sees them."""
    topics = DeviceTopics(SiteId("{site}"), DeviceId("{device}"))
    table: list[tuple[str, str, str, type[Message], bool]] = [
        ("presence", "send", topics.presence, mqtt.Presence, True),
        ("info", "send", topics.info, mqtt.Info, True),
        ("report", "send", topics.report, mqtt.Report, False),
        ("ack", "receive", topics.ack, mqtt.Ack, False),
        ("hubState", "receive", hub_state(SiteId("{site}")), mqtt.HubState, True),
        ("calls", "receive", hall_stream(SiteId("{site}"), CALLS_STREAM), mqtt.CallsNotice, True),
        ("help", "receive", hall_stream(SiteId("{site}"), HELP_STREAM), mqtt.HelpNotice, True),
    ]
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for name, action, address, payload, retained in table:
        messages[name] = {
            "name": payload.__name__,
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{payload.__name__}"},
            "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
        }
        channels[name] = {
            "address": address,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "parameters": {
                parameter: {"$ref": f"#/components/parameters/{parameter}"}
                for parameter in ("site", "device")
                if f"{{{parameter}}}" in address
            },
        }
        operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
            "bindings": {"mqtt": {"qos": 1, "retain": retained, "bindingVersion": "0.2.0"}},
        }
    messages["report"]["x-records"] = {
        kind: {"$ref": f"#/components/schemas/{data.__name__}"}
        for kind, data in events.EVENTS.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hallkit: a machine of the hall and its operations centre",
            "version": str(bus.PROTOCOL_VERSION),
            "description": (
                "JSON over MQTT 5 with mutual TLS, as a machine sees it. A payload has at most "
                f"{mqtt.PAYLOAD_LIMIT} bytes. Records of a report are CloudEvents 1.0; `x-records`"
                " names the data of each type."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "parameters": {
                "site": {"description": f"The hall's name, {NAME_PATTERN}"},
                "device": {"description": f"The machine's name, {NAME_PATTERN}"},
            },
            "messages": messages,
            "schemas": _definitions([mqtt, events], "#/components/schemas/{model}"),
        },
    }


def breaches(old: Schema, new: Schema) -> list[str]:
    """What a peer of the `old` version could not live with in the `new` one.

    Refused: a message or field that is gone, a field that must now be there, a value that was
    right and no longer is. More messages, optional fields and values are fine.
    """
    before, after = _parts(old), _parts(new)
    found = [f"{name}: the message is gone" for name in sorted(before.keys() - after.keys())]
    for name in sorted(before.keys() & after.keys()):
        found += _narrowed(name, before[name], after[name], (before, after))
    return found


def _parts(document: Schema) -> dict[str, Schema]:
    parts: dict[str, Schema] = dict(
        document.get("$defs") or document.get("components", {}).get("schemas", {})
    )
    for name, channel in document.get("channels", {}).items():
        # An address is a value that may not change.
        parts[f"channel {name}"] = {"const": channel["address"]}
    return parts


_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FIXED = ("pattern", "format", "contentEncoding", "discriminator")
_Both = tuple[Mapping[str, Schema], Mapping[str, Schema]]


def _narrowed(where: str, old: Schema, new: Schema, parts: _Both) -> Iterator[str]:
    """What was allowed at a place and no longer is."""
    if old.get("$ref") == new.get("$ref") is not None:
        return  # compared as a part of its own
    old, new = _resolve(old, parts[0]), _resolve(new, parts[1])
    if "anyOf" in old or "anyOf" in new or "oneOf" in old or "oneOf" in new:
        yield from _choices(where, old, new, parts)
        return
    allowed, remaining = _values(old), _values(new)
    if remaining is not None and (allowed is None or not allowed <= remaining):
        yield f"{where}: fewer values are allowed"
    if allowed is None and not _types(old) <= _types(new):
        yield f"{where}: the type is narrower"
        return
    yield from _bounds(where, old, new)
    yield from _fields(where, old, new, parts)
    for key in ("items", "additionalProperties"):
        if isinstance(new.get(key), dict):
            under = old.get(key, {})
            yield from _narrowed(
                f"{where}[]", under if isinstance(under, dict) else {}, new[key], parts
            )
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{where}: unknown fields are no longer forgiven"


def _bounds(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for key in _LOWER_BOUNDS:
        if key in new and (key not in old or new[key] > old[key]):
            yield f"{where}: {key} is tighter"
    for key in _UPPER_BOUNDS:
        if key in new and (key not in old or new[key] < old[key]):
            yield f"{where}: {key} is tighter"
    for key in _FIXED:
        if key in new and new[key] != old.get(key):
            yield f"{where}: {key} is another"


def _fields(where: str, old: Schema, new: Schema, parts: _Both) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name in after:
            yield from _narrowed(f"{where}.{name}", before[name], after[name], parts)
        else:
            yield f"{where}.{name}: the field is gone"
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield f"{where}.{name}: the field must now be there"


def _choices(where: str, old: Schema, new: Schema, parts: _Both) -> Iterator[str]:
    """Each way that was right must still be one of the ways."""
    after = _ways(new)
    for way in _ways(old):
        if not any(not list(_narrowed(where, way, other, parts)) for other in after):
            yield f"{where}: fewer forms are allowed"
            return


def _ways(schema: Schema) -> list[Schema]:
    ways: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return ways


def _resolve(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return schema if reference is None else parts[reference.rpartition("/")[2]]


def _values(schema: Schema) -> set[str] | None:
    """The values listed by a schema as JSON, or None if it lists none."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    if "enum" in schema:
        return {json.dumps(value) for value in schema["enum"]}
    return None


_ANY_TYPE = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def _types(schema: Schema) -> frozenset[str]:
    said = schema.get("type")
    if said is None:
        return _ANY_TYPE
    types = frozenset([said] if isinstance(said, str) else said)
    return types | {"integer"} if "number" in types else types


def write(folder: Path) -> list[str]:
    """Write every document unless one breaks with what lies there; the breaches."""
    made = documents()
    found = []
    for name, document in made.items():
        path = folder / name
        if path.exists():
            standing = json.loads(path.read_text(encoding="utf-8"))
            found += [f"{name}: {breach}" for breach in breaches(standing, document)]
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in made.items():
            (folder / name).write_text(render(document), encoding="utf-8")
    return found


def main() -> int:
    """`python -P -m hallkit.wire.schema FOLDER`."""
    if len(sys.argv) != 2:
        print(main.__doc__, file=sys.stderr)  # noqa: T201 (a command)
        return 2
    found = write(Path(sys.argv[1]))
    for breach in found:
        print(breach, file=sys.stderr)  # noqa: T201 (a command)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
