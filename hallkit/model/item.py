"""Items of the standard library (标准库), in the national element names.

Names follow the national reporting tables (`up_task_directory`, `up_task_general_basic`,
`_extend`, `_material`, `_fee_project`, `_questions`); where ours differ the docstring says so.
Structure: 主项 (`main_*`) → 子项 (`sub_*`) → 业务办理项, which is an `Item` → 情形, which are
questions → options → next question, materials, steps.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value
from hallkit.model.conditions import Condition

Key = Annotated[str, Field(min_length=1, max_length=64)]
Handling = Literal["new", "change", "renew", "replace", "cancel", "query", "other"]
"""业务办理项: 新办, 变更, 延续, 补办, 注销, 查询, 其他."""
ClassFlag = Literal["situations", "bundle", "ai_approval"]
"""三类: 单事项多情形, 一件事一次办, AI审批即可办."""
HandleType = Literal["window", "online", "express", "terminal"]
"""办理形式: 窗口, 网上, 快递, 自助终端."""
ReviewCheck = Literal[
    "person", "kind", "legible", "complete", "stamp", "signature", "in_date", "same_person", "same"
]
"""What a review point looks at: by a person only, kind of document, legible, pages complete, stamp,
signature, in date, the applicant's own, same as a field of the form."""


class ReviewPoint(Value):
    """审查要点: one thing that the clerk will look at."""

    text: str
    """In the applicant's words: what must be right."""
    check: ReviewCheck = "person"
    """What a machine may check beforehand (材料预审)."""
    field: str = ""
    """Field of the form to compare with, for `same`."""


class Material(Value):
    """材料."""

    key: Key
    material_name: str
    plain_name: str = ""
    """Everyday words; the official name is shown behind them."""
    material_type: Literal["original", "copy", "original_and_copy"] = "original"
    """原件, 复印件, 原件和复印件."""
    material_format: Literal["paper", "electronic", "either"] = "either"
    is_need: bool = True
    """必要性: needed always."""
    page_num: Annotated[int, Field(ge=0, le=99)] = 1
    """原件份数; of a copy, its 份数."""
    page_copy_num: Annotated[int, Field(ge=0, le=99)] = 0
    """复印件份数, where both are asked for."""
    page_format: str = ""
    """规格: A4, 2寸 …"""
    source_type: Literal["applicant", "government", "agency", "other"] = "applicant"
    """来源渠道: 申请人自备, 政府部门核发, 中介机构, 其他."""
    source: str = ""
    """来源渠道说明: who issues it, in words."""
    form: str = ""
    """空白表格 (`form_guid`): code of the form definition."""
    example: str = ""
    """示例样表 (`example_guid`): code of the form whose sample is shown."""
    fill_explain: str = ""
    """填报须知."""
    accept_stand: str = ""
    """受理标准."""
    review_points: tuple[ReviewPoint, ...] = ()
    """审查要点."""
    by_law: str = ""
    """依据."""
    may_follow: bool = False
    """容缺后补: may be handed in later."""
    follow_days: Annotated[int, Field(ge=0, le=90)] = 0
    """Working days within which it follows; 0 where `may_follow` is false."""
    pledge: str = ""
    """告知承诺: what a signed pledge says instead of this material; empty if none may."""
    held_as: str = ""
    """Kind of e-licence or card that stands for it (免提交), for example `resident_card`."""
    when: Condition | None = None
    """Asked for only if this is true of the person; unknown counts as true."""


class Option(Value):
    """One answer of a question."""

    key: Key
    label: str
    explain: str = ""
    next_question: str = ""
    """Key of the next question; empty ends the guidance."""
    materials: tuple[str, ...] = ()
    """Keys of materials that this answer adds."""
    steps: tuple[str, ...] = ()
    """Steps of the item that only this answer needs; the others are everyone's."""
    when: Condition | None = None
    """Makes this the answer without asking if it is true of what is already known."""
    go_to_item: str = ""
    """Code of the item that this person really needs; ends the guidance."""
    stop: str = ""
    """Why it cannot, or need not, be done here, and what to do instead; ends the guidance."""
    fee_text: str = ""
    """The fee for this answer, instead of the item's."""
    promise_day: Annotated[int, Field(ge=0)] | None = None
    """承诺办结时限 for this answer, instead of the item's."""
    service: str = ""
    """Queue service for this answer, instead of the item's."""
    transact_addr: str = ""
    """Place for this answer, instead of the item's."""


class Question(Value):
    """情形: one plain question with its options."""

    key: Key
    text: str
    why: str
    """One sentence: why we ask."""
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=8)]
    multiple: bool = False
    """多选: any number of options, `none_label` for none; then `next_question` counts."""
    none_label: str = ""
    """The answer for none of them, 都没有 …; empty if at least one must be chosen."""
    next_question: str = ""
    """Of a multiple question: the next one, whatever was chosen."""


class Fee(Value):
    """收费项目."""

    fee_name: str
    fee_stand: str
    """收费标准, in words with the unit."""
    fee_basis: str = ""
    is_desc: str = ""
    """减免: who pays less or nothing."""


class CommonQuestion(Value):
    """常见问题."""

    question: str
    answer: str
    """At most two sentences, speakable."""


