"""The last known good configuration: what a process at the edge worked on when it last started.

    <state>/config/<process>.toml            written once the process serves
    <state>/config/<process>.mistakes.json   is there while its files are wrong

A machine whose file holds a mistake goes on serving with what its files said before
(docs/decisions/0009). No secrets stand there: the configuration holds none.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.runtime.config import Origin, Stack, read
from hallkit.runtime.log import get_logger

FOLDER = "config"
_MISTAKES = ".mistakes.json"
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Parsed = TypeVar("Parsed")


class WrongFiles(BaseModel):
    """What is wrong with the files of a process."""

    model_config = ConfigDict(frozen=True)

    process: str
    works: bool
    """On its last known good configuration; without one it does not start."""
    problems: tuple[ConfigProblem, ...]


class LastGood:
    """Keeps a process working while its files are wrong."""

    def __init__(self, state: Path, process: str) -> None:
        self._process = process
        self._folder = state / FOLDER
        self._copy = self._folder / f"{process}.toml"
        self._mistakes = self._folder / f"{process}{_MISTAKES}"
        self._stack: Stack | None = None
        self.healed = False
        """The files were wrong at the start before this one."""

    def parse(self, stack: Stack, parse: Callable[[Stack], Parsed]) -> Parsed:
        """What the files say, or while they are wrong what they said when all was well.

        `ConfigError` with the mistakes of the files if nothing good is known either.
        """
        try:
            parsed = parse(stack)
        except ConfigError as fault:
            return self._fall_back(fault, parse)
        self._stack = stack
        self.healed = self._mistakes.exists()
        with suppress(OSError):
            self._mistakes.unlink(missing_ok=True)
        return parsed

    def started(self, sections: Iterable[str]) -> Path | None:
        """The process serves: keep what it works on; the file that holds it, if one does."""
        if self._stack is None:
            return self._copy
        values = {name: self._stack.values[name] for name in sections if name in self._stack.values}
        text = to_toml(values, self._stack.origins)
        return self._copy if self._write(self._copy, text) else None

    def _fall_back(self, fault: ConfigError, parse: Callable[[Stack], Parsed]) -> Parsed:
        log = get_logger()
        mistakes = [str(problem) for problem in fault.problems]
        works = False
        try:
            parsed = parse(read([self._copy]))
            works = True
        except ConfigError:
            # None was kept yet, or this release reads it differently.
            raise fault from None
        else:
            log.error("config.last_known_good", mistakes=mistakes, kept=str(self._copy))
            return parsed
        finally:
            told = WrongFiles(process=self._process, works=works, problems=fault.problems)
            self._write(self._mistakes, told.model_dump_json())

    def _write(self, path: Path, text: str) -> bool:
        """Replace a file as a whole; False if the disk refuses, which must not stop the process."""
        try:
            if path.exists() and path.read_text(encoding="utf-8") == text:
                return True
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            with part.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as exc:
            get_logger().warning("config.not_kept", file=path.name, detail=str(exc))
            return False
        return True


def wrong_files(state: Path) -> tuple[WrongFiles, ...]:
    """What the processes that keep their configuration in `state` say of their files."""
    found = []
    for path in sorted((state / FOLDER).glob(f"*{_MISTAKES}")):
        # One that is gone by now, or half of one, says nothing.
        with suppress(OSError, ValidationError):
            found.append(WrongFiles.model_validate_json(path.read_bytes()))
    return tuple(found)


def to_toml(values: Mapping[str, object], origins: Mapping[str, Origin]) -> str:
    """The values as TOML, each with the place it came from."""
    bare = [(key, value) for key, value in values.items() if not isinstance(value, Mapping)]
    lines = ["# Kept by the program. It is replaced at every good start."]
    lines += [_line(key, value, origins.get(key)) for key, value in bare]
    for section, table in values.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{_key(section)}]"]
            lines += [_line(k, v, origins.get(f"{section}.{k}")) for k, v in table.items()]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object, origin: Origin | None) -> str:
    return f"{_key(key)} = {_inline(value)}" + (f"  # {origin}" if origin is not None else "")


def _inline(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case int() | float():
            return str(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case Mapping():
            pairs = ", ".join(f"{_key(str(key))} = {_inline(one)}" for key, one in value.items())
            return "{" + pairs + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case _:
            raise TypeError(f"no value of a TOML file: {type(value).__name__}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    # TOML's basic strings are JSON's, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
