"""Cases (办件): what somebody has applied for, from the first tap until they hold the result."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum

_DAY = "%Y%m%d"
_SEQUENCE_DIGITS = 6


class CaseState(StrEnum):
    """Where a case stands. `CASE_MAY_BECOME` has the ways from one to the next."""

    DRAFT = "draft"
    """暂存: being filled in at a machine."""
    SUBMITTED = "submitted"
    """已提交: nobody has looked yet."""
    ACCEPTED = "accepted"
    """已受理."""
    RETURNED = "returned"
    """已退回: with reasons; may be put right and submitted again."""
    DECIDED = "decided"
    """已办结: approved or not."""
    DELIVERED = "delivered"
    """已送达: the person has the result."""
    WITHDRAWN = "withdrawn"
    """已撤回, by the person."""


CASE_MAY_BECOME: Mapping[CaseState, frozenset[CaseState]] = {
    CaseState.DRAFT: frozenset({CaseState.SUBMITTED, CaseState.WITHDRAWN}),
    CaseState.SUBMITTED: frozenset(
        {CaseState.ACCEPTED, CaseState.RETURNED, CaseState.WITHDRAWN, CaseState.DECIDED}
    ),
    CaseState.ACCEPTED: frozenset({CaseState.DECIDED, CaseState.RETURNED}),
    CaseState.RETURNED: frozenset({CaseState.SUBMITTED, CaseState.WITHDRAWN}),
    CaseState.DECIDED: frozenset({CaseState.DELIVERED}),
    CaseState.DELIVERED: frozenset(),
    CaseState.WITHDRAWN: frozenset(),
}

EDITABLE = frozenset({CaseState.DRAFT, CaseState.RETURNED})
"""The applicant may still change it."""


class HandedIn(StrEnum):
    """How a material comes to the office."""

    TO_BRING = "to_bring"
    """On paper, to the window."""
    HELD = "held"
    """An e-licence stands for it (免提交)."""
    REUSED = "reused"
    """The office saw it before, and the person lets it be used again (本地信息库)."""
    PLEDGED = "pledged"
    """告知承诺."""
    FOLLOWS = "follows"
    """容缺后补."""


def case_number(day: dt.date, sequence: int) -> str:
    """办件编号: day, number of the day, check digit; `202501020000017`."""
    digits = f"{day.strftime(_DAY)}{sequence:0{_SEQUENCE_DIGITS}d}"
    return digits + str(check_digit(digits))


def case_number_is_valid(number: str) -> bool:
    """True if its check digit agrees: one wrong or two swapped digits are noticed."""
    return (
        len(number) > _SEQUENCE_DIGITS
        and number.isascii()
        and number.isdigit()
        and check_digit(number[:-1]) == int(number[-1])
    )


def check_digit(digits: str) -> int:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for digit in digits:
        product = (int(digit) + product) % 10 or 10
        product = product * 2 % 11
    return (11 - product) % 10
