"""The files of a hall, read as every process of it would: all mistakes, all effective values.

<folder>/site.toml      all processes
<folder>/affairs.toml   the business node behind the site file, if there is one
<folder>/ops.toml       the operations centre, the same
<folder>/devices/*.toml one a machine; <folder>/device.toml on the machine itself
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import affairs.settings
import edge_agent.settings
import kiosk.settings
import ops.settings
from drivers.registry import discover
from edge_agent.devices.host import Configured
from edge_agent.settings import AgentSettings
from hallkit.errors import ConfigProblem
from hallkit.runtime.config import Mistakes, Origin, Stack, read
from hallkit.runtime.settings import device_files

SITE_FILE = "site.toml"
OWN_FILE = "device.toml"
"""Where a machine has its own."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A key, what it is set to, and where; without an origin it is the program's own default."""

    key: str
    value: object
    origin: Origin | None


def missing_package() -> str:
    """What the drivers need and this installation lacks: then no peripheral can be looked at."""
    try:
        discover()
    except ModuleNotFoundError as exc:
        return exc.name or "a package"
    return ""


def machine_files(folder: Path) -> list[Path]:
    """Files of the machines of a hall."""
    own = folder / OWN_FILE
    return [*device_files(folder), *([own] if own.exists() else [])]


def mistakes_of_site(folder: Path) -> list[ConfigProblem]:
    """Every mistake that any process would find in the files of a hall, each once."""
    mistakes = Mistakes()
    site = folder / SITE_FILE
    with mistakes.collected():
        ops.settings.parse(_central(folder, "ops"))
    with mistakes.collected():
        affairs.settings.parse(_central(folder, "affairs"))
    machines = machine_files(folder)
    for file in machines:
        mistakes.add(_of_machine([site, file]))
    if not machines:
        # What the site file says for all machines is looked at without one.
        found = _of_machine([site])
        mistakes.add(one for one in found if one.key.partition(".")[0] != "device")
    return mistakes.problems


def effective_of_site(folder: Path) -> list[Effective]:
    """What the hall's central processes work on; `ConfigError` with every mistake of theirs."""
    mistakes = Mistakes()
    with mistakes.collected():
        for_ops, _ = ops.settings.parse(_central(folder, "ops"))
    with mistakes.collected():
        for_affairs, _ = affairs.settings.parse(_central(folder, "affairs"))
    mistakes.settle()
    return _merged(
        _flat(for_ops.model_dump(mode="json"), read(_central(folder, "ops"))),
        _flat(for_affairs.model_dump(mode="json"), read(_central(folder, "affairs"))),
    )


def effective_of_machine(files: Sequence[Path]) -> list[Effective]:
    """What the processes of a machine work on; `ConfigError` with every mistake of theirs."""
    mistakes = Mistakes()
    with mistakes.collected():
        agent, peripherals = _agent(files)
    terminal = kiosk.settings.read_files(files)
    with mistakes.collected():
        service = kiosk.settings.parse(terminal)
    mistakes.settle()
    return _merged(
        _flat(agent.model_dump(mode="json", exclude={"peripherals"}), terminal),
        _flat(service.model_dump(mode="json"), terminal),
        _of_peripherals(peripherals, terminal),
    )


def file_of_machine(folder: Path, device: str) -> Path | None:
    """The file that says of itself that it is this machine's."""
    for file in machine_files(folder):
        section = read([file]).values.get("device")
        if isinstance(section, dict) and section.get("id") == device:
            return file
    return None


def _of_machine(files: Sequence[Path]) -> list[ConfigProblem]:
    mistakes = Mistakes()
    with mistakes.collected():
        _agent(files)
    with mistakes.collected():
        kiosk.settings.parse(kiosk.settings.read_files(files))
    return mistakes.problems


def _agent(files: Sequence[Path]) -> tuple[AgentSettings, list[Configured]]:
    if missing_package():
        return read(files).settled(AgentSettings), []
    return edge_agent.settings.parse(read(files), Path())


def _central(folder: Path, process: str) -> list[Path]:
    own = folder / f"{process}.toml"
    return [folder / SITE_FILE, *([own] if own.exists() else [])]


def _of_peripherals(peripherals: Sequence[Configured], stack: Stack) -> Iterator[Effective]:
    for place, (_, config) in enumerate(peripherals):
        under = f"peripherals[{place}]"
        yield from _flat(config.model_dump(mode="json"), stack, under=under)


def _flat(values: Mapping[str, Any], stack: Stack, *, under: str = "") -> Iterator[Effective]:
    for key, value in values.items():
        path = f"{under}.{key}" if under else key
        if isinstance(value, Mapping):
            yield from _flat(value, stack, under=path)
        else:
            yield Effective(path, value, stack.origins.get(path))


def _merged(*parts: Iterator[Effective]) -> list[Effective]:
    found: dict[str, Effective] = {}
    for part in parts:
        for one in part:
            found.setdefault(one.key, one)
    return list(found.values())
