"""One-event bundles (一件事一次办): several items, asked once, filled in once."""

from __future__ import annotations

from hallkit.model.base import Value
from hallkit.model.conditions import Condition
from hallkit.model.item import CommonQuestion, Key, Question


class BundleMember(Value):
    """One item of a bundle, and who needs it."""

    item: Key
    """`catalog_code` of the item."""
    when: Condition | None = None
    """Needed if true of the bundle's answers (`answer.<question>`); None is always."""
    answers: dict[str, str] = {}
    """The item's own questions that the bundle answers: question → option."""
    answers_from: dict[str, str] = {}
    """The item's question → the bundle's question whose option has the same key."""
    after: tuple[str, ...] = ()
    """Items of the bundle whose result this one needs first."""


class Bundle(Value):
    """一件事."""

    code: Key
    name: str
    """“我要开便利店”一件事."""
    plain_name: str
    popular_terms: tuple[str, ...] = ()
    theme: str
    lead_dept: str
    """牵头部门: answers for the whole."""
    summary: str = ""
    """One plain sentence: what the person has in the end."""
    members: tuple[BundleMember, ...]
    first_question: str = ""
    questions: tuple[Question, ...] = ()
    """Asked before the members' own; options name no materials, the members do."""
    service: str
    transact_addr: str
    limit_scene_num: int = 1
    promise_day: int = 0
    """0: the longest way through the members counts."""
    common_questions: tuple[CommonQuestion, ...] = ()
    sample: bool = True
