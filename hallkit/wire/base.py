"""How messages are read and written: unknown fields are forgiven, wrong types never."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from hallkit.errors import WireError


class Message(BaseModel):
    """A message on a wire. Fields of a newer sender are ignored; wrong types are refused.

    The text of an error never holds what was given: it may be somebody's name.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    def to_bytes(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, limit: int) -> Self:
        """Read at most `limit` bytes; `WireError` names what is wrong, never the content."""
        if len(data) > limit:
            raise WireError("oversized", f"{len(data)} bytes, at most {limit}")
        try:
            return cls.model_validate_json(data)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise WireError("malformed", f"{cls.__name__}.{where}: {first['type']}") from None
