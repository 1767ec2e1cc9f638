"""What the catalogue is made of: a folder's files read into the model, every mistake at once.

A folder holds authored `*.toml` and imported or generated `*.jsonl`, in any number:

* In TOML `[[item]]`, `[[bundle]]`, `[[form]]` and `[[rule_pack]]` have the fields of the values of
  the same name in `hallkit.model`. `[shared]` holds keys that all items of the file have;
  `[shared.materials]` materials used often, which an item's `materials` then names by key.
* In JSON lines the name says what a line is: `items*.jsonl`, `bundles*.jsonl`, `forms*.jsonl`,
  `rule_packs*.jsonl`.

Each mistake names the author's file and line.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.mistakes import Level
from hallkit.guide.verify import Known, Whole, verify_whole
from hallkit.model.base import Value
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.content import Content
from hallkit.model.form import Field, FormDefinition, Section
from hallkit.model.item import CommonQuestion, Fee, Item, Material, Option, Question, ReviewPoint
from hallkit.model.rules import Rule, RulePack, UpstreamCheck
from hallkit.runtime.config import hint
from hallkit.runtime.toml_lines import line_of_fault, lines_of

CONTENT = Path(__file__).parent / "content"
REPORT = "report.jsonl"
"""Beside imported items: how each of them came. No part of the catalogue."""

_KINDS: Mapping[str, tuple[type[Value], str]] = {
    "item": (Item, "catalog_code"),
    "bundle": (Bundle, "code"),
    "form": (FormDefinition, "code"),
    "rule_pack": (RulePack, "code"),
}
"""Table name → its model and the field that names it; `<name>s*.jsonl` holds such lines."""

_TABLES: Mapping[str, type[BaseModel]] = {
    "materials": Material,
    "review_points": ReviewPoint,
    "questions": Question,
    "options": Option,
    "common_questions": CommonQuestion,
    "fees": Fee,
    "members": BundleMember,
    "sections": Section,
    "fields": Field,
    "rules": Rule,
    "upstream": UpstreamCheck,
}

_V = TypeVar("_V", bound=Value)


@dataclass(frozen=True, slots=True)
class SourceProblem(ConfigProblem):
    """One mistake in the author's file, or a matter of words there."""

    level: Level = "error"


def load(folder: Path = CONTENT, known: Known | None = None) -> Content:
    """Everything in the folder, by file name, then as written. `ConfigError` lists all errors.

    Warnings are no reason to refuse it. `known` are names outside of the folder, where they are to
    be checked as well.
    """
    content, problems = check(folder, known)
    errors: list[ConfigProblem] = [one for one in problems if one.level == "error"]
    if errors:
        raise ConfigError(errors)
    return content


def check(
    folder: Path = CONTENT, known: Known | None = None
) -> tuple[Content, list[SourceProblem]]:
    """What the folder holds as far as it can be read, and all that is wrong with it."""
    reading = _Reading()
    for path in sorted(folder.glob("*.toml")):
        reading.toml(path)
    for path in sorted(folder.glob("*.jsonl")):
        if path.name != REPORT:
            reading.json_lines(path)
    if not any(reading.found.values()) and not reading.problems:
        reading.problems.append(SourceProblem(folder.name, "-", "holds no items"))
    content = Content(
        items=reading.of(Item),
        bundles=reading.of(Bundle),
        forms=reading.of(FormDefinition),
        rule_packs=reading.of(RulePack),
    )
    reading.verify(content, known or Known())
    return content, reading.problems


def load_items(folder: Path = CONTENT) -> list[Item]:
    """The items of `load`."""
    return list(load(folder).items)


class _Shared(BaseModel):
    """Keys that all items of a file have; `materials` are there to be named."""

    model_config = ConfigDict(extra="allow")

    materials: dict[str, dict[str, Any]] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shared: _Shared = _Shared()
    item: list[dict[str, Any]] = []
    bundle: list[dict[str, Any]] = []
    form: list[dict[str, Any]] = []
    rule_pack: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value was written."""

    file: Path
    place: str
    """Path of its table in a TOML file."""
    raw: Mapping[str, Any]
    shared: Mapping[str, Any] = field(default_factory=dict)
    """The file's shared materials."""
    line: int | None = None
    """Its line in a file of JSON lines."""


