"""A receipt shows every rule and nobody's data, and proves who wrote it; a record decides again."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hallkit.errors import TrustError, WireError
from hallkit.guide.deciding import decide, replay
from hallkit.model.canonical import digest
from hallkit.model.conditions import FactValue
from hallkit.model.decision import Evidence, Source, SourceKind, Verdict
from hallkit.model.receipt import Receipt, Record, masked, receipt_of, sign, verify
from tests.fakes.clock import NOON_MS
from tests.fakes.rule_pack import ID_NUMBER, PACK, PHONE, WAY, evidence

KEY = Ed25519PrivateKey.generate()


def record(known: Evidence | None = None) -> Record:
    known = known or evidence()
    return Record(
        format="hall-decision/1",
        id="01JGK0000000000000000000AA",
        case="case-1",
        item_name="老年人优待证",
        at_ms=NOON_MS,
        pack=PACK,
        evidence=known,
        way=WAY,
        decision=decide(PACK, known, WAY),
    )


def test_it_names_the_pack_by_code_version_and_digest() -> None:
    receipt = receipt_of(record())
    assert (receipt.pack.code, receipt.pack.version) == ("senior-card-instant", "3")
    assert receipt.pack.digest == digest(PACK)
    changed = PACK.model_copy(update={"title": "另一个"})
    assert digest(changed) != digest(PACK)


def test_every_rule_says_what_it_compared_and_where_that_came_from() -> None:
    receipt = receipt_of(record())
    assert [rule.key for rule in receipt.rules] == [rule.key for rule in PACK.rules]
    (age,) = receipt.rules[0].compared
    assert (age.fact, age.value, age.masked) == ("applicant.age", "**", True)
    assert age.source == Source(kind=SourceKind.CARD)
    (first,) = receipt.rules[1].compared
    assert (first.value, first.masked) == (False, False)
    assert first.source == Source(
        kind=SourceKind.UPSTREAM, detail="civil_affairs", at_ms=1_735_790_400_250
    )
    who, proxy = receipt.rules[2].compared
    assert (who.value, proxy.value, proxy.source) == ("self", None, None)


def test_it_says_with_what_each_system_was_asked_and_whether_it_answered() -> None:
    civil, population = receipt_of(record()).systems
    assert (civil.plain_name, civil.no_answer) == ("民政信息系统", None)
    assert [one.value for one in civil.asked_with] == ["5106**********0016"]
    assert (population.no_answer, population.asked_with) == ("not_asked", ())


def test_a_source_may_be_another_than_the_facts_name_says() -> None:
    said = evidence().model_copy(
        update={"sources": {"applicant.age": Source(kind=SourceKind.SAID)}}
    )
    (age,) = receipt_of(record(said)).rules[0].compared
    assert age.source == Source(kind=SourceKind.SAID)


def test_no_number_phone_or_name_stands_in_it() -> None:
    known = evidence(
        form__proxy_name="欧阳示例",
        answer__who="other",
        upstream__civil_affairs__has_card=f"{ID_NUMBER}，{PHONE}",
    )
    text = receipt_of(record(known)).to_bytes().decode()
    assert not any(word in text for word in (ID_NUMBER, PHONE, "欧阳示例", "84"))
    assert "欧***" in text


@pytest.mark.parametrize(
    ("fact", "value", "shown"),
    [
        ("applicant.id_number", ID_NUMBER, "5106**********0016"),
        ("form.applicant_phone", PHONE, "138****0000"),
        ("form.partner_name", "欧阳示例", "欧***"),
        ("form.bank_account", "6200000000000000000", "6********"),
        ("form.note", f"电话{PHONE}", "电********"),
        ("form.amount", 13_800_000_000, "***********"),
        ("form.born_on", "2026-01-31", "2********"),
        ("upstream.population.state", "in_force", "in_force"),
        ("upstream.population.days_left", 30, 30),
        ("form.signature", True, True),
        ("form.children", (ID_NUMBER, "none"), ("5106**********0016", "none")),
        ("form.purpose", "示例写的一句话", "示******"),
        ("form.note", f"9{ID_NUMBER}", "9********"),
        ("form.note", "call 138 0000-0000", "c********"),
        ("today.date", "2026-01-31", "2026-01-31"),
    ],
)
def test_what_is_personal_is_masked_by_its_name_or_by_what_it_looks_like(
    fact: str, value: FactValue, shown: FactValue
) -> None:
    assert masked(fact, value) == shown


@given(
    st.text(max_size=12),
    st.from_regex(r"1[3-9][0-9]{9}|[1-9][0-9]{16}[0-9X]", fullmatch=True),
    st.text(max_size=12),
    st.sampled_from(["form.note", "answer.what", "upstream.tax.told", "licence.card.text"]),
)
def test_no_number_of_anybodys_survives_whatever_stands_around_it(
    before: str, number: str, after: str, fact: str
) -> None:
    shown = masked(fact, before + number + after)
    assert number not in str(shown)


@pytest.mark.parametrize(
    ("value", "shown"), [(True, "*"), (84, "**"), ("510682", "5*****"), ("no", "**")]
)
def test_what_a_pack_masks_is_masked_whatever_it_is(value: FactValue, shown: FactValue) -> None:
    assert masked("applicant.residence", value, hidden=True) == shown


def test_the_signature_holds_for_exactly_this_receipt_and_the_halls_key() -> None:
    signed = sign(receipt_of(record()), KEY)
    verify(Receipt.from_bytes(signed.to_bytes()), [KEY.public_key()])
    forged = signed.model_copy(update={"verdict": Verdict.REFUSED})
    for receipt, key in (
        (forged, KEY),
        (signed, Ed25519PrivateKey.generate()),
        (receipt_of(record()), KEY),
        (signed.model_copy(update={"signature": "no base64"}), KEY),
        (signed.model_copy(update={"key_id": "another"}), KEY),
    ):
        with pytest.raises(TrustError, match="not signed by the hall"):
            verify(receipt, [key.public_key()])


def test_another_layout_of_the_same_json_is_the_same_receipt() -> None:
    signed = sign(receipt_of(record()), KEY)
    loose = json.dumps(json.loads(signed.to_bytes()), indent=2).encode()
    verify(Receipt.from_bytes(loose), [KEY.public_key()])


def test_a_record_is_the_same_bytes_again() -> None:
    content = record().to_bytes()
    assert Record.from_bytes(content).to_bytes() == content
    assert ID_NUMBER not in repr(record())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format": "hall-decision/2"}', b"x" * 2_000_000]
)
def test_what_is_no_record_is_refused_without_a_word_of_it(content: bytes) -> None:
    with pytest.raises(WireError):
        Record.from_bytes(content)


def test_replayed_a_record_gives_the_same_decision_and_receipt() -> None:
    kept = Record.from_bytes(record().to_bytes())
    assert replay(kept, sign(receipt_of(record()), KEY)) == ()


def test_replay_says_where_a_record_differs() -> None:
    changed = record().model_copy(
        update={"evidence": evidence(applicant__age=20)}  # as if somebody had turned 84 into 20
    )
    found = {one.where: (one.was, one.now) for one in replay(changed)}
    assert found["verdict"] == ('"approved"', '"refused"')
    assert found["rules.age.status"] == ('"passed"', '"failed"')


def test_replay_says_where_a_receipt_says_something_else() -> None:
    receipt = receipt_of(record()).model_copy(update={"case": "case-2"})
    assert [one.where for one in replay(record(), receipt)] == ["receipt.case"]
