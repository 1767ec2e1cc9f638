"""Contacts, counters, measures and switched outputs of a machine or of the hall.

Names are those of XFS4IoT's Auxiliaries where it has one.
"""

from __future__ import annotations

from enum import StrEnum

from hallkit.model.base import Value


class PointKind(StrEnum):
    """What a point is for."""

    CABINET_DOOR = "cabinetDoor"
    TAMPER_SENSOR = "tamperSensor"
    SMOKE_SENSOR = "smokeSensor"
    """Ours: XFS4IoT knows heat only."""
    HEAT_SENSOR = "heatSensor"
    PROXIMITY_SENSOR = "proximitySensor"
    PEOPLE_COUNTER = "peopleCounter"
    TEMPERATURE = "temperature"
    """In °C."""
    HUMIDITY = "humidity"
    """In percent of what the air can hold."""
    GUIDE_LIGHT = "guideLight"
    LAMP = "lamp"
    DOOR_RELEASE = "doorRelease"


class ContactState(StrEnum):
    """Of doors: open, closed, tampered; of proximity: present, notPresent; of others: on, off."""

    OPEN = "open"
    CLOSED = "closed"
    TAMPERED = "tampered"
    """Its two contacts say what cannot be: a wire is cut or bridged."""
    PRESENT = "present"
    NOT_PRESENT = "notPresent"
    ON = "on"
    OFF = "off"


class Contact(Value):
    kind: PointKind
    state: ContactState


class Measure(Value):
    kind: PointKind
    value: float


class AuxiliaryReading(Value):
    """All points at one moment, by the names that the machine's file gives them."""

    contacts: dict[str, Contact] = {}
    counts: dict[str, int] = {}
    """Never less than in an earlier reading: registers that wrap or begin anew are added up."""
    measures: dict[str, Measure] = {}
    outputs: dict[str, bool] = {}
    """As the module says they are."""
    unknown: tuple[str, ...] = ()
    """Points that could not be read now. They stand nowhere else: unknown is not closed."""
