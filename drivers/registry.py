"""Which drivers there are. A driver declares itself in its own file; nothing else is edited.

    SPEC = DriverSpec(key="escpos", port="ticket_printer", config=EscPosConfig, open=EscPosPrinter)

`discover` imports the modules of each port's folder and collects their `SPEC`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import drivers
from drivers.driver import Driver
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.ids import NAME_PATTERN
from hallkit.runtime.clock import Clock

PORT_FOLDERS = ("id_card_reader", "ticket_printer")
Quality = Literal["bronze", "silver", "gold"]


class PeripheralConfig(BaseModel):
    """What every entry of `[[peripherals]]` has; each driver's model adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=NAME_PATTERN)
    driver: str


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """A driver's declaration."""

    key: str
    """What the configuration calls it."""
    port: str
    config: type[PeripheralConfig]
    open: Callable[[Any, Clock], Driver]
    """Makes the driver of its validated configuration; opens nothing yet."""
    simulator: str
    """Module under `drivers.sim` that speaks its wire, startable as a process."""
    quality: Quality
    rules: Mapping[str, str] = field(default_factory=dict)
    """Rules of the quality scale → `done`, or `exempt: why` (docs/drivers.md)."""


def discover() -> dict[str, DriverSpec]:
    """All drivers by key; a key declared twice is a mistake of ours and raises `ValueError`."""
    found: dict[str, DriverSpec] = {}
    for folder in PORT_FOLDERS:
        package = importlib.import_module(f"{drivers.__name__}.{folder}")
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            spec = getattr(importlib.import_module(info.name), "SPEC", None)
            if spec is None:
                continue
            if spec.key in found:
                raise ValueError(f"driver {spec.key!r} is declared twice")
            found[spec.key] = spec
    return found


def parse_peripherals(
    entries: list[dict[str, Any]], specs: Mapping[str, DriverSpec], *, file: str
) -> list[tuple[DriverSpec, PeripheralConfig]]:
    """Validate the `[[peripherals]]` entries; `ConfigError` with every mistake at once."""
    parsed: list[tuple[DriverSpec, PeripheralConfig]] = []
    problems: list[ConfigProblem] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        where = f"peripherals[{index}]"
        key = str(entry.get("driver", ""))
        spec = specs.get(key)
        if spec is None:
            problems.append(
                ConfigProblem(file, f"{where}.driver", f"unknown driver {key!r}", _hint(key, specs))
            )
            continue
        try:
            config = spec.config.model_validate(entry)
        except ValidationError as exc:
            for error in exc.errors(include_url=False, include_input=False):
                path = [str(part) for part in error["loc"]]
                hint = (
                    _hint(path[-1], spec.config.model_fields)
                    if error["type"] == "extra_forbidden"
                    else ""
                )
                problems.append(ConfigProblem(file, ".".join([where, *path]), error["msg"], hint))
            continue
        if config.id in seen:
            problems.append(ConfigProblem(file, f"{where}.id", f"{config.id!r} is used twice"))
        seen.add(config.id)
        parsed.append((spec, config))
    if problems:
        raise ConfigError(problems)
    return parsed


def _hint(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(sorted(known))
