"""The systems of other authorities that the hall may ask: one table for all that name them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hallkit.errors import ConfigError, ConfigProblem

UPSTREAM_FILE = Path(__file__).with_name("upstream.toml")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    systems: Annotated[dict[str, Annotated[str, Field(min_length=2)]], Field(min_length=1)]


def load_upstream(path: Path = UPSTREAM_FILE) -> dict[str, str]:
    """Key → what people are told is asked. `ConfigError` if the table is none."""
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).systems
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as exc:
        raise ConfigError([ConfigProblem(path.name, "-", str(exc))]) from exc
