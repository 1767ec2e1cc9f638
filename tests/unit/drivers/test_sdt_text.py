"""The text on a card: all four kinds are understood, anything doubtful is no card."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.id_card_reader.sdt_frames import READ, ReplyStream, frame, split_read
from drivers.id_card_reader.sdt_text import NATIONS, SEXES, card_of
from hallkit.errors import Reason
from hallkit.model.identity import CardKind, IdentityCard, id_number_is_valid
from hallkit.ports.id_card_reader import CardRead, CardUnreadable

VECTORS = Path(__file__).parents[4] / "shared" / "data" / "devices" / "vectors" / "sdt.json"

RESIDENT = {
    0: "张三",
    30: "2",
    32: "01",
    36: "19491231",
    52: "四川省什邡市方亭街道测试路1号",
    122: "11010519491231002X",
    158: "什邡市公安局",
    188: "20200101",
    204: "20400101",
}
HMT = {
    0: "陈测试",
    30: "2",
    36: "19940823",
    52: "四川省什邡市测试路2号",
    122: "810000199408230021",
    158: "什邡市公安局",
    188: "20200101",
    204: "20250101",
    220: "H00000000",
    238: "01",
    248: "J",
}
FOREIGN_2017 = {
    0: "SPECIMEN, ANY",
    120: "2",
    122: "CAN110081080300",
    152: "CAN",
    158: "证件样本",
    188: "20180101",
    204: "20280101",
    220: "19810803",
    236: "01",
    240: "1500",
    248: "I",
}
FOREIGN_2023 = {
    0: "证件样本",
    30: "2",
    32: "01",
    36: "19810803",
    52: "SPECIMEN, ANY",
    122: "911124198108030024",
    188: "20240101",
    204: "20340101",
    242: "CAN",
    248: "Y",
}


def block(fields: dict[int, str], changes: dict[int, str] | None = None) -> bytes:
    """256 bytes of text with the fields at their offsets."""
    text = bytearray(" " * 128, "utf-16-le")
    for offset, value in {**fields, **(changes or {})}.items():
        raw = value.encode("utf-16-le")
        text[offset : offset + len(raw)] = raw
    return bytes(text)


def card(fields: dict[int, str], changes: dict[int, str] | None = None) -> IdentityCard:
    outcome = card_of(block(fields, changes), b"")
    assert isinstance(outcome, CardRead), outcome
    return outcome.card


def refused(fields: dict[int, str], changes: dict[int, str]) -> str:
    outcome = card_of(block(fields, changes), b"")
    assert isinstance(outcome, CardUnreadable)
    assert outcome.reason is Reason.GARBLED
    return outcome.detail


def test_resident() -> None:
    assert card(RESIDENT) == IdentityCard(
        kind=CardKind.RESIDENT,
        name="张三",
        number="11010519491231002X",
        sex_code="2",
        nation_code="01",
        birth=dt.date(1949, 12, 31),
        address="四川省什邡市方亭街道测试路1号",
        issuer="什邡市公安局",
        valid_from=dt.date(2020, 1, 1),
        valid_to=dt.date(2040, 1, 1),
    )


def test_hong_kong_macau_taiwan_resident() -> None:
    assert card(HMT) == IdentityCard(
        kind=CardKind.HMT_RESIDENT,
        name="陈测试",
        number="810000199408230021",
        sex_code="2",
        birth=dt.date(1994, 8, 23),
        address="四川省什邡市测试路2号",
        issuer="什邡市公安局",
        valid_from=dt.date(2020, 1, 1),
        valid_to=dt.date(2025, 1, 1),
    )


def test_foreigner_2017() -> None:
    assert card(FOREIGN_2017) == IdentityCard(
        kind=CardKind.FOREIGN_2017,
        name="证件样本",
        number="CAN110081080300",
        sex_code="2",
        birth=dt.date(1981, 8, 3),
        issuer="1500",
        valid_from=dt.date(2018, 1, 1),
        valid_to=dt.date(2028, 1, 1),
        english_name="SPECIMEN, ANY",
        nationality="CAN",
    )


def test_foreigner_2023() -> None:
    assert card(FOREIGN_2023) == IdentityCard(
        kind=CardKind.FOREIGN_2023,
        name="证件样本",
        number="911124198108030024",
        sex_code="2",
        birth=dt.date(1981, 8, 3),
        valid_from=dt.date(2024, 1, 1),
        valid_to=dt.date(2034, 1, 1),
        english_name="SPECIMEN, ANY",
        nationality="CAN",
    )


def test_a_foreigner_without_a_chinese_name_goes_by_the_english_one() -> None:
    assert card(FOREIGN_2017, {158: " " * 15}).name == "SPECIMEN, ANY"


def test_long_term_has_no_end() -> None:
    assert card(RESIDENT, {204: "长期".ljust(8)}).valid_to is None


def test_the_marker_of_a_resident_may_be_zero() -> None:
    assert card(RESIDENT, {248: "\0"}).kind is CardKind.RESIDENT


def test_a_small_x_is_the_check_character_too() -> None:
    assert card(RESIDENT, {122: "11010519491231002x"}).number == "11010519491231002X"


def test_rare_characters_of_names_are_kept() -> None:
    assert card(RESIDENT, {0: "\ue863\U00020bb7"}).name == "\ue863\U00020bb7"


def test_an_unknown_kind_is_not_supported() -> None:
    outcome = card_of(block(RESIDENT, {248: "Q"}), b"")
    assert outcome == CardUnreadable(Reason.UNSUPPORTED, "text: kind")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({0: " " * 15}, "name"),
        ({0: "张\x07"}, "name"),
        ({0: "张\0三"}, "name"),
        ({0: "张\u202e三"}, "name"),
        ({0: "张\uffff三"}, "name"),
        ({30: "3"}, "sex"),
        ({30: " "}, "sex"),
        ({32: "57"}, "nation"),
        ({32: "  "}, "nation"),
        ({36: "19491331"}, "birth"),
        ({36: "1949123 "}, "birth"),
        ({36: "１９４９1231"}, "birth"),
        ({36: "19491230"}, "number"),
        ({122: "110105194912310021"}, "number"),
        ({122: "11010519491231002 "}, "number"),
        ({122: "1101051949123100２X"}, "number"),
        ({188: "        "}, "valid_from"),
        ({188: "长期".ljust(8)}, "valid_from"),
        ({204: "20191231"}, "valid_to"),
        ({204: "长久".ljust(8)}, "valid_to"),
    ],
)
def test_a_resident_card_with_one_wrong_field_is_no_card(
    changes: dict[int, str], field: str
) -> None:
    assert refused(RESIDENT, changes) == f"text: {field}"


@pytest.mark.parametrize(
    ("fields", "changes", "field"),
    [
        (HMT, {122: "810000199408230022"}, "number"),
        (HMT, {36: "19940824"}, "number"),
        (FOREIGN_2017, {122: "CAN11008108030"}, "number"),
        (FOREIGN_2017, {122: "can110081080300"}, "number"),
        (FOREIGN_2017, {152: "C1N"}, "nationality"),
        (FOREIGN_2017, {0: " " * 60, 158: " " * 15}, "name"),
        (FOREIGN_2023, {122: "911124198108030025"}, "number"),
        (FOREIGN_2023, {242: "   "}, "nationality"),
    ],
)
def test_other_kinds_with_one_wrong_field_are_no_cards(
    fields: dict[int, str], changes: dict[int, str], field: str
) -> None:
    if 122 in changes:
        changes = {122: changes[122].ljust(15)}
    assert refused(fields, changes) == f"text: {field}"


def test_half_a_surrogate_pair_is_no_name() -> None:
    text = bytearray(block(RESIDENT))
    text[0:2] = b"\x00\xd8"
    assert card_of(bytes(text), b"") == CardUnreadable(Reason.GARBLED, "text: name")


@pytest.mark.parametrize("size", [0, 255, 257])
def test_a_block_of_another_size_is_no_card(size: int) -> None:
    text = block(RESIDENT).ljust(257, b"\0")[:size]
    assert card_of(text, b"") == CardUnreadable(Reason.GARBLED, "text: length")


def test_only_a_photo_that_says_it_is_one_is_kept() -> None:
    photo = bytes.fromhex("574C66007E00").ljust(1024, b"\0")
    for given_photo, kept in ((photo, photo), (bytes(1024), b""), (b"", b"")):
        outcome = card_of(block(RESIDENT), given_photo)
        assert isinstance(outcome, CardRead)
        assert outcome.card.photo_wlt == kept


def test_tables_and_the_published_block(subtests: pytest.Subtests) -> None:
    if not VECTORS.exists():
        pytest.skip("the published frames are kept beside the repository and are not here")
    vectors: dict[str, Any] = json.loads(VECTORS.read_text())
    with subtests.test("nations"):
        assert dict(NATIONS) == vectors["nation_codes"]
    with subtests.test("sexes"):
        assert dict(SEXES) == vectors["sex_codes"]
    with subtests.test("block"):
        sample = vectors["synthetic_card"]
        outcome = card_of(bytes.fromhex(sample["text_block_256_hex"]), b"")
        assert isinstance(outcome, CardRead)
        assert outcome.card == IdentityCard(
            kind=CardKind.RESIDENT,
            name=sample["name"],
            number=sample["id_number"].split()[0],
            sex_code=sample["sex"],
            nation_code=sample["nation"],
            birth=dt.date(1949, 12, 31),
            address=sample["address"],
            issuer=sample["issuer"],
            valid_from=dt.date(2020, 1, 1),
            valid_to=None,
        )


# --- no bytes may become a wrong identity ---

SAMPLES = st.sampled_from([RESIDENT, HMT, FOREIGN_2017, FOREIGN_2023]).map(block)
CHANGES = st.lists(st.tuples(st.integers(0, 1294), st.integers(0, 255)), max_size=6)


def answer_of(text: bytes) -> bytes:
    return frame(bytes.fromhex("000090 0100 0400") + text + bytes(1024))


def outcome_of(wire: bytes) -> CardRead | CardUnreadable | None:
    """What becomes of an answer to `read`; None: no answer."""
    for reply in ReplyStream().feed(wire):
        if READ.is_answered_by(reply):
            parts = split_read(reply.data) if reply.data else None
            return card_of(*parts) if parts else None
    return None


def is_sound(read: IdentityCard) -> bool:
    return read.kind is CardKind.FOREIGN_2017 or (
        id_number_is_valid(read.number) and read.number[6:14] == f"{read.birth:%Y%m%d}"
    )


@given(st.binary(min_size=256, max_size=256))
def test_any_block_gives_an_outcome(text: bytes) -> None:
    outcome = card_of(text, b"")
    assert isinstance(outcome, CardUnreadable) or is_sound(outcome.card)


@given(SAMPLES, CHANGES)
def test_a_damaged_block_gives_a_sound_card_or_none(
    text: bytes, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(text)
    for offset, value in changes:
        damaged[offset % 256] = value
    outcome = card_of(bytes(damaged), b"")
    assert isinstance(outcome, CardUnreadable) or is_sound(outcome.card)


@given(SAMPLES, st.integers(0, 1294), st.integers(1, 255))
def test_one_damaged_byte_in_the_answer_never_gives_a_card(
    text: bytes, offset: int, flip: int
) -> None:
    wire = bytearray(answer_of(text))
    wire[offset] ^= flip
    assert not isinstance(outcome_of(bytes(wire)), CardRead)


@given(SAMPLES, CHANGES, st.integers(0, 1295), st.binary(max_size=8))
def test_a_damaged_answer_gives_a_sound_card_or_none(
    text: bytes, changes: list[tuple[int, int]], place: int, inserted: bytes
) -> None:
    wire = bytearray(answer_of(text))
    for offset, value in changes:
        wire[offset] = value
    wire[place:place] = inserted
    outcome = outcome_of(bytes(wire))
    assert not isinstance(outcome, CardRead) or is_sound(outcome.card)


@given(SAMPLES, st.integers(0, 1294))
def test_a_cut_answer_is_no_card(text: bytes, size: int) -> None:
    assert outcome_of(answer_of(text)[:size]) is None


def test_the_whole_answer_is_a_card() -> None:
    assert isinstance(outcome_of(answer_of(block(RESIDENT))), CardRead)
