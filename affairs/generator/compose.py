"""One made-up item of a plan, its form, its rule pack."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affairs.exchange.codes import check_organisation, check_uscc
from affairs.generator.vocabulary import (
    HANDLINGS,
    Desk,
    Kind,
    MaterialWords,
    Matter,
    QuestionWords,
    RuleWords,
    numbers,
    words,
)
from affairs.upstream import load_upstream
from hallkit.model.form import Field, FieldOption, FormDefinition, Section
from hallkit.model.item import Handling, Item
from hallkit.model.rules import Rule, RulePack, UpstreamCheck

DAYS_LEGAL = (20, 20, 20, 20, 20, 20, 5, 7, 10, 15, 30, 45, 60)
DAYS_PROMISED = (1, 1, 1, 1, 1, 1, 2, 3, 3, 5, 5, 7, 10, 15)
SITE = "site"
"""The question whose answer a bundle takes over."""
PERIPHERALS = ("id_card_reader", "ticket_printer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a desk is in the hall."""

    department: str
    department_number: int
    service: str
    transact_addr: str
    windows: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """What is decided of an item before it is written."""

    number: int
    """Of the matter."""
    desk: Desk
    matter: Matter
    handling: Handling
    word: str
    place: Place
    combed: bool = False
    questions: tuple[QuestionWords, ...] = ()
    more_materials: int = 0
    instant: bool = False
    terminal: bool = False
    city_wide: bool = False
    town: bool = False
    in_bundle: bool = False
    visit: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {
            "name": self.matter.name,
            "short": self.matter.short,
            "word": self.word,
            "system": self.desk.upstream[0],
        }

    @property
    def kind(self) -> Kind:
        return words().kinds[self.matter.kind]

    @property
    def task_name(self) -> str:
        return f"{self.matter.name} {self.word}"

    @property
    def basic_code(self) -> str:
        return f"{self.main_code[:9]}{HANDLINGS.index(self.handling) + 1:03}"

    @property
    def main_code(self) -> str:
        return f"{self.kind.letter}9{self.number:04}000"

    @property
    def code(self) -> str:
        handle_item = f"{HANDLINGS.index(self.handling) + 1:02}"
        return f"{self.task_code}{handle_item}"

    @property
    def task_code(self) -> str:
        return f"{uscc(self.place.department_number)}4{self.basic_code}"

    @property
    def form_code(self) -> str:
        return f"{self.basic_code.lower()}-form"

    @property
    def pack_code(self) -> str:
        return f"{self.basic_code.lower()}-instant"

    def say(self, text: str) -> str:
        return text.format_map(self.names)

    def fitting_questions(self) -> list[QuestionWords]:
        """Questions that make sense for this item."""
        return [
            question
            for question in words().questions
            if self.handling in question.for_
            and (not question.kinds or self.matter.kind in question.kinds)
        ]

    def fitting_materials(self) -> list[MaterialWords]:
        """Materials that everybody may be asked for, in the order in which they are taken."""
        return [material for material in words().materials if self.handling in material.for_]

    def option_materials(self) -> list[str]:
        """Keys of materials that answers add, each once."""
        return list(
            dict.fromkeys(
                key
                for question in self.questions
                for option in question.options
                for key in option.materials
            )
        )


def uscc(number: int) -> str:
    """A valid 统一社会信用代码 of a made-up department of the hall's division."""
    body = f"MB15{number:04}"
    body = f"11{numbers().division}{body}{check_organisation(body)}"
    return body + check_uscc(body)


