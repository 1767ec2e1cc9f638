"""Where a call comes from, by the hall map."""

from __future__ import annotations

from dataclasses import dataclass

from hallkit.model.hall_map import Anchor, HallMap, Place, Window

NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Empty where the map does not know it."""

    id: str = ""
    name: str = ""
    level_id: str = ""


def place_of(hall: HallMap | None, device: str, said: str) -> CallPlace:
    """Where the machine stands; one that goes about says so itself, by an id of the map."""
    if hall is None:
        return CallPlace()
    try:
        machine = hall.machine(device)
    except KeyError:
        pass
    else:
        told = machine.properties
        return CallPlace(machine.id, told.name.zh[:NAME_LIMIT], told.level_id)
    place = hall.places.get(said)
    if place is None:
        return CallPlace()
    return CallPlace(place.id, _name(place), place.properties.level_id)


def _name(place: Place) -> str:
    match place:
        case Window():
            return str(place.properties.number)
        case Anchor():
            return place.id
        case _:
            return place.properties.name.zh[:NAME_LIMIT]
