"""The configuration stack: packaged defaults → files in order → a few `HALLKIT_*` variables.

Tables merge, lists are replaced; a table `{ include = "other.toml" }` is what that file beside this
one says. Validated once into one frozen model per process; every mistake is reported at once with
its file, key and a suggestion; each value remembers where it came from.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.runtime.toml_lines import line_of_fault, lines_of, parent

SECTIONS = frozenset(
    {
        *("site", "broker", "affairs", "ops", "device", "kiosk", "card_reader", "peripherals"),
        *("maintenance", "power"),
    }
)
"""Top-level tables of site and device files. A process reads its own and skips the others'."""

FILES_VARIABLE = "HALLKIT_CONFIG"
"""Paths of the files, in order, separated by colons."""


MISSING = "is missing"


class Section(BaseModel):
    """A table of the configuration: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Settings]):
    """Validated settings and, for every key that a file set, where."""

    settings: Settings
    provenance: Mapping[str, Origin]


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


class Mistakes:
    """Collects what is wrong, so that all of it is told at once; each mistake once."""

    def __init__(self, problems: Iterable[ConfigProblem] = ()) -> None:
        self._found: dict[tuple[str, int | None, str, str], ConfigProblem] = {}
        self.add(problems)

    def add(self, problems: Iterable[ConfigProblem]) -> None:
        for one in problems:
            self._found.setdefault((one.file, one.line, one.key, one.message), one)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """A `ConfigError` of the block is kept for `settle`, which must follow."""
        try:
            yield
        except ConfigError as fault:
            self.add(fault.problems)

    @property
    def problems(self) -> list[ConfigProblem]:
        """In the order of the files, then of their lines."""
        files = list(dict.fromkeys(one.file for one in self._found.values()))
        return sorted(self._found.values(), key=lambda one: (files.index(one.file), one.line or 0))

    def settle(self) -> None:
        """`ConfigError` with all that was collected, if anything was."""
        if problems := self.problems:
            raise ConfigError(problems)


class Stack:
    """Files read in order and merged, with what is wrong with the files themselves."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}
        """Of every table, key and place of a list, by its path."""
        self.problems: list[ConfigProblem] = []
        self._files: list[str] = []
        self._unread = False

    def add(self, path: Path) -> None:
        """Read a file over what is here."""
        file = f"{path.parent.name}/{path.name}" if path.name == "defaults.toml" else path.name
        self._files.append(file)
        content, origins = self._read(path, file)
        if not content:
            return
        for one in sorted(content.keys() - SECTIONS):
            line = origins[one].line if one in origins else None
            advice = hint(one, SECTIONS)
            self.problems.append(ConfigProblem(file, one, "unknown section", advice, line))
        self._merge(self.values, self._with_included(content, path.parent, origins), prefix="")
        self.origins |= origins

    def _read(self, path: Path, file: str) -> tuple[dict[str, Any], dict[str, Origin]]:
        """What a file says, and where it says it; nothing, with a problem, if it cannot be read."""
        text = ""
        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except OSError as exc:
            self._refuse(ConfigProblem(file, "-", _why_unread(exc)))
        except UnicodeDecodeError as exc:
            self._refuse(ConfigProblem(file, "-", f"is not TOML: {exc}", "save it as UTF-8"))
        except tomllib.TOMLDecodeError as exc:
            line = line_of_fault(exc, text)
            advice = "quotes, brackets and the equals sign of this line"
            self._refuse(ConfigProblem(file, "-", f"is not TOML: {exc}", advice, line))
        else:
            return content, {key: Origin(file, line) for key, line in lines_of(text).items()}
        return {}, {}

    def _with_included(
        self, value: Any, folder: Path, origins: dict[str, Origin], path: str = ""
    ) -> Any:
        """The value with each `{ include = "…" }` replaced; an included file includes none."""
        if isinstance(value, list):
            return [
                self._with_included(one, folder, origins, f"{path}[{place}]")
                for place, one in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        name = value.get("include")
        if len(value) == 1 and isinstance(name, str):
            included, inside = self._read(folder / name, name)
            origins |= {f"{path}.{key}": origin for key, origin in inside.items()}
            return included
        return {
            key: self._with_included(one, folder, origins, f"{path}.{key}" if path else key)
            for key, one in value.items()
        }

    def validated(self, model: type[Settings]) -> Settings:
        """The sections that are fields of `model`; `ConfigError` lists what is wrong in them."""
        wanted = {name: self.values[name] for name in model.model_fields if name in self.values}
        try:
            return model.model_validate(wanted)
        except ValidationError as exc:
            found = problems_of(exc, model)
            if self._unread:  # what seems to be missing may stand there
                found = [one for one in found if one.message != MISSING]
            raise ConfigError([self.located(one) for one in found]) from None

    def settled(self, model: type[Settings]) -> Settings:
        """As `validated`; `ConfigError` lists what is wrong with the files as well."""
        mistakes = Mistakes(self.problems)
        with mistakes.collected():
            settings = self.validated(model)
        mistakes.settle()
        return settings

    def located(self, problem: ConfigProblem) -> ConfigProblem:
        """The problem with file and line of its key, or of the nearest table around it."""
        path = problem.key
        while path and path not in self.origins:
            path = parent(path)
        if path:
            origin = self.origins[path]
            return replace(problem, file=origin.file, line=origin.line)
        return replace(problem, file=", ".join(self._files) or "defaults")

    def _refuse(self, problem: ConfigProblem) -> None:
        self.problems.append(problem)
        self._unread = True

    def _merge(self, into: dict[str, Any], more: Mapping[str, Any], *, prefix: str) -> None:
        for key, value in more.items():
            path = f"{prefix}{key}"
            if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
                self._merge(into.setdefault(key, {}), value, prefix=f"{path}.")
                continue
            into[key] = value
            for gone in [one for one in self.origins if one.startswith((f"{path}.", f"{path}["))]:
                del self.origins[gone]


def read(files: Iterable[Path]) -> Stack:
    """Read and merge; what is wrong with a file stands in the stack's `problems`."""
    stack = Stack()
    for path in files:
        stack.add(path)
    return stack


def load(model: type[Settings], files: Iterable[Path]) -> Loaded[Settings]:
    """Read, merge and validate; `ConfigError` lists every mistake.

    Fields of `model` are the sections that the process reads; each has defaults of its own.
    """
    stack = read(files)
    return Loaded(stack.settled(model), stack.origins)


def problems_of(
    fault: ValidationError, model: type[BaseModel], *, under: str = ""
) -> list[ConfigProblem]:
    """Every mistake that pydantic found, in our words; `under` is the path of the model's table.

    The file is still unknown: `Stack.located` finds it.
    """
    return [_problem(error, model, under) for error in fault.errors(include_url=False)]


def _problem(error: ErrorDetails, model: type[BaseModel], under: str) -> ConfigProblem:
    location = _without_tags(model, error["loc"])
    path = under
    for step in location:
        path = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}" if path else step
    key = str(location[-1]) if location else path
    around, field = _find(model, location)
    example = _example(field)
    message = error["msg"]
    suggestion = f"for example {example}" if example else _ADVICE.get(error["type"], "")
    match error["type"]:
        case "extra_forbidden":
            message = "unknown key"
            suggestion = hint(key, around.model_fields) if around is not None else ""
        case "missing":
            is_table = field is not None and _model_in(field.annotation) is not None
            message = MISSING
            suggestion = f"add [{path}]" if is_table else f"add {key} = {example or '…'}"
        case "literal_error" | "enum":
            choices = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
            suggestion = hint(str(error["input"]), choices)
        case "union_tag_invalid":
            told = error.get("ctx", {})
            choices = re.findall(r"'([^']*)'", str(told.get("expected_tags", "")))
            message, suggestion = (
                f"unknown kind {told.get('tag')!r}",
                hint(str(told["tag"]), choices),
            )
        case "union_tag_not_found":
            message, suggestion = "says no kind", 'add kind = "…"'
        case "model_type" | "dict_type" | "model_attributes_type":
            message, suggestion = "must be a table", f"write [{path}] and its keys"
        case _:
            message = message.removeprefix("Value error, ")
    return ConfigProblem("", path, message, suggestion)


