"""A kind of licence that holds five years."""

from __future__ import annotations

from hallkit.model.licence import LicenceKind

KIND = LicenceKind.model_validate(
    {
        "key": "food_licence",
        "title": "食品经营许可证",
        "issuer": "市场监督管理局",
        "issuer_label": "发证机关",
        "code": "11510682MA0000001F002",
        "issuer_code": "11510682MA0000001F",
        "holder": "organisation",
        "name": "name",
        "design": "food",
        "years": 5,
        "number_label": "许可证编号",
        "number_prefix": "JY",
        "field": [{"key": "name", "label": "名称"}],
    }
)
