"""A device's place in one word, as `driver check KEY --device URL` takes it.

    serial:///dev/ttyUSB0?baud=9600          usb://04b8:0202?serial=X1
    tcp://192.168.1.50:9100                  ipps://192.168.1.60/ipp/print

The scheme is the transport's `kind`; the rest fills the fields of that transport's settings, the
query its other fields; an address that is one whole field (`ipps://`, `rtsp://`) keeps its own.
All are text, which the settings read as their kind. What they refuse is told as it is in a
machine's file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel

from drivers.registry import DriverSpec
from hallkit.errors import ConfigError, ConfigProblem

_FILE = "--device"


def entry_of(
    spec: DriverSpec, url: str, settings: list[str], *, file: Path | None = None
) -> dict[str, Any]:
    """The `[[peripherals]]` entry of a device at an address.

    `file` holds more fields as TOML; `settings` are still more, as `KEY=VALUE`, where a dot goes
    into a table. Raises `ConfigError`.
    """
    try:
        more = tomllib.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    except (OSError, ValueError) as mistake:
        raise ConfigError([ConfigProblem(str(file), "", str(mistake))]) from None
    entry: dict[str, Any] = more | {
        "id": spec.key.replace("_", "-"),
        "driver": spec.key,
        "transport": _transport(spec, url),
    }
    for one in settings:
        key, sign, value = one.partition("=")
        if not sign:
            raise ConfigError([ConfigProblem("--set", key, "is not KEY=VALUE")])
        *tables, last = key.split(".")
        table = entry
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise ConfigError([ConfigProblem("--set", key, f"{name} is no table")])
        table[last] = value
    return entry


def _transport(spec: DriverSpec, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    models = _models(spec)
    kind = "ipp" if parts.scheme == "ipps" and "ipp" in models else parts.scheme
    if kind not in models:
        known = ", ".join(f"{name}://…" for name in models)
        raise ConfigError([ConfigProblem(_FILE, url, "no such wire", f"{spec.key} has {known}")])
    fields = models[kind].model_fields
    if "uri" in fields:
        return {"kind": kind, "uri": url}
    told: dict[str, Any] = {"kind": kind, **dict(parse_qsl(parts.query))}
    try:
        port = parts.port
    except ValueError:
        port = None
    if "host" in fields:
        told["host"] = parts.hostname or ""
        if port is not None:
            told["port"] = port
    if "vendor" in fields and parts.netloc:
        told["vendor"], _, told["product"] = parts.netloc.partition(":")
    if "reader" in fields and parts.netloc:
        told["reader"] = unquote(parts.netloc)
    if "path" in fields and parts.path:
        told["path"] = unquote(parts.path)
    return told


def _models(spec: DriverSpec) -> dict[str, type[BaseModel]]:
    """Settings of each transport by its kind."""
    wire = spec.config.model_fields["transport"].annotation
    models = get_args(wire) or (wire,)
    return {get_args(model.model_fields["kind"].annotation)[0]: model for model in models}


def without_secrets(url: str) -> str:
    """The address without what stands before its `@` and behind its `?`."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