@dataclass(slots=True)
class _Reading:
    """One pass over a folder."""

    problems: list[SourceProblem] = field(default_factory=list)
    found: dict[str, list[Value]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    origin: dict[tuple[str, str], _Origin] = field(default_factory=dict)
    lines: dict[Path, Mapping[str, int]] = field(default_factory=dict)
    """Asked for only where something is wrong."""
    texts: dict[Path, Sequence[str]] = field(default_factory=dict)

    def of(self, model: type[_V]) -> tuple[_V, ...]:
        return tuple(
            value for values in self.found.values() for value in values if isinstance(value, model)
        )

    def toml(self, path: Path) -> None:
        text = ""
        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            line = line_of_fault(exc, text) if isinstance(exc, tomllib.TOMLDecodeError) else None
            told = f"is not TOML: {exc}"
            self.problems.append(SourceProblem(path.name, "-", told, line=line))
            return
        try:
            file = _File.model_validate(content)
        except ValidationError as exc:
            self._refuse(exc, _Origin(path, "", content), "", _File)
            return
        for kind in _KINDS:
            entries: Sequence[dict[str, Any]] = getattr(file, kind)
            for number, own in enumerate(entries):
                origin = _Origin(path, f"{kind}[{number}]", own, file.shared.materials)
                raw = self._with_shared(file.shared, own, origin) if kind == "item" else own
                self.add(kind, raw, f"{kind} {number + 1}", origin)

    def json_lines(self, path: Path) -> None:
        kind = next((kind for kind in _KINDS if path.name.startswith(f"{kind}s")), "")
        if not kind:
            known = ", ".join(f"{kind}s.jsonl" for kind in _KINDS)
            told = SourceProblem(path.name, "-", "unknown file", f"known: {known}")
            self.problems.append(told)
            return
        for number, raw in _json_lines(path, self.problems):
            self.add(kind, raw, f"line {number}", _Origin(path, "", raw, line=number))

    def add(self, kind: str, raw: Mapping[str, Any], where: str, origin: _Origin) -> None:
        model, key = _KINDS[kind]
        code = str(raw.get(key, where))
        try:
            value = model.model_validate(raw)
        except ValidationError as exc:
            self._refuse(exc, origin, code, model)
            return
        if (kind, code) in self.origin:
            told = f"is also in {self.origin[kind, code].file.name}"
            self._tell(origin, code, key, told)
            return
        self.origin[kind, code] = origin
        self.found[kind].append(value)

    def verify(self, content: Content, known: Known) -> None:
        """What only shows once everything is read."""
        whole = Whole(content.items, content.bundles, content.forms, content.rule_packs, known)
        for found in verify_whole(whole):
            wrong = found.mistake
            origin = self.origin[found.kind, found.code]
            self._tell(
                origin, found.code, wrong.key, wrong.message, wrong.suggestion, level=wrong.level
            )

    def _with_shared(self, shared: _Shared, own: dict[str, Any], origin: _Origin) -> dict[str, Any]:
        raw = {**(shared.model_extra or {}), **own}
        if isinstance(raw.get("materials"), list):
            raw["materials"] = [
                self._shared_material(entry, shared.materials, origin) for entry in raw["materials"]
            ]
        return raw

    def _shared_material(self, entry: Any, materials: Mapping[str, Any], origin: _Origin) -> Any:
        """A material's table; a name stands for the file's shared one."""
        if not isinstance(entry, str):
            return entry
        if entry not in materials:
            code = str(origin.raw.get("catalog_code", "item"))
            self._tell(origin, code, "materials", f"unknown {entry!r}", hint(entry, materials))
            return {"key": entry, "material_name": entry}
        return {"key": entry, **materials[entry]}

    def _refuse(
        self, exc: ValidationError, origin: _Origin, code: str, model: type[BaseModel]
    ) -> None:
        """Tell what a table has that its model has not, or not so."""
        for error in exc.errors(include_url=False, include_input=False):
            location = error["loc"]
            unknown = error["type"] == "extra_forbidden"
            self._tell(
                origin,
                code,
                ".".join(map(str, location)),
                "unknown key" if unknown else error["msg"],
                hint(str(location[-1]), _fields(location, model)) if unknown else "",
            )

    def _tell(
        self,
        origin: _Origin,
        code: str,
        key: str,
        message: str,
        suggestion: str = "",
        *,
        level: Level = "error",
    ) -> None:
        self.problems.append(
            SourceProblem(
                file=origin.file.name,
                key=".".join(filter(None, (code, key))),
                message=message,
                suggestion=suggestion,
                line=self._line(origin, key),
                level=level,
            )
        )

    def _line(self, origin: _Origin, key: str) -> int | None:
        """The author's line: of the key itself, or of the nearest table around it."""
        if origin.line is not None:
            return origin.line
        if origin.file not in self.lines:
            text = origin.file.read_text(encoding="utf-8")
            self.lines[origin.file] = lines_of(text)
            self.texts[origin.file] = text.split("\n")
        lines = self.lines[origin.file]
        path, node = origin.place, origin.raw
        best = statement = lines.get(path)
        for part in filter(None, key.split(".")):
            entered = _enter(node, path, part, origin.shared)
            if entered is None:
                break
            node, path = entered
            line = lines.get(path)
            if line is not None and line != statement:
                best = statement = line
            elif best is not None and path.endswith("]"):  # within one statement
                best = _line_of_entry(self.texts[origin.file], best, part)
        return best


def _line_of_entry(text: Sequence[str], start: int, name: str) -> int:
    """Where an entry of a list that is one statement is named; the statement's line if nowhere."""
    named = re.compile(rf"""["']{re.escape(name)}["']""")
    for number in range(start, len(text) + 1):
        line = text[number - 1]
        if named.search(line):
            return number
        if number > start and _HEADER.match(line):
            break
    return start


_HEADER = re.compile(r"\[{1,2}[\w.]+\]{1,2}\s*(#.*)?$")
_LISTS = ("options", "fields")
"""Lists whose entries a mistake's key names without naming the list."""
_NAMES = ("key", "item", "system")
"""What names an entry of a list."""


def _enter(node: Any, path: str, part: str, shared: Mapping[str, Any]) -> tuple[Any, str] | None:
    """The value that a part of a mistake's key leads to, and its path in the file."""
    if isinstance(node, Mapping):
        if part in node:
            return node[part], f"{path}.{part}" if path else part
        inner = (
            _enter(node[name], f"{path}.{name}", part, shared) for name in _LISTS if name in node
        )
        return next(filter(None, inner), None)
    if not isinstance(node, list):
        return None
    for place, entry in enumerate(node):
        if entry == part and part in shared:
            return shared[part], f"shared.materials.{part}"
        names = [entry.get(name) for name in _NAMES] if isinstance(entry, Mapping) else [entry]
        if part in names or part == str(place):
            return entry, f"{path}[{place}]"
    return None


def _json_lines(
    path: Path, problems: list[SourceProblem]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
            except ValueError as exc:
                told = f"is not JSON: {exc}"
                problems.append(SourceProblem(path.name, "-", told, line=number))
                continue
            if isinstance(raw, dict):
                yield number, raw
            else:
                problems.append(SourceProblem(path.name, "-", "is not an object", line=number))


def _fields(location: tuple[int | str, ...], model: type[BaseModel]) -> Iterable[str]:
    """The fields of the table in which a key stands."""
    for part in reversed(location[:-1]):
        if part in _TABLES:
            return _TABLES[str(part)].model_fields
    return model.model_fields
