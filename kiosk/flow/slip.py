"""What stands on the slip of a ticket. No personal data: a slip is journalled and left behind."""

from __future__ import annotations

from collections.abc import Sequence

from hallkit.lexicon.words import Words
from hallkit.model.printing import FeedLine, QrLine, RuleLine, Slip, SlipLine, TextLine
from hallkit.model.ticket import Ticket
from hallkit.runtime.clock import local

BRING_LIMIT = 60
"""A slip has at most 80 lines; the screen and the window have the whole list."""

TEXT_LIMIT = 400


def ticket_slip(
    ticket: Ticket, *, hall: str, item: str, bring: Sequence[str], words: Words
) -> Slip:
    """The slip of a ticket: number first, then where, then what to bring, then the code."""
    taken = f"{local(ticket.issued_at_ms):%Y-%m-%d %H:%M}"
    lines: list[SlipLine] = [
        TextLine(text=words("slip.heading", hall=hall), bold=True, align="center"),
        RuleLine(),
        TextLine(text=words("slip.number"), align="center"),
        TextLine(text=ticket.number, scale=4, bold=True, align="center"),
        FeedLine(),
        TextLine(text=words("slip.item", item=item)),
        TextLine(text=words("slip.window", windows=ticket.windows), bold=True),
        TextLine(text=_ahead(ticket, words)),
        TextLine(text=words("slip.taken", time=taken)),
        RuleLine(),
    ]
    if bring:
        lines.append(TextLine(text=words("slip.bring"), bold=True))
        lines += [TextLine(text=f"□ {name}"[:TEXT_LIMIT]) for name in bring[:BRING_LIMIT]]
        lines.append(RuleLine())
    lines += [
        QrLine(text=ticket.code, module_dots=5),
        TextLine(text=words("slip.note"), align="center"),
    ]
    return Slip(lines=tuple(lines), reprint_mark=words("slip.reprint"))


def _ahead(ticket: Ticket, words: Words) -> str:
    if ticket.waiting_ahead is None:
        return words("slip.ahead_unknown")
    return words("slip.ahead", waiting=ticket.waiting_ahead)