def item_of(plan: Plan, dice: random.Random) -> Item:
    """The item, worded."""
    legal = dice.choice(DAYS_LEGAL)
    promised = 0 if plan.instant else min(legal, dice.choice(DAYS_PROMISED))
    base = _base_materials(plan)
    terms = dict.fromkeys(plan.say(text) for text in words().terms[plan.handling])
    common = words().common
    units = plan.matter.kind in ("permit", "record", "project", "report")
    values: dict[str, Any] = {
        "catalog_code": plan.code,
        "basic_code": plan.basic_code,
        "task_code": plan.task_code,
        "task_handle_item": plan.code,
        "task_name": plan.task_name,
        "plain_name": plan.say(words().plain[plan.handling]),
        "popular_terms": tuple(terms),
        "main_code": plan.main_code,
        "main_name": plan.matter.name,
        "sub_code": plan.basic_code,
        "sub_name": plan.task_name,
        "handling": plan.handling,
        "task_type": plan.kind.task_type,
        "task_version": "1",
        "use_level": "4",
        "by_law": common.law,
        "dept_name": plan.place.department,
        "dept_code": uscc(plan.place.department_number),
        "dept_type": common.dept_type,
        "server_type": common.units if units else common.people,
        "theme": plan.desk.theme,
        "corp_topic_type" if units else "user_topic_type": (plan.desk.theme,),
        "class_flag": _class_flag(plan),
        "project_type": "instant" if plan.instant else "promised",
        "handle_type": ("window", "online", *(["terminal"] if plan.terminal else [])),
        "accept_condition": plan.say(words().conditions[plan.handling]),
        "handle_flow": common.flow,
        "special_procedure": common.special,
        "anticipate_day": legal,
        "promise_day": promised,
        "limit_scene_num": int(plan.visit),
        "limit_scene_explain": common.scene_once if plan.visit else common.scene,
        "is_online": True,
        "online_handle_depth": common.depth,
        "is_schedule": True,
        "is_express": True,
        "service": plan.place.service,
        "windows": plan.place.windows,
        "transact_addr": plan.place.transact_addr,
        "transact_time": common.hours,
        "link_way": common.phone,
        "supervise_way": common.complaint,
        "handle_area": "city" if plan.city_wide else "hall",
        "town_sites": numbers().towns if plan.town else (),
        "is_service_terminals": plan.terminal,
        "is_instant": plan.instant,
        "is_instant_terminal": plan.terminal,
        "rule_pack": plan.pack_code if plan.terminal else "",
        "form": plan.form_code if plan.terminal else "",
        "peripherals": PERIPHERALS if plan.terminal else (),
        "upstream": plan.desk.upstream if plan.instant else (),
        "result_name": plan.say(plan.kind.result),
        "materials": (*base, *_answer_materials(plan)),
        "base_materials": tuple(material["key"] for material in base),
        "steps": tuple(plan.say(text) for text in words().steps[plan.handling]),
        "first_question": plan.questions[0].key if plan.questions else "",
        "questions": _questions(plan.questions),
        "common_questions": _common_questions(promised) if plan.combed else (),
        "combed": plan.combed,
        "sample": True,
        **_fee(plan, dice),
    }
    return Item.model_validate(values)


def _class_flag(plan: Plan) -> str:
    if plan.terminal:
        return "ai_approval"
    return "bundle" if plan.in_bundle else "situations"


def _fee(plan: Plan, dice: random.Random) -> dict[str, Any]:
    fees = words().fees
    charged = plan.matter.kind in ("permit", "card") and plan.handling in ("new", "replace")
    if not charged or plan.instant or dice.random() >= 0.3:
        return {}
    stand = dice.choice(fees.stands)
    fee = {
        "fee_name": fees.name,
        "fee_stand": stand,
        "fee_basis": fees.basis,
        "is_desc": fees.relief,
    }
    return {"is_fee": True, "fee_text": stand, "fees": (fee,), "is_pay_online": True}


def _common_questions(promised: int) -> list[dict[str, str]]:
    common = words().common
    days = common.answer_days.format(days=promised) if promised else common.answer_instant
    return [
        {"question": common.question_days, "answer": days},
        {"question": common.question_agent, "answer": common.answer_agent},
    ]


