"""The 256 bytes of text on a card: UTF-16LE, fixed fields, padded with spaces.

Four kinds of card share the block; the character at byte 248 tells them apart. A block that
breaks any rule of its kind is no card: a wrong identity is worse than a second try.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from drivers.id_card_reader.sdt_frames import TEXT_BYTES
from hallkit.errors import Reason
from hallkit.model.identity import CardKind, IdentityCard, id_number_is_valid
from hallkit.ports.id_card_reader import CardRead, CardUnreadable

LONG_TERM = "长期"
PHOTO_MAGIC = b"WL"

SEXES: Mapping[str, str] = MappingProxyType({"0": "未知", "1": "男", "2": "女", "9": "未说明"})
"""GB/T 2261.1."""

# fmt: off
NATIONS: Mapping[str, str] = MappingProxyType({
    "01": "汉", "02": "蒙古", "03": "回", "04": "藏", "05": "维吾尔", "06": "苗", "07": "彝",
    "08": "壮", "09": "布依", "10": "朝鲜", "11": "满", "12": "侗", "13": "瑶", "14": "白",
    "15": "土家", "16": "哈尼", "17": "哈萨克", "18": "傣", "19": "黎", "20": "傈僳", "21": "佤",
    "22": "畲", "23": "高山", "24": "拉祜", "25": "水", "26": "东乡", "27": "纳西", "28": "景颇",
    "29": "柯尔克孜", "30": "土", "31": "达斡尔", "32": "仫佬", "33": "羌", "34": "布朗",
    "35": "撒拉", "36": "毛南", "37": "仡佬", "38": "锡伯", "39": "阿昌", "40": "普米",
    "41": "塔吉克", "42": "怒", "43": "乌孜别克", "44": "俄罗斯", "45": "鄂温克", "46": "德昂",
    "47": "保安", "48": "裕固", "49": "京", "50": "塔塔尔", "51": "独龙", "52": "鄂伦春",
    "53": "赫哲", "54": "门巴", "55": "珞巴", "56": "基诺", "97": "其他",
    "98": "外国血统中国籍人士",
})
# fmt: on
"""GB/T 3304."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of one kind of card stand: offset and length in bytes; None: not there."""

    name: tuple[int, int]
    sex: tuple[int, int]
    birth: tuple[int, int]
    number: tuple[int, int]
    valid_from: tuple[int, int]
    valid_to: tuple[int, int]
    nation: tuple[int, int] | None = None
    address: tuple[int, int] | None = None
    issuer: tuple[int, int] | None = None
    english_name: tuple[int, int] | None = None
    nationality: tuple[int, int] | None = None


LAYOUTS: Mapping[CardKind, Layout] = MappingProxyType(
    {
        CardKind.RESIDENT: Layout(
            name=(0, 30),
            sex=(30, 2),
            nation=(32, 4),
            birth=(36, 16),
            address=(52, 70),
            number=(122, 36),
            issuer=(158, 30),
            valid_from=(188, 16),
            valid_to=(204, 16),
        ),
        CardKind.HMT_RESIDENT: Layout(
            name=(0, 30),
            sex=(30, 2),
            birth=(36, 16),
            address=(52, 70),
            number=(122, 36),
            issuer=(158, 30),
            valid_from=(188, 16),
            valid_to=(204, 16),
        ),
        CardKind.FOREIGN_2017: Layout(
            english_name=(0, 120),
            sex=(120, 2),
            number=(122, 30),
            nationality=(152, 6),
            name=(158, 30),
            valid_from=(188, 16),
            valid_to=(204, 16),
            birth=(220, 16),
            issuer=(240, 8),
        ),
        CardKind.FOREIGN_2023: Layout(
            name=(0, 30),
            sex=(30, 2),
            birth=(36, 16),
            english_name=(52, 70),
            number=(122, 36),
            valid_from=(188, 16),
            valid_to=(204, 16),
            nationality=(242, 6),
        ),
    }
)

_MARKER = (248, 2)
_KINDS: Mapping[str, CardKind] = MappingProxyType(
    {
        "": CardKind.RESIDENT,
        "J": CardKind.HMT_RESIDENT,
        "I": CardKind.FOREIGN_2017,
        "Y": CardKind.FOREIGN_2023,
    }
)
_PADDING = " \0\u3000"
_FOREIGN_2017_NUMBER = re.compile(r"[A-Z]{3}[0-9]{12}")
_COUNTRY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"[0-9]{8}")


