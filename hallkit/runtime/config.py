"""The configuration stack: packaged defaults → files in order → a few `HALLKIT_*` variables.

Tables merge, lists are replaced. Validated once into one frozen model per process; every mistake
is reported at once with its file, key and a suggestion; each value remembers where it came from.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import ConfigError, ConfigProblem

SECTIONS = frozenset(
    {"site", "broker", "affairs", "ops", "device", "kiosk", "card_reader", "peripherals"}
)
"""Top-level tables of site and device files. A process reads its own and skips the others'."""

FILES_VARIABLE = "HALLKIT_CONFIG"
"""Paths of the files, in order, separated by colons."""


class Section(BaseModel):
    """A table of the configuration: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Settings]):
    """Validated settings and, for every key, the file that set it."""

    settings: Settings
    provenance: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of a process, from `HALLKIT_*` variables or systemd's own."""

    state: Path
    """Survives a power cut: journals, catalogue."""
    runtime: Path
    """Sockets and drafts; memory only (tmpfs), gone after a power cut."""
    credentials: Path
    """`cert.pem`, `key.pem`, `ca.pem` of this process's identity, and its signing keys."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Places:
        """`HALLKIT_STATE_DIR`, `HALLKIT_RUNTIME_DIR`, `HALLKIT_CREDENTIALS_DIR`.

        Under systemd `STATE_DIRECTORY`, `RUNTIME_DIRECTORY` and `CREDENTIALS_DIRECTORY` stand in.
        """
        env = os.environ if environment is None else environment
        problems = []
        found: dict[str, Path] = {}
        for ours, systemd in (
            ("HALLKIT_STATE_DIR", "STATE_DIRECTORY"),
            ("HALLKIT_RUNTIME_DIR", "RUNTIME_DIRECTORY"),
            ("HALLKIT_CREDENTIALS_DIR", "CREDENTIALS_DIRECTORY"),
        ):
            value = env.get(ours) or env.get(systemd)
            if value:
                found[ours] = Path(value)
            else:
                problems.append(ConfigProblem("environment", ours, "is not set"))
        if problems:
            raise ConfigError(problems)
        return cls(
            state=found["HALLKIT_STATE_DIR"],
            runtime=found["HALLKIT_RUNTIME_DIR"],
            credentials=found["HALLKIT_CREDENTIALS_DIR"],
        )


def files_from_environment(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Files named by `HALLKIT_CONFIG`."""
    env = os.environ if environment is None else environment
    return [Path(part) for part in env.get(FILES_VARIABLE, "").split(":") if part]


def load(model: type[Settings], files: Iterable[Path]) -> Loaded[Settings]:
    """Read, merge and validate; `ConfigError` lists every mistake.

    Fields of `model` are the sections that the process reads; each has defaults of its own.
    """
    merged: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    problems: list[ConfigProblem] = []
    for path in files:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            problems.append(ConfigProblem(path.name, "-", _why_unread(exc)))
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            problems.append(ConfigProblem(path.name, "-", f"is not TOML: {exc}"))
            continue
        problems += [
            ConfigProblem(path.name, section, "unknown section", hint(section, SECTIONS))
            for section in sorted(content.keys() - SECTIONS)
        ]
        _merge(merged, content, path.name, provenance, prefix="")
    wanted = {name: merged[name] for name in model.model_fields if name in merged}
    try:
        settings = model.model_validate(wanted)
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            path_in_file = ".".join(str(part) for part in error["loc"])
            problems.append(
                ConfigProblem(
                    _origin(path_in_file, provenance),
                    path_in_file,
                    "unknown key" if error["type"] == "extra_forbidden" else error["msg"],
                    _suggest(model, error["loc"]) if error["type"] == "extra_forbidden" else "",
                )
            )
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return Loaded(settings, provenance)


def _why_unread(fault: OSError) -> str:
    match fault:
        case FileNotFoundError():
            return "the file does not exist"
        case IsADirectoryError():
            return "is a folder"
        case PermissionError():
            return "may not be read by this user"
        case _:
            return f"cannot be read: {fault.strerror}"


def hint(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt word."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(words)


def _merge(
    into: dict[str, Any],
    more: Mapping[str, Any],
    file: str,
    provenance: dict[str, str],
    *,
    prefix: str,
) -> None:
    for key, value in more.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
            _merge(into.setdefault(key, {}), value, file, provenance, prefix=f"{path}.")
        else:
            into[key] = value
            provenance[path] = file


def _origin(path: str, provenance: Mapping[str, str]) -> str:
    while path:
        if path in provenance:
            return provenance[path]
        below = [file for key, file in provenance.items() if key.startswith(f"{path}.")]
        if below:
            return below[-1]
        path = path.rpartition(".")[0]
    return "defaults"


def _suggest(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    current: Any = model
    for part in location[:-1]:
        field = getattr(current, "model_fields", {}).get(part)
        current = field.annotation if field is not None else None
    fields = getattr(current, "model_fields", {})
    return hint(str(location[-1]), fields) if fields else ""
