"""A small rule pack with a rule of each kind, and what approves it. Nobody in it exists."""

from __future__ import annotations

from typing import Any

from hallkit.model.conditions import FactValue
from hallkit.model.decision import Asked, Evidence, NoAnswer, Way
from hallkit.model.rules import Rule, RulePack

ID_NUMBER = "510682194001010016"
PHONE = "13800000000"
WAY = Way(service="care", transact_addr="1楼 C区", windows=("1", "2"))


def rule(key: str, **more: Any) -> Rule:
    words = {"text": f"看{key}", "passed": f"{key}好。", "failed": f"{key}不好。"}
    return Rule.model_validate({"key": key, **words, "what_to_do": f"去补{key}。", **more})


PACK = RulePack(
    code="senior-card-instant",
    version="3",
    item="senior-card",
    title="老年人优待证 秒批",
    upstream=[  # type: ignore[arg-type]  # read as an author's file would be
        {"system": "civil_affairs", "ask": ("applicant.id_number",), "plain_name": "民政信息系统"},
        {"system": "population", "ask": ("form.child_id_number",), "plain_name": "人口信息系统"},
    ],
    rules=(
        rule(
            "age",
            kind="precheck",
            requires={"fact": "applicant.age", "op": "ge", "value": 60},
            masks=("applicant.age",),
            by_law="《中华人民共和国老年人权益保障法》",
        ),
        rule(
            "first",
            requires={"fact": "upstream.civil_affairs.has_card", "op": "eq", "value": False},
        ),
        rule(
            "proxy",
            when={"fact": "answer.who", "op": "eq", "value": "other"},
            requires={"fact": "form.proxy_name", "op": "known"},
        ),
        rule(
            "here",
            requires={
                "any": [
                    {"fact": "applicant.residence", "op": "starts_with", "value": "510682"},
                    {"fact": "upstream.population.living_here"},
                ]
            },
        ),
        rule("told", kind="push", requires={"fact": "form.phone", "op": "known"}),
    ),
)

FACTS: dict[str, FactValue] = {
    "applicant.id_number": ID_NUMBER,
    "applicant.age": 84,
    "applicant.residence": "510682",
    "answer.who": "self",
    "form.phone": PHONE,
    "upstream.civil_affairs.has_card": False,
}
ASKED = (
    Asked(system="civil_affairs", facts=("applicant.id_number",), at_ms=1_735_790_400_250),
    Asked(system="population", no_answer=NoAnswer.NOT_ASKED),
)


def evidence(*without: str, **more: FactValue) -> Evidence:
    """What approves it, changed: `evidence("form.phone", applicant__age=50)`."""
    changed = {name.replace("__", "."): value for name, value in more.items()}
    facts = {name: value for name, value in FACTS.items() if name not in without}
    return Evidence(facts=facts | changed, asked=ASKED)
