"""A small item with two questions and more materials than fit on a page."""

from __future__ import annotations

from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.item import Item, Material, Option, Question


def material(key: str, **more: object) -> Material:
    return Material.model_validate({"key": key, "material_name": f"材料{key}", **more})


ITEM = Item(
    catalog_code="food",
    task_name="食品经营许可",
    plain_name="开饭店",
    dept_name="市场监管局",
    theme="准营准办",
    service="market",
    transact_addr="2楼 A区",
    materials=(
        material("id", plain_name="身份证", held_as="resident_card"),
        *(material(f"m{number}", is_need=number != 3) for number in range(8)),
        material("lease", plain_name="租房合同", material_type="copy"),
    ),
    base_materials=("id", *(f"m{number}" for number in range(8))),
    steps=("交材料",),
    first_question="place",
    questions=(
        Question(
            key="place",
            text="店面是租的吗",
            why="租的要看合同",
            options=(
                Option(key="rented", label="租的", materials=("lease",), next_question="size"),
                Option(key="own", label="自己的"),
            ),
        ),
        Question(
            key="size",
            text="多大",
            why="大的要查消防",
            options=(Option(key="small", label="小"), Option(key="big", label="大")),
        ),
    ),
)

BUNDLE = Bundle(
    code="open-restaurant",
    name="“我要开饭店”一件事",
    plain_name="开饭店一件事",
    theme="开店一件事",
    lead_dept="市场监管局",
    members=(BundleMember(item="food"), BundleMember(item="sign")),
    service="market",
    transact_addr="2楼 A区",
)
"""Its search name is as good as the item's."""
