"""What the hall publishes: a folder's catalogue and its map, checked against what the hall has.

`<folder>/*.toml, *.jsonl` are the catalogue, `<folder>/hall/*.toml` the map. A folder without
`hall` has no map: then nothing is known of windows and machines, and nothing of them is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from affairs.catalogue_source import CONTENT, SourceProblem, check
from affairs.hall_map import check_hall_map, check_queues, known_ports
from affairs.queue.services import Service
from affairs.upstream import load_upstream
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.verify import Known
from hallkit.lexicon.words import words
from hallkit.model.content import Content
from hallkit.model.hall_map import HallMap

MAP_FOLDER = "hall"


def load_hall(folder: Path = CONTENT, *, services: Mapping[str, Service]) -> Content:
    """Catalogue and map of the folder. `ConfigError` lists every mistake in both."""
    content, problems = check_hall(folder, services=services)
    refuse_errors(problems)
    return content


def check_hall(
    folder: Path = CONTENT,
    *,
    services: Mapping[str, Service],
    devices: Collection[str] | None = None,
) -> tuple[Content, list[SourceProblem]]:
    """Catalogue and map as far as they can be read, and all that is wrong with them.

    `devices` are what the configuration calls the hall's machines, if that is to be compared.
    """
    hall: HallMap | None = None
    problems: list[SourceProblem] = []
    if has_map(folder):
        hall, problems = check_hall_map(folder / MAP_FOLDER, devices)
    if hall is not None:
        problems += check_queues(hall, services.values(), words("zh_CN"))
    known = Known(
        services={key: service.windows for key, service in services.items()},
        windows=None if hall is None else _services_at(hall),
        peripherals=known_ports() if hall is None else _peripherals(hall),
        upstream=load_upstream().keys(),
    )
    content, more = check(folder, known)
    return replace(content, hall_map=hall), [*problems, *more]


def refuse_errors(problems: Iterable[SourceProblem]) -> None:
    """`ConfigError` of what is more than a warning, if anything is."""
    errors: list[ConfigProblem] = [one for one in problems if one.level == "error"]
    if errors:
        raise ConfigError(errors)


def has_map(folder: Path) -> bool:
    """True if this catalogue's folder comes with a map of its hall."""
    return (folder / MAP_FOLDER).is_dir()


def _services_at(hall: HallMap) -> dict[str, frozenset[str]]:
    return {
        str(window.properties.number): frozenset(window.properties.services)
        for window in hall.windows
    }


def _peripherals(hall: HallMap) -> frozenset[str]:
    return frozenset(port for machine in hall.machines for port in machine.properties.peripherals)
