"""What a model of ESC/POS printer can do: data in `drivers/profiles/*.toml`."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

DOTS_PER_COLUMN = 12
"""Font A is 12 × 24 dots, a Chinese character 24 × 24."""


class EscPosProfile(BaseModel):
    """One model of printer. Times are deadlines of one step each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    dots: Annotated[int, Field(ge=192, le=832, multiple_of=8)]
    columns: int
    font_charset: Literal["gbk", "gb2312"]
    code_page: Annotated[int, Field(ge=0, le=255)]
    feed_units_per_dot: Annotated[int, Field(ge=1, le=2)]
    cut: Literal["full", "partial", "none"]
    feed_before_cut_dots: Annotated[int, Field(ge=0, le=1000)]
    confirm: Literal["process_id", "status"]
    clear: Literal["dle_dc4", "dle_enq"]
    connect_timeout_s: PositiveFloat
    status_timeout_s: PositiveFloat
    identify_timeout_s: PositiveFloat
    clear_timeout_s: PositiveFloat
    write_timeout_s: PositiveFloat
    confirm_timeout_s: PositiveFloat
    settle_s: PositiveFloat

    @model_validator(mode="after")
    def _columns_fill_the_width(self) -> Self:
        if self.columns * DOTS_PER_COLUMN != self.dots:
            raise ValueError(f"{self.columns} columns are not {self.dots} dots")
        return self


def profile_names() -> list[str]:
    """The profiles that are shipped."""
    folder = resources.files("drivers").joinpath("profiles")
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.startswith("escpos_") and entry.name.endswith(".toml")
    )


def load_profile(name: str) -> EscPosProfile:
    """A shipped profile by name; `KeyError` if there is none."""
    if name not in profile_names():
        raise KeyError(name)
    text = resources.files("drivers").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    return EscPosProfile.model_validate(tomllib.loads(text))