class _Broken(Exception):
    """A rule of the block is broken; carries the field's name, never its content."""

    def __init__(self, field: str, reason: Reason = Reason.GARBLED) -> None:
        self.field = field
        self.reason = reason
        super().__init__(field)


def card_of(text: bytes, photo: bytes) -> CardRead | CardUnreadable:
    """The card that the text block describes, if every rule of its kind holds."""
    try:
        return CardRead(_card(text, photo))
    except _Broken as broken:
        return CardUnreadable(broken.reason, f"text: {broken.field}")


def _card(text: bytes, photo: bytes) -> IdentityCard:
    if len(text) != TEXT_BYTES:
        raise _Broken("length")
    kind = _KINDS.get(_field(text, _MARKER, "kind"))
    if kind is None:
        raise _Broken("kind", Reason.UNSUPPORTED)
    layout = LAYOUTS[kind]
    birth = _date(text, layout.birth, "birth")
    english_name = _field(text, layout.english_name, "english_name")
    valid_from, valid_to = _validity(text, layout)
    return IdentityCard(
        kind=kind,
        # A foreigner need not have a Chinese name.
        name=_field(text, layout.name, "name") or _required(english_name, "name"),
        number=_number(_field(text, layout.number, "number"), kind, birth),
        sex_code=_known(_field(text, layout.sex, "sex"), SEXES, "sex"),
        nation_code=(
            _known(_field(text, layout.nation, "nation"), NATIONS, "nation")
            if layout.nation
            else ""
        ),
        birth=birth,
        address=_field(text, layout.address, "address"),
        issuer=_field(text, layout.issuer, "issuer"),
        valid_from=valid_from,
        valid_to=valid_to,
        english_name=english_name,
        nationality=_nationality(text, layout),
        photo_wlt=photo if photo.startswith(PHOTO_MAGIC) else b"",
    )


def _field(text: bytes, place: tuple[int, int] | None, name: str) -> str:
    if place is None:
        return ""
    offset, length = place
    try:
        value = text[offset : offset + length].decode("utf-16-le").rstrip(_PADDING)
    except UnicodeDecodeError:
        # Without the cause: it would carry the bytes.
        raise _Broken(name) from None
    if not all(map(_is_printable, value)):
        raise _Broken(name)
    return value


def _is_printable(character: str) -> bool:
    """No control character, no non-character.

    Private use and what this Python does not know yet is right: rare characters of names are there.
    """
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return not is_noncharacter and unicodedata.category(character) not in {"Cc", "Cf"}


def _required(value: str, name: str) -> str:
    if not value:
        raise _Broken(name)
    return value


def _known(value: str, codes: Mapping[str, str], name: str) -> str:
    if value not in codes:
        raise _Broken(name)
    return value


def _date(text: bytes, place: tuple[int, int], name: str) -> dt.date:
    value = _field(text, place, name)
    if not _DATE.fullmatch(value):
        raise _Broken(name)
    try:
        return dt.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        raise _Broken(name) from None


def _validity(text: bytes, layout: Layout) -> tuple[dt.date, dt.date | None]:
    valid_from = _date(text, layout.valid_from, "valid_from")
    if _field(text, layout.valid_to, "valid_to") == LONG_TERM:
        return valid_from, None
    valid_to = _date(text, layout.valid_to, "valid_to")
    if valid_to < valid_from:
        raise _Broken("valid_to")
    return valid_from, valid_to


def _number(value: str, kind: CardKind, birth: dt.date) -> str:
    if kind is CardKind.FOREIGN_2017:
        if not _FOREIGN_2017_NUMBER.fullmatch(value):
            raise _Broken("number")
        return value
    number = value.upper()
    if not id_number_is_valid(number) or number[6:14] != f"{birth:%Y%m%d}":
        raise _Broken("number")
    return number


def _nationality(text: bytes, layout: Layout) -> str:
    value = _field(text, layout.nationality, "nationality")
    if layout.nationality and not _COUNTRY.fullmatch(value):
        raise _Broken("nationality")
    return value
