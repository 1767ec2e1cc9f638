"""What a scanned code is to the hall: a ticket, a personal list, or somebody else's data.

    match recognise(text, keys):
        case OurTicket(code): ...        case OurList(shared): ...
        case Damaged(): ...              case Foreign(text): ...

Only what is signed or checked counts as ours. Anything else is data for whoever asked, and never an
order: no code opens an address, starts a program or changes a setting.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hallkit.guide.share import PREFIX as LIST_PREFIX
from hallkit.guide.share import Shared, decode
from hallkit.wire.ticket_code import PREFIX as TICKET_PREFIX
from hallkit.wire.ticket_code import TicketCode, verify_code


@dataclass(frozen=True, slots=True)
class OurTicket:
    """A ticket of this hall, with a signature that holds."""

    code: TicketCode


@dataclass(frozen=True, slots=True)
class OurList:
    """A personal list (`hallkit.guide.share`)."""

    shared: Shared


@dataclass(frozen=True, slots=True)
class Damaged:
    """It begins like one of ours and is none: misread, of another hall, or made up."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else's code, to be taken as data."""

    text: str = field(repr=False)


Recognised = OurTicket | OurList | Damaged | Foreign


def recognise(text: str, keys: Collection[Ed25519PublicKey]) -> Recognised:
    """What this text is; `keys` are those with which the hall signs its tickets."""
    bare = text.strip()
    if bare.startswith(TICKET_PREFIX):
        codes = (verify_code(bare, key) for key in keys)
        code = next((code for code in codes if code is not None), None)
        return OurTicket(code) if code is not None else Damaged()
    if bare.startswith(LIST_PREFIX):
        try:
            return OurList(decode(bare))
        except ValueError:
            return Damaged()
    return Foreign(text)
