"""What is kept of a decision: the record (everything, sealed) and the receipt (masked, signed).

The record is what `hallkit.guide.deciding.replay` decides again from; it holds personal data in
full and is sealed wherever it is kept. The receipt says every rule with what was compared, masked,
and where that came from; whoever holds the hall's public key verifies it without network.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Literal, Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from hallkit.errors import TrustError, WireError
from hallkit.model.base import Value
from hallkit.model.canonical import canonical
from hallkit.model.conditions import FactValue
from hallkit.model.decision import (
    Decision,
    Evidence,
    NoAnswer,
    PackName,
    RuleOutcome,
    RuleStatus,
    Source,
    Verdict,
    Way,
)
from hallkit.model.identity import mask_id_number, mask_name, mask_phone
from hallkit.model.rules import RulePack

RECORD_FORMAT = "hall-decision/1"
RECEIPT_FORMAT = "hall-receipt/1"
RECORD_LIMIT = 1024 * 1024
RECEIPT_LIMIT = 256 * 1024
SIGNED = b"HK1.R."
"""Before what is signed, so that no signature of the hall's on something else is one of these."""
_KEY_ID = 16

_V = TypeVar("_V", bound=Value)


class Record(Value):
    """All that a decision was made from and what it was. Personal data."""

    format: Literal["hall-decision/1"]
    id: str
    """ULID; the idempotency keys of what was asked begin with it."""
    case: str
    item_name: str = ""
    at_ms: int
    pack: RulePack
    evidence: Evidence
    way: Way
    decision: Decision

    def to_bytes(self) -> bytes:
        return canonical(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """`WireError` if that is no record; it never says what was in it."""
        return _read(cls, content, RECORD_LIMIT)

    def __repr__(self) -> str:
        return f"Record({self.id}, {self.decision.verdict}, masked)"

    __str__ = __repr__


class Compared(Value):
    """A value that a rule looked at."""

    fact: str
    value: FactValue | None = None
    """As text with stars where it is masked; None if nobody knew it."""
    masked: bool = False
    source: Source | None = None


class RuleReceipt(Value):
    """One rule, for whoever asks why."""

    key: str
    kind: Literal["precheck", "decision", "push"]
    status: RuleStatus
    text: str
    said: str = ""
    what_to_do: str = ""
    by_law: str = ""
    compared: tuple[Compared, ...] = ()


class SystemReceipt(Value):
    """One system, and what it was asked with."""

    system: str
    plain_name: str = ""
    asked_with: tuple[Compared, ...] = ()
    no_answer: NoAnswer | None = None
    at_ms: int | None = None


class Receipt(Value):
    """办理回执 of a decision."""

    format: Literal["hall-receipt/1"]
    id: str
    """Of the record."""
    case: str
    item: str
    item_name: str = ""
    pack: PackName
    verdict: Verdict
    decided_at: dt.datetime
    """UTC."""
    rules: tuple[RuleReceipt, ...]
    systems: tuple[SystemReceipt, ...] = ()
    way: Way | None = None
    sample: bool = False
    """示例数据: the pack is no authority's."""
    key_id: str = ""
    """First digits of the SHA-256 of the signer's public key."""
    signature: str = ""
    """Ed25519 over `signed_text`, base64."""

    @property
    def signed_text(self) -> bytes:
        return SIGNED + canonical(self.model_copy(update={"signature": ""}))

    def to_bytes(self) -> bytes:
        return canonical(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """`WireError` if that is no receipt. Whether it is genuine, `verify` says."""
        return _read(cls, content, RECEIPT_LIMIT)


def receipt_of(record: Record) -> Receipt:
    """The receipt of a record, not yet signed."""
    rules = {rule.key: rule for rule in record.pack.rules}
    plain = {check.system: check.plain_name for check in record.pack.upstream}
    evidence, decision = record.evidence, record.decision
    hidden = frozenset(fact for rule in record.pack.rules for fact in rule.masks)
    return Receipt(
        format="hall-receipt/1",
        id=record.id,
        case=record.case,
        item=decision.item,
        item_name=record.item_name,
        pack=decision.pack,
        verdict=decision.verdict,
        decided_at=dt.datetime.fromtimestamp(record.at_ms / 1000, tz=dt.UTC),
        rules=tuple(
            _rule(outcome, evidence, frozenset(rules[outcome.key].masks) | hidden)
            for outcome in decision.rules
        ),
        systems=tuple(
            SystemReceipt(
                system=one.system,
                plain_name=plain.get(one.system, ""),
                asked_with=tuple(_compared(fact, evidence, hidden) for fact in one.facts),
                no_answer=one.no_answer,
                at_ms=one.at_ms,
            )
            for one in evidence.asked
        ),
        way=decision.way,
        sample=record.pack.sample,
    )


def sign(receipt: Receipt, key: Ed25519PrivateKey) -> Receipt:
    """The same receipt under the hall's name."""
    named = receipt.model_copy(update={"key_id": key_id(key.public_key())})
    signature = base64.b64encode(key.sign(named.signed_text)).decode()
    return named.model_copy(update={"signature": signature})


def verify(receipt: Receipt, keys: Collection[Ed25519PublicKey]) -> None:
    """`TrustError` unless one of the keys signed exactly this."""
    try:
        signature = base64.b64decode(receipt.signature, validate=True)
    except ValueError:
        signature = b""
    for key in keys:
        with suppress(InvalidSignature):
            key.verify(signature, receipt.signed_text)
            return
    raise TrustError("the receipt is not signed by the hall")


def key_id(key: Ed25519PublicKey) -> str:
    """A short name of a public key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:_KEY_ID]


def _read(cls: type[_V], content: bytes, limit: int) -> _V:
    if len(content) > limit:
        raise WireError("oversized", f"{len(content)} bytes, at most {limit}")
    try:
        return cls.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError("malformed", f"{cls.__name__}.{where}: {first['type']}") from None


def _rule(outcome: RuleOutcome, evidence: Evidence, hidden: frozenset[str]) -> RuleReceipt:
    return RuleReceipt(
        key=outcome.key,
        kind=outcome.kind,
        status=outcome.status,
        text=outcome.text,
        said=outcome.said,
        what_to_do=outcome.what_to_do,
        by_law=outcome.by_law,
        compared=tuple(_compared(fact, evidence, hidden) for fact in outcome.compared),
    )


# ── Masks ────────────────────────────────────────────────────────────────────────────────────

_ID_NUMBER = re.compile(r"\d{17}[\dXx]")
_PHONE = re.compile(r"1[3-9]\d{9}")
_LONG_NUMBER = re.compile(r"\d{11}")
_SPACING = re.compile(r"[\s-]")
_PERSONAL = re.compile(
    r"(^|_)(id|id_number|phone|mobile|address|place|birth|born_on|born|account|card|number|plate"
    r"|photo|email|contact)$"
)
_NAME = re.compile(r"(^|_)name$")


def _compared(fact: str, evidence: Evidence, hidden: frozenset[str]) -> Compared:
    value = evidence.facts.get(fact)
    if value is None:
        return Compared(fact=fact)
    shown = masked(fact, value, hidden=fact in hidden)
    return Compared(fact=fact, value=shown, masked=shown != value, source=evidence.source(fact))


def masked(fact: str, value: FactValue, *, hidden: bool = False) -> FactValue:
    """What a receipt may show of a value: of a person only enough to know it again.

    Masked is what a pack's `masks` name, what by its name is personal (number, phone, name,
    address, account …), and wherever they stand words that somebody wrote and long numbers.
    """
    if isinstance(value, tuple):
        return tuple(str(masked(fact, word, hidden=hidden)) for word in value)
    if isinstance(value, bool):
        return "*" if hidden else value
    last = fact.rpartition(".")[2]
    personal = hidden or _PERSONAL.search(last) is not None or _looks_personal(str(value))
    if isinstance(value, str):
        return _mask_text(value, last) if personal or _NAME.search(last) else value
    return "*" * len(str(value)) if personal else value


def _looks_personal(text: str) -> bool:
    """Words of a language, and digits enough for a phone; keys, dates and small numbers are not."""
    return not text.isascii() or _LONG_NUMBER.search(_SPACING.sub("", text)) is not None


def _mask_text(text: str, last: str) -> str:
    """The first of more than three characters stays, and not the length of what is long."""
    if _ID_NUMBER.fullmatch(text):
        return mask_id_number(text)
    if _PHONE.fullmatch(text):
        return mask_phone(text)
    if _NAME.search(last):
        return mask_name(text)
    return "*" * len(text) if len(text) <= 3 else text[0] + "*" * min(len(text) - 1, 8)
