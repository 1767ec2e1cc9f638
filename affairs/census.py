"""What a catalogue holds, counted the way the hall counts it."""

from __future__ import annotations

import hashlib

from hallkit.guide.verify import ways
from hallkit.model.content import Content
from hallkit.model.item import Item


def situations(item: Item) -> int:
    """情形: the distinct finished ways through its questions; 1 if it asks nothing.

    Of a multiple question each option is one way, as is none of them.
    """
    return ways(item)


def digest(content: Content) -> str:
    """A short name for exactly this content."""
    told = hashlib.sha256()
    values = (*content.items, *content.bundles, *content.forms, *content.rule_packs)
    for value in values if content.hall_map is None else (*values, content.hall_map):
        told.update(value.model_dump_json(by_alias=True).encode())
    return told.hexdigest()[:12]


def count(content: Content) -> dict[str, int]:
    """Items and what belongs to them; materials and situations are those of combed items."""
    items = content.items
    combed = [item for item in items if item.combed]
    return {
        "items": len(items),
        "combed": len(combed),
        "materials": sum(len(item.materials) for item in combed),
        "situations": sum(situations(item) for item in combed),
        "bundles": len(content.bundles),
        "instant": sum(item.is_instant for item in items),
        "instant_terminal": sum(item.is_instant_terminal for item in items),
        "city_wide": sum(item.handle_area == "city" for item in items),
        "town": sum(bool(item.town_sites) for item in items),
        "departments": len({item.dept_name for item in items}),
        "windows": len({window for item in items for window in item.windows}),
        "forms": len(content.forms),
        "rule_packs": len(content.rule_packs),
    }
