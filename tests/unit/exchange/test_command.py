"""`catalogue import`, `export`, `verify`, `sign`: what they print and how they end."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hallkit.catalogue import Catalogue
from hallkit.wire.affairs_api import CatalogueManifest
from launcher.cli import main

ROW = {
    "department": "示例局",
    "main": "未分类",
    "name": "示例证变更",
    "item_code": "511A33034003-510682000000-000-11510682MB1500001L-1-00",
    "task_type": "1",
}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n", encoding="utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_import_then_verify_export_and_sign(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--catalogue", str(tmp_path / "c")]
    assert main(["catalogue", "import", str(rows), *place, "--json"]) == 0
    item, summary = told(capsys)
    assert item["catalog_code"] == ROW["item_code"]
    assert "受理条件" in item["missing_words"]
    assert (summary["added"], summary["lost"]) == (1, 0)
    assert summary["missing"]["accept_condition"] == 1
    assert main(["catalogue", "verify", *place, "--json"]) == 0
    assert told(capsys)[-1]["items"] == 1
    assert main(["catalogue", "export", "--format", "sichuan", *place]) == 0
    (back,) = told(capsys)
    assert back == ROW | {"area": "510682000000", "dept_code": "11510682MB1500001L"}
    out = tmp_path / "national.jsonl"
    assert main(["catalogue", "export", "--out", str(out), *place, "--json"]) == 0
    assert told(capsys) == [{"items": 1, "format": "national"}]
    assert "up_task_general_basic" in json.loads(out.read_text(encoding="utf-8"))
    key = Ed25519PrivateKey.generate()
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert main(["catalogue", "sign", *place, "--key", str(pem)]) == 0
    snapshot = tmp_path / "c" / "catalogue.sqlite"
    manifest = CatalogueManifest.from_bytes(
        snapshot.with_name("catalogue.sqlite.json").read_bytes(), limit=4096
    )
    with Catalogue.open(snapshot, manifest, [key.public_key()]) as catalogue:
        assert catalogue.item(ROW["item_code"]) is not None


def test_a_loss_is_a_negative_outcome(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rows.open("a", encoding="utf-8") as out:
        out.write("{broken\n")
    assert main(["catalogue", "import", str(rows), "--catalogue", str(tmp_path / "c")]) == 1
    printed = capsys.readouterr().out
    assert "rows.jsonl:2: is not JSON" in printed
    assert "1 added" in printed


def test_wrong_use(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "absent")
    assert main(["catalogue", "import", absent, "--catalogue", str(tmp_path / "c")]) == 2
    assert main(["catalogue", "import", str(rows), "--catalogue", str(rows)]) == 2
    assert main(["catalogue", "verify", "--catalogue", absent]) == 2
    assert "is no file" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_former_items_that_cannot_be_read_are_not_thrown_away(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "c"
    place.mkdir()
    (place / "items.jsonl").write_text("{}\n", encoding="utf-8")
    command = ["catalogue", "import", str(rows), "--catalogue", str(place)]
    assert main(command) == 1
    assert "import with --replace" in capsys.readouterr().out
    assert (place / "items.jsonl").read_text(encoding="utf-8") == "{}\n"
    assert main([*command, "--replace"]) == 0