def _base_materials(plan: Plan) -> list[dict[str, Any]]:
    found = []
    for material in plan.fitting_materials()[: 2 + plan.more_materials]:
        has_form = plan.terminal and material.key == "application"
        found.append(
            {
                "key": material.key,
                "material_name": plan.say(material.material_name),
                "plain_name": material.plain_name,
                "material_type": material.material_type,
                "material_format": material.material_format,
                "is_need": material.is_need,
                "page_num": material.page_num,
                "page_copy_num": material.page_copy_num,
                "page_format": material.page_format,
                "source_type": material.source_type,
                "source": material.source,
                "form": plan.form_code if has_form else "",
                "example": plan.form_code if has_form else "",
                "fill_explain": material.fill_explain,
                "accept_stand": material.accept_stand,
                "review_points": [_review(text) for text in material.review],
                "by_law": material.by_law,
                "may_follow": bool(material.may_follow),
                "follow_days": material.may_follow,
                "pledge": material.pledge,
                "held_as": material.held_as,
            }
        )
    return found


def _review(text: str) -> dict[str, str]:
    check, _, words_ = text.partition("|")
    # What is compared with a form stands in forms that are authored.
    return {"check": "person" if check == "same" else check, "text": words_}


def _answer_materials(plan: Plan) -> list[dict[str, Any]]:
    found = []
    for key in plan.option_materials():
        name, plain, source = words().option_materials[key].split("|")
        found.append(
            {
                "key": key,
                "material_name": name,
                "plain_name": plain,
                "source": source,
                "held_as": words().option_held.get(key, ""),
                "review_points": [{"check": "legible", "text": plain}],
            }
        )
    return found


def _questions(questions: Sequence[QuestionWords]) -> list[dict[str, Any]]:
    following = [*(question.key for question in questions[1:]), ""][: len(questions)]
    return [
        {
            "key": question.key,
            "text": question.text,
            "why": question.why,
            "options": [
                {**option.model_dump(), "next_question": next_} for option in question.options
            ],
        }
        for question, next_ in zip(questions, following, strict=True)
    ]


# ── Terminal items ────────────────────────────────────────────────────────────────────────────


def form_of(plan: Plan) -> FormDefinition:
    """What the person fills in at the terminal."""
    said = words().form
    again = plan.handling not in ("new", "other", "query")
    matter = [said.number] if again else []
    return FormDefinition(
        code=plan.form_code,
        name=plan.say(said.name),
        plain_name=plan.say(said.plain_name),
        sections=(
            _section("about", said.about, said.fields),
            _section("matter", said.matter, [*matter, said.reason]),
            _section("sign", said.sign, [said.agreed, said.signature]),
        ),
        declaration=said.declaration,
    )


def _section(key: str, title: str, texts: Iterable[str]) -> Section:
    return Section(key=key, title=title, fields=tuple(_field(text) for text in texts))


def _field(text: str) -> Field:
    key, label, plain, kind, source, hint, sample = text.split("|")
    options = [reason.split("|") for reason in words().form.reasons] if kind == "choice" else []
    return Field.model_validate(
        {
            "key": key,
            "label": label,
            "plain_label": plain,
            "kind": kind,
            "sources": [source] if source else [],
            "editable": not source.endswith(("name", "id_number")),
            "hint": hint,
            "sample": sample,
            "options": [FieldOption(key=one, label=label_) for one, label_ in options],
            "merges_as": key if source else "",
        }
    )


def pack_of(plan: Plan) -> RulePack:
    """What must hold for the item to be decided at once."""
    system = plan.desk.upstream[0]
    return RulePack(
        code=plan.pack_code,
        item=plan.code,
        title=plan.task_name,
        rules=tuple(_rule(rule, plan) for rule in words().rules if plan.handling in rule.for_),
        upstream=(
            UpstreamCheck(
                system=system,
                ask=("applicant.id_number", "form.id_number"),
                plain_name=load_upstream()[system],
            ),
        ),
    )


def _rule(rule: RuleWords, plan: Plan) -> Rule:
    fact = plan.say(rule.fact)
    test: dict[str, Any] = {"fact": fact, "op": rule.op}
    if rule.op != "known":
        test["value"] = rule.value
    return Rule.model_validate(
        {
            "key": rule.key,
            "kind": rule.kind,
            "text": plan.say(rule.text),
            "requires": test,
            "passed": rule.passed,
            "failed": rule.failed,
            "what_to_do": rule.what_to_do,
            "masks": [fact] if rule.mask else [],
        }
    )
