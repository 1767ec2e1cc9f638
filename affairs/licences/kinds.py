"""The kinds of e-licence that the hall issues and prints, from `kinds.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import ConfigDict, Field

from hallkit.model.base import Value
from hallkit.model.licence import LicenceKind

_FILE = Path(__file__).with_name("kinds.toml")


class _Kinds(Value):
    model_config = ConfigDict(populate_by_name=True)

    kinds: tuple[LicenceKind, ...] = Field(alias="kind")
    not_printed: Mapping[str, str]


@cache
def _read() -> _Kinds:
    return _Kinds.model_validate(tomllib.loads(_FILE.read_text(encoding="utf-8")))


def load_kinds() -> Mapping[str, LicenceKind]:
    """By their key, in the file's order."""
    return {kind.key: kind for kind in _read().kinds}


def not_printed() -> Mapping[str, str]:
    """Kinds that items yield and that no terminal prints, with the reason."""
    return _read().not_printed
