"""Items of the standard library (标准库), in the national element names.

Field names on the left of the national `up_task_*` exchange tables are noted where they differ.
Guidance is data: questions → options → next question, materials, steps.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value


class Material(Value):
    """材料."""

    key: str
    material_name: str
    plain_name: str = ""
    """Everyday words; the official name is shown behind them."""
    material_type: Literal["original", "copy", "original_and_copy"] = "original"
    """原件, 复印件, 原件和复印件."""
    material_format: Literal["paper", "electronic", "either"] = "either"
    is_need: bool = True
    """必要性: needed always (else 容缺后补)."""
    page_num: Annotated[int, Field(ge=1, le=20)] = 1
    """份数."""
    source: str = ""
    """来源渠道: who issues it, in words."""
    fill_explain: str = ""
    """填报须知."""
    held_as: str = ""
    """Kind of e-licence or card that stands for it (免提交), for example `resident_card`."""


class Option(Value):
    """One answer of a question."""

    key: str
    label: str
    explain: str = ""
    next_question: str = ""
    """Key of the next question; empty ends the guidance."""
    materials: tuple[str, ...] = ()
    """Keys of materials that this answer adds."""
    steps: tuple[str, ...] = ()
    """Steps of the item that only this answer needs; the others are everyone's."""


class Question(Value):
    """情形: one plain question with its options."""

    key: str
    text: str
    why: str
    """One sentence: why we ask."""
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=6)]


class Item(Value):
    """A handling item (业务办理项) as every end of the hall shows it."""

    catalog_code: str
    """基本编码."""
    task_name: str
    """事项名称."""
    plain_name: str
    """What people call it."""
    popular_terms: tuple[str, ...] = ()
    """日常用语: other everyday names."""
    dept_name: str
    """实施主体."""
    theme: str
    """主题分类."""
    project_type: Literal["instant", "promised"] = "promised"
    """办件类型: 即办件, 承诺件."""
    anticipate_days: int = 0
    """法定办结时限 in working days."""
    promise_days: int = 0
    """承诺办结时限 in working days."""
    is_fee: bool = False
    fee_text: str = "不收费"
    limit_scene_num: int = 0
    """到办事现场次数."""
    service: str
    """Queue service that handles it."""
    transact_addr: str
    """办理地点."""
    accept_condition: str = ""
    materials: tuple[Material, ...]
    base_materials: tuple[str, ...]
    """Keys of materials that every applicant brings."""
    steps: tuple[str, ...]
    first_question: str = ""
    questions: tuple[Question, ...] = ()
    sample: bool = True
    """示例数据: authored for the demo hall, not an authority's text."""
