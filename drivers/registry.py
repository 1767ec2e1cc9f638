"""Which drivers there are. A driver declares itself in its own file; nothing else is edited.

    SPEC = DriverSpec(key="escpos", port="ticket_printer", config=EscPosConfig, open=EscPosPrinter)

`discover` imports the modules of each port's folder and collects their `SPEC`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import drivers
from drivers.driver import Driver
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.ids import NAME_PATTERN
from hallkit.runtime.clock import Clock
from hallkit.runtime.config import MISSING, hint, problems_of

PORT_FOLDERS = (
    "auxiliaries",
    "camera",
    "chip_card_reader",
    "code_scanner",
    "document_camera",
    "id_card_reader",
    "key_panel",
    "led_bar",
    "loudspeaker",
    "microphone",
    "page_printer",
    "rating_buttons",
    "ticket_printer",
    "ups",
)
MEDIA_PORTS = frozenset({"camera", "document_camera", "loudspeaker", "microphone"})
"""Opened by the process that works on their pictures or sound; the agent never does."""
Quality = Literal["bronze", "silver", "gold"]
Transport = Literal[
    "evdev",
    "file",
    "hidraw",
    "http",
    "ipp",
    "pcsc",
    "portaudio",
    "rtsp",
    "serial",
    "tcp",
    "usb",
    "v4l2",
]


class PeripheralConfig(BaseModel):
    """What every entry of `[[peripherals]]` has; each driver's model adds its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=NAME_PATTERN, examples=["ticket-printer"])
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
    family: str
    """Which devices, in a few words for a technician."""
    transports: tuple[Transport, ...]
    quality: Quality
    rules: Mapping[str, str] = field(default_factory=dict)
    """Rules of the quality scale → `done`, or `exempt: why` (docs/drivers.md)."""

    @property
    def unproven(self) -> dict[str, str]:
        """What is not done yet, and why: hardware that it has not met, for one."""
        told = {rule: verdict.partition(": ") for rule, verdict in self.rules.items()}
        return {rule: why for rule, (verdict, _, why) in told.items() if verdict != "done"}


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
        name = entry.get("id")
        if isinstance(name, str) and name in seen:
            advice = "every peripheral of a machine has an id of its own"
            problems.append(ConfigProblem(file, f"{where}.id", f"{name!r} is used twice", advice))
        seen.add(str(name))
        key = str(entry.get("driver", ""))
        spec = specs.get(key)
        if spec is None:
            told = f"unknown driver {key!r}" if "driver" in entry else MISSING
            problems.append(ConfigProblem(file, f"{where}.driver", told, hint(key, specs)))
            # The rest is looked at as if it were the one that is meant.
            close = difflib.get_close_matches(key, list(specs), n=1)
            if not close:
                continue
            spec = specs[close[0]]
            entry = entry | {"driver": spec.key}  # noqa: PLW2901
        try:
            config = spec.config.model_validate(entry)
        except ValidationError as exc:
            problems += [
                replace(problem, file=file)
                for problem in problems_of(exc, spec.config, under=where)
            ]
            continue
        parsed.append((spec, config))
    if problems:
        raise ConfigError(problems)
    return parsed
