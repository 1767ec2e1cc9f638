"""The hall's services: one queue each, read from `services.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from affairs.queue.hours import Hours
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.runtime.config import Section
from hallkit.runtime.toml_lines import lines_of


class Service(Section):
    """One queue of the hall."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
    name: str
    letter: Annotated[str, Field(pattern=r"^[A-Z]$")]
    windows: str
    open_windows: Annotated[int, Field(ge=0)]
    """Until the windows say themselves whether they are open."""
    usual_minutes: Annotated[float, Field(gt=0, le=240)] = 8.0
    """From a call to the next one at one window, before the day has taught better."""
    hours: tuple[str, ...] = ("09:00-12:00", "13:00-17:00")
    """When its windows are open, Monday to Friday."""

    slot_minutes: Annotated[int, Field(ge=5, le=240)] = 30
    slot_places: Annotated[int, Field(ge=0, le=1000)] = 4
    """Appointments for one slot; 0: none can be made."""

    @field_validator("hours")
    @classmethod
    def _hours_can_be(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        Hours.parse(hours)
        return hours

    @property
    def opening(self) -> Hours:
        return Hours.parse(self.hours)


class _ServicesFile(Section):
    services: Annotated[tuple[Service, ...], Field(min_length=1)]


SERVICES_FILE = Path(__file__).parents[1] / "services.toml"


def load_services(path: Path = SERVICES_FILE) -> dict[str, Service]:
    """Services by key, in the file's order; `ConfigError` if two share a key or a letter."""
    try:
        file = _ServicesFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError([ConfigProblem(path.name, "-", str(exc))]) from exc
    except ValidationError as exc:
        raise ConfigError(
            [
                ConfigProblem(path.name, ".".join(map(str, error["loc"])), error["msg"])
                for error in exc.errors(include_url=False, include_input=False)
            ]
        ) from None
    services = {service.key: service for service in file.services}
    if len(services) < len(file.services):
        raise ConfigError([ConfigProblem(path.name, "services", "two have the same key")])
    if len({service.letter for service in file.services}) < len(file.services):
        raise ConfigError([ConfigProblem(path.name, "services", "two have the same letter")])
    return services


def line_of_service(key: str, field: str = "key", path: Path = SERVICES_FILE) -> int | None:
    """Where the author wrote a field of a service; None if the file has no such service."""
    text = path.read_text(encoding="utf-8")
    lines = lines_of(text)
    for place, service in enumerate(tomllib.loads(text)["services"]):
        if service["key"] == key:
            return lines.get(f"services[{place}].{field}")
    return None


def spoken_number(letter: str, sequence: int) -> str:
    """What is called: `A001`; the thousandth of a day is `A1000`."""
    return f"{letter}{sequence:03d}"
