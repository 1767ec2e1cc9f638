"""A made-up licence of each kind: to look at, and for tests."""

from __future__ import annotations

import datetime as dt

from affairs.licences.document import Paper
from affairs.licences.filling import LicenceContent, new_number
from hallkit.model.licence import LicenceKind, identifier, serial_number

_ADDRESS = "https://verify.shifang.example/v/mfrggzdfmztwq2lkmrqw2zlqojuw4zdt"
_SEQUENCE = 17


def made_up_paper(
    kind: LicenceKind, *, at_ms: int, today: dt.date, address: str = _ADDRESS
) -> Paper:
    """As the first print of a licence of today would be; every field of the kind is there."""
    return Paper(
        kind=kind,
        content=LicenceContent(
            number=new_number(kind, _SEQUENCE),
            fields={one.key: one.sample for one in kind.fields if one.sample},
        ),
        identifier=identifier(
            kind=kind.code,
            issuer=kind.issuer_code,
            serial=serial_number(today.year, _SEQUENCE),
            version=1,
        ),
        valid_from=today,
        valid_until=kind.valid_until(today),
        issued_on=today,
        address=address,
        printed_at_ms=at_ms,
        terminal="terminal-01",
        copy=1,
    )
