"""Codes of items and organisations. Check digits are looked at, never insisted on."""

from __future__ import annotations

import re
from dataclasses import dataclass

_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORG = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_NATIONAL = re.compile(r"[0-9A-Za-z]{18}[1-6][0-9A-Za-z]{12}(?:[0-9A-Za-z]{2})?")
_SICHUAN = re.compile(
    r"(?P<basic>[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*?)(?:-(?P<area>\d{12})-(?P<town>\d{3}))?"
    r"-(?P<org>[0-9A-Za-z]{9,20}|[0-9A-Za-z]{8}-[0-9A-Za-z])(?:-\d-\d\d)?"
)


@dataclass(frozen=True, slots=True)
class NationalCode:
    """实施编码 (31) or 业务办理项编码 (33) in its parts."""

    organisation: str
    level: str
    basic: str
    handle_item: str

    @property
    def task_code(self) -> str:
        return f"{self.organisation}{self.level}{self.basic}"


@dataclass(frozen=True, slots=True)
class SichuanCode:
    """基本编码-行政区划-000-机构编码-1-00."""

    basic: str
    area: str
    organisation: str


def national(code: str) -> NationalCode | None:
    """The parts of a code of 31 or 33 characters, or None."""
    if not _NATIONAL.fullmatch(code):
        return None
    return NationalCode(code[:18], code[18], code[19:31], code[31:])


def sichuan(code: str) -> SichuanCode | None:
    """The parts of a code as Sichuan writes it, or None."""
    match = _SICHUAN.fullmatch(code)
    if match is None:
        return None
    return SichuanCode(match["basic"], match["area"] or "", match["org"])


def main_of(basic: str) -> tuple[str, str]:
    """主项 and 子项 of a 基本编码; the sub-item is empty where the code is the main item's."""
    if len(basic) not in (12, 14):
        return "", ""
    head, tail = basic[:9], basic[9:]
    empty = "0" * len(tail)
    return head + empty, "" if tail == empty else basic


def check_uscc(body: str) -> str:
    """The check character of the first 17 of a 统一社会信用代码 (GB 32100-2015), or nothing."""
    if len(body) != 17 or any(character not in _USCC for character in body):
        return ""
    total = sum(_USCC.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    return _USCC[-total % 31]


def check_organisation(body: str) -> str:
    """The check character of the first 8 of an 组织机构代码 (GB 11714), or nothing."""
    if len(body) != 8 or any(character not in _ORG for character in body):
        return ""
    total = sum(_ORG.index(c) * weight for c, weight in zip(body, _ORG_WEIGHTS, strict=True))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def doubts(code: str) -> str:
    """Why an organisation's code is doubtful, in words for a report; empty if it holds."""
    bare = code.replace("-", "")
    if len(bare) == 18:
        if bare != bare.upper():
            return "holds a lower-case letter"
        right = check_uscc(bare[:17])
        if not right:
            return "holds characters that GB 32100 does not know"
        return "" if right == bare[17] else f"fails its check digit ({right!r} by GB 32100)"
    if len(bare) == 9:
        right = check_organisation(bare[:8])
        if not right:
            return "holds characters that GB 11714 does not know"
        return "" if right == bare[8] else f"fails its check digit ({right!r} by GB 11714)"
    return f"has {len(bare)} characters, not 18 or 9"