_ADVICE = {
    "string_type": "write text in quotes",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "list_type": "write a list in brackets",
    "tuple_type": "write a list in brackets",
    "too_long": "take some out of the list",
}
"""For a value without an example, by pydantic's name of the mistake."""


def _without_tags(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The location as a file has it: pydantic puts in which of several models was taken."""
    around: tuple[type[BaseModel], ...] = (model,)
    steps: list[int | str] = []
    for step in location:
        tagged = [one for one in around if len(around) > 1 and step in _tags(one)]
        if tagged:
            around = (tagged[0],)
            continue
        steps.append(step)
        if isinstance(step, str):
            fields = (one.model_fields.get(step) for one in around)
            around = tuple(found for one in fields if one for found in _models_in(one.annotation))
    return tuple(steps)


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field is not None else ()


def _find(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model around the last step of a location, and the field there, as far as declared."""
    around: type[BaseModel] | None = model
    field: FieldInfo | None = None
    steps = [step for step in location if isinstance(step, str)]
    while steps:
        field = around.model_fields.get(steps.pop(0)) if around is not None else None
        if field is not None and get_origin(field.annotation) is dict and steps:
            steps.pop(0)  # a name that the file gives
            if not steps:
                return None, None
        if not steps:
            break
        models = _models_in(field.annotation) if field is not None else ()
        following = [one for one in models if steps[0] in one.model_fields]
        around = next(iter(following or models), None)
    return around, field


def _model_in(annotation: object) -> type[BaseModel] | None:
    return next(iter(_models_in(annotation)), None)


def _models_in(annotation: object) -> tuple[type[BaseModel], ...]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(found for part in get_args(annotation) for found in _models_in(part))


def _example(field: FieldInfo | None) -> str:
    """A value that would be right, as TOML writes it; empty if none is declared."""
    if field is None:
        return ""
    value = field.examples[0] if field.examples else field.default
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float) else ""


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
