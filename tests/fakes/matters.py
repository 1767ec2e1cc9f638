"""A catalogue of two items: one is decided at once, one by a person."""

from __future__ import annotations

from hallkit.model.form import Field, FormDefinition, Limits, Section
from hallkit.model.item import Item, Option, Question
from hallkit.model.rules import RulePack
from tests.fakes.item import ITEM, material
from tests.fakes.rule_pack import PACK, rule

SENIOR = Item(
    catalog_code="senior-card",
    task_name="老年人优待证",
    plain_name="办老年证",
    dept_name="民政局",
    theme="扶老助残",
    service="civil",
    transact_addr="1楼 C区",
    is_instant=True,
    is_instant_terminal=True,
    is_service_terminals=True,
    rule_pack=PACK.code,
    form="senior-form",
    licence_kind="senior_card",
    upstream=("civil_affairs", "population"),
    materials=(
        material("id", plain_name="身份证", held_as="resident_card"),
        material("book", plain_name="户口簿", held_as="household_book"),
        material("photo", review_points=({"text": "白底，五官清楚"},)),
    ),
    base_materials=("id", "book", "photo"),
    steps=("交材料",),
    first_question="who",
    questions=(
        Question(
            key="who",
            text="给谁办",
            why="别人代办要多带一样",
            options=(Option(key="self", label="自己"), Option(key="other", label="帮老人")),
        ),
    ),
)
FORM = FormDefinition(
    code="senior-form",
    name="申请表",
    sections=(
        Section(
            key="who",
            title="申请人",
            fields=(
                Field(
                    key="name",
                    label="姓名",
                    kind="name",
                    sources=("applicant.name",),
                    editable=False,
                ),
                Field(key="home", label="住址", kind="address", sources=("applicant.address",)),
                Field(key="phone", label="电话", kind="phone", sources=("applicant.phone",)),
                Field(
                    key="child_id_number",
                    label="子女身份证号",
                    kind="id_number",
                    required=False,
                    limits=Limits(),
                ),
            ),
        ),
    ),
)
WITH_PUSH: RulePack = PACK.model_copy(
    update={
        "licence_kind": "senior_card",
        "rules": (
            *PACK.rules,
            rule("made", kind="push", requires={"fact": "upstream.civil_affairs.card_made"}),
        ),
    }
)
PROMISED = ITEM.model_copy(update={"promise_day": 5, "form": ""})


class FakeMatters:
    """Implements `affairs.cases.room.Matters`."""

    def __init__(self) -> None:
        self.packs: dict[str, RulePack] = {WITH_PUSH.code: WITH_PUSH}

    def item(self, code: str) -> Item | None:
        return {SENIOR.catalog_code: SENIOR, PROMISED.catalog_code: PROMISED}.get(code)

    def form(self, code: str) -> FormDefinition | None:
        return FORM if code == FORM.code else None

    def pack(self, code: str) -> RulePack | None:
        return self.packs.get(code)
