"""The whole of a catalogue: what is authored or imported, and what a snapshot holds."""

from __future__ import annotations

from dataclasses import dataclass

from hallkit.model.bundle import Bundle
from hallkit.model.form import FormDefinition
from hallkit.model.hall_map import HallMap
from hallkit.model.item import Item
from hallkit.model.rules import RulePack


@dataclass(frozen=True, slots=True)
class Content:
    """Everything in its order: among equals the search lists what stands first."""

    items: tuple[Item, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    forms: tuple[FormDefinition, ...] = ()
    rule_packs: tuple[RulePack, ...] = ()
    hall_map: HallMap | None = None
