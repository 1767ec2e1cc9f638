"""What the hall publishes: a folder's catalogue and its map, checked against what the hall has.

`<folder>/*.toml, *.jsonl` are the catalogue, `<folder>/hall/*.toml` the map. A folder without
`hall` has no map: then nothing is said of windows and machines, and nothing of them is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from affairs.catalogue_source import CONTENT, SourceProblem, check
from affairs.hall_map import check_queues, load_hall_map
from affairs.queue import Service
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
    errors: list[ConfigProblem] = [one for one in problems if one.level == "error"]
    if errors:
        raise ConfigError(errors)
    return content


def check_hall(
    folder: Path = CONTENT, *, services: Mapping[str, Service]
) -> tuple[Content, list[SourceProblem]]:
    """Catalogue and map as far as they can be read, and all that is wrong with them."""
    hall, problems = _map(folder / MAP_FOLDER)
    if hall is not None:
        problems += _sourced(check_queues(hall, services.values(), words("zh_CN")))
    known = Known(
        services={key: service.windows for key, service in services.items()},
        windows=None if hall is None else _services_at(hall),
        peripherals=None if hall is None else _peripherals(hall),
        upstream=load_upstream().keys(),
    )
    content, more = check(folder, known)
    return replace(content, hall_map=hall), problems + more


def _map(folder: Path) -> tuple[HallMap | None, list[SourceProblem]]:
    if not folder.is_dir():
        return None, []
    try:
        return load_hall_map(folder), []
    except ConfigError as exc:
        return None, _sourced(exc.problems)


def _sourced(problems: Iterable[ConfigProblem]) -> list[SourceProblem]:
    return [SourceProblem(**asdict(problem)) for problem in problems]


def _services_at(hall: HallMap) -> dict[str, frozenset[str]]:
    return {
        str(window.properties.number): frozenset(window.properties.services)
        for window in hall.windows
    }


def _peripherals(hall: HallMap) -> frozenset[str]:
    return frozenset(
        peripheral for machine in hall.machines for peripheral in machine.properties.peripherals
    )
