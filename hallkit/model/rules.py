"""Rule packs (秒批秒办): what must hold for an item to be decided without a person.

Data only; `hallkit.guide.deciding` evaluates them, `affairs` keeps the receipt.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value
from hallkit.model.conditions import Condition
from hallkit.model.item import Key


class Rule(Value):
    """One condition with its words."""

    key: Key
    text: str
    """核验说明: what is checked, in plain words."""
    kind: Literal["precheck", "decision", "push"] = "decision"
    """条件预检 before the form, 秒批 on submission, 推送 of the result afterwards."""
    when: Condition | None = None
    """Applies only if true. While that is unknown the rule may pass, and never fails."""
    requires: Condition
    passed: str
    """Shown when it holds."""
    failed: str
    """Shown when it does not: why, in the applicant's words."""
    what_to_do: str
    """What the person can do then."""
    masks: tuple[str, ...] = ()
    """Facts whose values are masked in the receipt."""
    by_law: str = ""


class UpstreamCheck(Value):
    """A question to another system."""

    system: Key
    ask: tuple[str, ...] = ()
    """Facts sent."""
    deadline_ms: Annotated[int, Field(ge=100, le=30_000)] = 3000
    plain_name: str = ""
    """How the screen names the system."""


class RulePack(Value):
    """The rules that decide an item."""

    code: Key
    version: str = "1"
    item: Key
    """`catalog_code` of the item."""
    title: str = ""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    upstream: tuple[UpstreamCheck, ...] = ()
    licence_kind: str = ""
    """Issued on approval."""
    sample: bool = True
    """示例数据."""