class Item(Value):
    """A handling item (业务办理项) as every end of the hall shows it."""

    # Identity
    catalog_code: Key
    """Key of the item in this catalogue; an imported one has its 业务办理项编码 or 实施编码."""
    basic_code: str = ""
    """基本编码 (`catalog_code` of the national tables), 12 characters."""
    task_code: str = ""
    """实施编码, 31 characters."""
    task_handle_item: str = ""
    """业务办理项编码, 33 characters."""
    local_catalog_code: str = ""
    local_task_code: str = ""
    task_name: str
    """事项名称."""
    plain_name: str
    """What people call it."""
    popular_terms: tuple[str, ...] = ()
    """日常用语: other everyday names."""
    main_code: str = ""
    main_name: str = ""
    """主项."""
    sub_code: str = ""
    sub_name: str = ""
    """子项."""
    handling: Handling = "other"
    """Which of its siblings it is; siblings share `main_code`, or `main_name`."""
    task_type: str = ""
    """事项类型, national: 01 许可, 05 给付, 07 确认, 08 奖励, 09 裁决, 10 其他, 20 公共服务."""
    task_state: Literal["in_force", "suspended", "cancelled"] = "in_force"
    task_version: str = ""
    plan_effective_date: str = ""
    plan_cancel_date: str = ""
    use_level: str = ""
    """行使层级: 1 国, 2 省, 3 市, 4 县, 5 镇, 6 村."""
    by_law: str = ""
    """设定依据."""

    # Who
    dept_name: str
    """实施主体."""
    dept_code: str = ""
    """Its 统一社会信用代码; a wrong check digit is reported, never refused."""
    dept_type: str = ""
    entrust_name: str = ""
    other_dept: str = ""
    """联办机构."""
    server_type: tuple[str, ...] = ()
    """服务对象: 自然人, 企业法人, 事业法人, 社会组织法人, 非法人企业, 行政机关, 其他组织."""

    # How it is found
    theme: str
    """主题分类, as the home screen names it."""
    user_topic_type: tuple[str, ...] = ()
    corp_topic_type: tuple[str, ...] = ()
    class_flag: ClassFlag = "situations"

    # How it is handled
    project_type: Literal["instant", "promised"] = "promised"
    """办件类型: 即办件, 承诺件."""
    handle_type: tuple[HandleType, ...] = ("window",)
    accept_condition: str = ""
    """受理条件."""
    handle_flow: str = ""
    """办理流程, official; `steps` says it in plain words."""
    special_procedure: str = ""
    anticipate_day: Annotated[int, Field(ge=0)] = 0
    """法定办结时限."""
    anticipate_type: Literal["working", "calendar"] = "working"
    anticipate_explain: str = ""
    promise_day: Annotated[int, Field(ge=0)] = 0
    """承诺办结时限; 0 is while you wait."""
    promise_type: Literal["working", "calendar"] = "working"
    promise_explain: str = ""
    limit_scene_num: Annotated[int, Field(ge=0, le=9)] = 0
    """到办事现场次数."""
    limit_scene_explain: str = ""
    is_fee: bool = False
    fee_text: str = "不收费"
    fees: tuple[Fee, ...] = ()
    is_online: bool = False
    online_handle_depth: str = ""
    is_schedule: bool = False
    """是否支持预约办理."""
    is_express: bool = False
    is_pay_online: bool = False

    # Where
    service: str
    """Queue service that handles it."""
    windows: tuple[str, ...] = ()
    """Window numbers on the hall map."""
    transact_addr: str
    """办理地点."""
    transact_time: str = ""
    link_way: str = ""
    """咨询方式."""
    supervise_way: str = ""
    """监督投诉方式."""
    is_entry_center: bool = True
    handle_area: Literal["hall", "city", "province", "country"] = "hall"
    """通办范围; `city` is 全域通办."""
    town_sites: tuple[str, ...] = ()
    """Town sites (GB/T 2260, 9 digits) to which it is handed down (下沉)."""

    # Machines
    is_service_terminals: bool = False
    """是否支持终端办理."""
    is_instant: bool = False
    """秒批秒办 is configured."""
    is_instant_terminal: bool = False
    """秒批秒办 is live on terminals; implies `is_instant` and `is_service_terminals`."""
    rule_pack: str = ""
    """Code of the rule pack that decides it."""
    form: str = ""
    """Code of the form definition that the applicant fills."""
    peripherals: tuple[str, ...] = ()
    """Ports of a machine that it cannot do without, as the registry of drivers names them."""
    upstream: tuple[str, ...] = ()
    """Upstream systems that it cannot do without."""

    # Result
    result_name: str = ""
    """审批结果名称."""
    result_type: str = ""
    licence_kind: str = ""
    """Kind of e-licence that it yields."""

    # Guidance
    materials: tuple[Material, ...]
    base_materials: tuple[str, ...]
    """Keys of materials that every applicant brings."""
    steps: tuple[str, ...]
    first_question: str = ""
    questions: tuple[Question, ...] = ()
    common_questions: tuple[CommonQuestion, ...] = ()
    combed: bool = True
    """颗粒化梳理: situations and materials are worked out."""
    sample: bool = True
    """示例数据: authored or generated for the demo hall, not an authority's text."""
