"""What the search found, as cards: items, and matters of which there are several kinds."""

from __future__ import annotations

from hallkit.catalogue.search import Ask, Hit
from hallkit.catalogue.snapshot import Catalogue
from hallkit.lexicon.words import Words
from hallkit.model.item import Item
from kiosk.flow.present import RESULTS_SHOWN
from kiosk.flow.state import Found, Kind

_LOOKED_AT = 4 * RESULTS_SHOWN
"""Hits among which those are that this terminal can open."""

_LABELS_FIT = 18
"""Characters that stand on one line of a card."""


def found_by(catalogue: Catalogue, query: str, words: Words) -> tuple[Found, ...]:
    """At most three cards, the likeliest first; none for what goes to a person.

    Where the query does not say which of several kinds is meant (新办, 变更), they stand on one
    card and are asked about. Where one item is clearly meant, its other kinds stand on the second.
    """
    found = catalogue.find(query, limit=_LOOKED_AT)
    # Bundles are found as well, and this terminal can't open one yet: no dead card.
    hits = [hit for hit in found.hits if catalogue.holds_item(hit.code)]
    if not hits:
        return ()
    undecided = found.question is not None and found.hits[0] is hits[0]
    kinds = found.question if undecided else None
    if found.outcome == "match":
        kinds = catalogue.siblings(hits[0].code)
    cards = [_card(hit, catalogue) for hit in hits]
    if kinds is None:
        return tuple(cards[:RESULTS_SHOWN])
    family = {option.code for option in kinds.options}
    first = [] if undecided else cards[:1]
    others = [card for card in cards if card.code not in family]
    matter = _matter(catalogue, kinds, without=[card.code for card in first], words=words)
    return (*first, *matter, *others)[:RESULTS_SHOWN]


def item_card(item: Item) -> Found:
    """The card of an item."""
    return Found(
        code=item.catalog_code,
        plain_name=item.plain_name,
        task_name=item.task_name,
        upstream=item.upstream,
    )


def _card(hit: Hit, catalogue: Catalogue) -> Found:
    """Named as the search found it."""
    item = catalogue.item(hit.code)
    upstream = item.upstream if item is not None else ()
    return Found(
        code=hit.code, plain_name=hit.plain_name, task_name=hit.task_name, upstream=upstream
    )


def _matter(catalogue: Catalogue, kinds: Ask, *, without: list[str], words: Words) -> list[Found]:
    """The card of these kinds; of a single one, that of the item."""
    asked = [
        Kind(code=option.code, label=option.label, plain_name=item.plain_name)
        for option in kinds.options
        if option.code not in without and (item := catalogue.item(option.code)) is not None
    ]
    if len(asked) < 2:
        return [item_card(item) for kind in asked if (item := catalogue.item(kind.code))]
    name = words("find.other_kinds", matter=kinds.about) if without else kinds.about
    labels = "、".join(kind.label for kind in asked)
    fits = len(labels) <= _LABELS_FIT
    detail = words("find.kinds" if fits else "find.many_kinds", kinds=labels, count=len(asked))
    return [
        Found(
            code=f"{asked[0].code}/",
            plain_name=name,
            task_name=detail,
            kinds=tuple(asked),
            upstream=_all_need(catalogue, asked),
        )
    ]


def _all_need(catalogue: Catalogue, kinds: list[Kind]) -> tuple[str, ...]:
    """Systems without which none of these kinds can be done."""
    items = [item for kind in kinds if (item := catalogue.item(kind.code)) is not None]
    first, *others = items
    return tuple(one for one in first.upstream if all(one in item.upstream for item in others))
