"""`hall affairs decide` and `replay`: exit codes, what they say, and what they never say."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from affairs.sealing import Sealer
from hallkit.model.receipt import Receipt, Record
from launcher.cli import main
from tests.fakes.rule_pack import ID_NUMBER

FACTS = {
    "applicant.age": 84,
    "applicant.id_number": ID_NUMBER,
    "applicant.residence": "510682",
    "form.signature": True,
    "upstream.civil_affairs.alive": True,
    "upstream.civil_affairs.receives_age_allowance": False,
}


class Desk:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.out = self.err = ""

    def facts(self, name: str = "facts.json", **more: Any) -> str:
        changed = {key.replace("__", "."): value for key, value in more.items()}
        known = {key: value for key, value in (FACTS | changed).items() if value is not None}
        path = self.folder / name
        path.write_text(json.dumps(known), encoding="utf-8")
        return str(path)

    def run(self, *words: str) -> int:
        code = main(["affairs", *words])
        self.out, self.err = self._capsys.readouterr()
        assert ID_NUMBER not in self.out + self.err
        return code

    def keys(self) -> tuple[str, str]:
        key = Ed25519PrivateKey.generate()
        secret, public = self.folder / "key.pem", self.folder / "key.pub"
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        return str(secret), str(public)

    def kept(self, *more: str, **facts: Any) -> tuple[str, str]:
        """A record and its receipt."""
        record, receipt = str(self.folder / "record.json"), str(self.folder / "receipt.json")
        wanted = ("--facts", self.facts(**facts), "--record", record, "--receipt", receipt)
        assert self.run("decide", "age-allowance", *wanted, *more) in (0, 1)
        return record, receipt


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_approved_is_0(desk: Desk) -> None:
    assert desk.run("decide", "age-allowance", "--facts", desk.facts()) == 0
    assert "八十岁老人领高龄补贴：批好了" in desk.out
    assert "✓ 看老人满没满八十岁：满八十岁了。" in desk.out


def test_refused_is_1_with_why_what_to_do_and_where(desk: Desk) -> None:
    facts = desk.facts(applicant__age=79)
    assert desk.run("decide", "age-allowance", "--facts", facts) == 1
    for told in ("✗ 看老人满没满八十岁", "满八十岁前一个月到窗口", "去哪里：1楼 1-4号窗口"):
        assert told in desk.out


def test_what_nobody_knows_is_1_and_a_way_to_the_window(desk: Desk) -> None:
    facts = desk.facts(
        upstream__civil_affairs__alive=None,
        upstream__civil_affairs__receives_age_allowance=None,
    )
    assert desk.run("decide", "age-allowance", "--facts", facts, "--json") == 1
    told = json.loads(desk.out)
    assert told["verdict"] == "to_window"
    assert told["way"]["service"] == "general"
    assert len(told["reasons"]) == 2
    assert all("民政信息系统" in reason["said"] for reason in told["reasons"])
    assert told["receipt"]["systems"][0]["no_answer"] == "not_asked"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["age-allowanc"], "did you mean 'age-allowance'"),
        (["food-licence-new"], "no rule pack"),
        (["age-allowance", "--facts", "nowhere.json"], "nowhere.json"),
        (["age-allowance", "--catalogue", "nowhere"], "no items"),
        (["age-allowance", "--key", "nowhere.pem"], "nowhere.pem"),
        (["age-allowance", "--upstream", "http://127.0.0.1"], "is the systems' to answer"),
    ],
)
def test_wrong_use_is_2_and_says_what_is_wrong(desk: Desk, words: list[str], told: str) -> None:
    assert desk.run("decide", "--facts", desk.facts(), *words) == 2
    assert told in desk.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "facts.json"),
        ("{", "facts.json"),
        (f'{{"applicant.id_number": {{"x": "{ID_NUMBER}"}}}}', "applicant.id_number"),
        ('{"form.sigature": true}', "did you mean 'form.signature'"),
        ('{"upstream.tax.cleared": true}', "upstream.tax.cleared"),
    ],
)
def test_facts_that_are_none_are_2(desk: Desk, content: str, told: str) -> None:
    path = desk.folder / "facts.json"
    path.write_text(content, encoding="utf-8")
    assert desk.run("decide", "age-allowance", "--facts", str(path)) == 2
    assert told in desk.err


def test_facts_are_asked_for(desk: Desk) -> None:
    assert desk.run("decide", "age-allowance") == 2
    assert "--facts" in desk.err


def test_many_are_read_from_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = desk.facts("good.json"), desk.facts("bad.json", applicant__age=20)
    lines = [f"age-allowance {good}", f"age-allowance {bad}", f"nothing {good}"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    assert desk.run("decide", "-", "--json") == 2
    told = [json.loads(line) for line in desk.out.splitlines()]
    assert [one["input"] for one in told] == lines
    assert [one["verdict"] for one in told] == ["approved", "refused", None]


@pytest.fixture
def closed() -> Iterator[str]:
    """An address that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_a_system_that_nobody_answers_for_is_down(desk: Desk, closed: str) -> None:
    facts = desk.facts(
        upstream__civil_affairs__alive=None,
        upstream__civil_affairs__receives_age_allowance=None,
    )
    words = ("--facts", facts, "--upstream", closed, "--json")
    assert desk.run("decide", "age-allowance", *words) == 1
    assert json.loads(desk.out)["receipt"]["systems"][0]["no_answer"] == "down"


