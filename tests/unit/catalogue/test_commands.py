"""`search`, `guide`, `catalogue`: an answer for each line, an exit code that says how it went."""

import io
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hallkit.catalogue import Catalogue
from hallkit.wire.affairs_api import CatalogueManifest
from launcher.cli import main


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_search_answers_each_line_and_tells_of_a_miss(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "jzz\nqqqq\n")
    assert main(["search", "-", "--json"]) == 1
    found, missed = lines(capsys)
    assert (found["input"], missed) == ("jzz", {"input": "qqqq", "hits": []})
    assert main(["search", "spjyxkz"]) == 0
    assert "食品经营许可证 新办" in capsys.readouterr().out.splitlines()[0]


def test_guide_asks_then_lists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "senior-card\nsenior-card where=local,who=self\nsenoir-card\n")
    assert main(["guide", "-", "--json", "--held", "resident_card"]) == 1
    asks, lists, refused = lines(capsys)
    assert (asks["done"], asks["remaining"], asks["list"]) == (False, 2, None)
    assert isinstance(lists["list"], dict)
    assert lists["list"]["materials"][0]["already_held"] is True
    assert "did you mean 'senior-card'" in str(refused["error"])


def test_guide_refuses_what_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", "senior-card", "--answers", "where"]) == 2
    assert main(["guide", "senior-card", "--answers", "where=moon"]) == 1
    assert "known: elsewhere, local" in capsys.readouterr().err


def test_catalogue_is_verified_built_and_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "verify"]) == 0
    assert capsys.readouterr().out.strip().endswith("sound")
    key = Ed25519PrivateKey.generate()
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    out = tmp_path / "c.sqlite"
    assert main(["catalogue", "sign", str(out), "--version", "3", "--key", str(pem)]) == 0
    manifest = CatalogueManifest.from_bytes(out.with_name("c.sqlite.json").read_bytes(), limit=4096)
    with Catalogue.open(out, manifest, [key.public_key()]) as catalogue:
        assert catalogue.version == "3"
    assert main(["search", "jzz", "--snapshot", str(out)]) == 0
    assert main(["search", "jzz", "--snapshot", str(pem)]) == 2


def test_catalogue_lists_mistakes_in_the_items(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("[[item]]\n", encoding="utf-8")
    assert main(["catalogue", "verify", "--catalogue", str(tmp_path), "--json"]) == 1
    assert {"file": "a.toml", "key": "item 1.task_name"}.items() <= lines(capsys)[1].items()