def test_the_receipt_is_signed_and_the_record_nobody_elses_to_read(desk: Desk) -> None:
    secret, public = desk.keys()
    (desk.folder / "record.json").write_text("an old one, open to all")
    record, receipt = desk.kept("--key", secret)
    assert Path(record).stat().st_mode & 0o777 == 0o600
    assert ID_NUMBER not in Path(receipt).read_text(encoding="utf-8")
    assert desk.run("replay", record, "--receipt", receipt, "--key", public, "--json") == 0
    told = json.loads(desk.out)
    assert (told["same"], told["signed"], told["verdict"]) == (True, True, "approved")


def test_a_changed_record_is_1_and_says_where(desk: Desk) -> None:
    path, _ = desk.kept()
    record = Record.from_bytes(Path(path).read_bytes())
    facts = record.evidence.facts | {"applicant.age": 20}
    evidence = record.evidence.model_copy(update={"facts": facts})
    Path(path).write_bytes(record.model_copy(update={"evidence": evidence}).to_bytes())
    assert desk.run("replay", path) == 1
    assert "rules.age.status" in desk.out


def test_a_forged_receipt_is_1(desk: Desk) -> None:
    secret, public = desk.keys()
    record, path = desk.kept("--key", secret)
    receipt = Receipt.from_bytes(Path(path).read_bytes())
    Path(path).write_bytes(receipt.model_copy(update={"case": "another"}).to_bytes())
    assert desk.run("replay", record, "--receipt", path, "--key", public) == 1
    assert "receipt.case" in desk.out
    assert "签名不对" in desk.out


def test_a_sealed_record_is_opened_with_its_key_and_row(desk: Desk) -> None:
    path, _ = desk.kept()
    key = desk.folder / "data.key"
    key.write_bytes(b"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    sealed = desk.folder / "01JGK0000000000000000000AA.record"
    sealed.write_bytes(Sealer.from_file(key).seal(sealed.stem, Path(path).read_bytes()))
    assert desk.run("replay", str(sealed), "--data-key", str(key)) == 0
    assert desk.run("replay", str(sealed), "--data-key", str(key), "--id", "another") == 2
    assert desk.run("replay", str(sealed)) == 2


@pytest.mark.parametrize("more", [["--key", "key.pub"], ["--receipt", "nowhere"], []])
def test_wrong_use_of_replay_is_2(desk: Desk, more: list[str]) -> None:
    assert desk.run("replay", str(desk.folder / "nowhere.json"), *more) == 2
    assert desk.err
