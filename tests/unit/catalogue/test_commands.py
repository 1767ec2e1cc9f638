"""`search`, `guide`, `catalogue`: an answer for each line, an exit code that says how it went."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hallkit.catalogue import Catalogue
from hallkit.wire.affairs_api import CatalogueManifest
from launcher.cli import main
from tests.fakes.item import ITEM


@pytest.fixture(scope="module", autouse=True)
def _catalogue(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder with one item, so that authors at work do not disturb."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "items.jsonl").write_text(ITEM.model_dump_json(by_alias=True), encoding="utf-8")
    CATALOGUE[:] = ["--catalogue", str(folder)]


CATALOGUE: list[str] = []


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_search_answers_each_line_and_tells_of_a_miss(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "lnz\nqqqq\n")
    assert main(["search", "-", "--json"]) == 1
    found, missed = lines(capsys)
    assert found["input"] == "lnz"
    assert found["outcome"] == "match"
    assert {"rank": 1, "code": "senior-card"}.items() <= found["results"][0].items()
    assert found["results"][0].keys() == {"rank", "code", "name", "score", "reason"}
    assert missed == {"input": "qqqq", "outcome": "person", "results": []}
    assert main(["search", "spjyxkz"]) == 0
    assert "食品经营许可证 新办" in capsys.readouterr().out.splitlines()[0]


def test_search_answers_every_line_once_even_an_empty_or_broken_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.TextIOWrapper(io.BytesIO("\n \n\r\n老年证\u2028a\n".encode() + b"\xff\xfe\0\n!"))
    monkeypatch.setattr("sys.stdin", raw)
    assert main(["search", "-", "--json"]) == 1
    told = lines(capsys)
    assert [line["outcome"] for line in told] == ["person"] * 3 + ["match"] + ["person"] * 2


def test_search_refuses_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search"]) == 2
    assert main(["search", "证", "--limit", "0"]) == 2
    assert main(["search", "证", "--catalogue", str(tmp_path)]) == 2
    assert main(["search", "证", "--catalogue", str(tmp_path / "none")]) == 2


ONE = {
    "catalog_code": "one",
    "task_name": "结婚登记",
    "plain_name": "结婚登记",
    "dept_name": "民政局",
    "theme": "示例",
    "service": "general",
    "transact_addr": "1楼",
    "materials": [],
    "base_materials": [],
    "steps": ["到窗口"],
}


def test_search_indexes_a_directory_once_and_again_when_it_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(json.dumps(ONE) + "\n", encoding="utf-8")
    ask = ["search", "结婚证", "--json", "--catalogue", str(tmp_path)]
    assert main(ask) == 0
    kept = list((tmp_path / ".index").iterdir())
    assert main(ask) == 0
    assert list((tmp_path / ".index").iterdir()) == kept
    with items.open("a", encoding="utf-8") as more:
        more.write(json.dumps({**ONE, "catalog_code": "two", "task_name": "补领结婚证"}) + "\n")
    assert main(ask) == 0
    assert len(list((tmp_path / ".index").iterdir())) == 1
    assert list((tmp_path / ".index").iterdir()) != kept
    assert [len(line["results"]) for line in lines(capsys)] == [1, 1, 2]


def test_search_works_where_no_index_can_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "items.jsonl").write_text(json.dumps(ONE), encoding="utf-8")
    (tmp_path / ".index").write_text("no folder", encoding="utf-8")
    assert main(["search", "结婚证", "--json", "--catalogue", str(tmp_path)]) == 0
    assert lines(capsys)[0]["results"][0]["name"] == "结婚登记"


def test_search_counts_misses_and_tells_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = str(tmp_path / "misses.sqlite")
    feed(monkeypatch, "天上掉星星\n天上掉星星 123\n居住证\n")
    assert main(["search", "-", "--misses", journal]) == 1
    capsys.readouterr()
    assert main(["search", "--misses", journal, "--json"]) == 0
    assert lines(capsys) == [{"said": "天上掉星星", "times": 2}]


def test_guide_asks_then_lists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "food\n开饭店 place=rented,size=big\nfod\nfood place=moon\n")
    assert main(["guide", "-", "--json", "--held", "resident_card", *CATALOGUE]) == 1
    asks, lists, refused, unfit = lines(capsys)
    assert asks["question"] == {
        "key": "place",
        "text": "店面是租的吗",
        "why": "租的要看合同",
        "multiple": False,
        "none": None,
        "options": [
            {"key": "rented", "label": "租的", "explain": ""},
            {"key": "own", "label": "自己的", "explain": ""},
        ],
    }
    assert (asks["input"], asks["answered"], asks["guide"]) == ("food", [], None)
    guide = lists["guide"]
    assert isinstance(guide, dict)
    assert guide["materials"][0]["already_held"] is True
    assert (guide["item"], guide["window"], guide["days"]) == ("food", "2楼 A区", None)
    assert "did you mean 'food'" in str(refused["error"])
    assert "known: own, rented" in str(unfit["error"])


def test_a_slips_code_opens_the_same_guide(capsys: pytest.CaptureFixture[str]) -> None:
    answers = ["--answers", "place=rented,size=big"]
    assert main(["guide", "food", "--json", *answers, *CATALOGUE]) == 0
    (first,) = lines(capsys)
    assert isinstance(first["guide"], dict)
    assert main(["guide", str(first["guide"]["code"]), "--json", *CATALOGUE]) == 0
    (again,) = lines(capsys)
    assert again["guide"] == first["guide"]


@pytest.mark.parametrize(
    ("item", "answers", "said"),
    [
        ("divorce-register", "stage=apply,agree=yes,book=both", "60 天内办好"),
        ("id-card-new", "age=adult,where=local", "10 个工作日内办好"),
    ],
)
def test_guide_says_of_which_days_it_speaks(
    capsys: pytest.CaptureFixture[str], item: str, answers: str, said: str
) -> None:
    assert main(["guide", item, "--answers", answers]) == 0
    assert said in capsys.readouterr().out.splitlines()[-1]


def test_guide_refuses_what_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", "food", "--answers", "place", *CATALOGUE]) == 2
    assert main(["guide", "food", "--answers", "place=moon", *CATALOGUE]) == 1
    assert main(["guide", "food", "--facts", "applicant.agee=3", *CATALOGUE]) == 2
    assert main(["guide", "food", "--facts", "applicant.age=old", *CATALOGUE]) == 2
    assert main(["guide", "food", "--catalogue", "/nowhere"]) == 2
    told = capsys.readouterr().err
    assert "known: own, rented" in told
    assert "did you mean 'applicant.age'" in told
    assert "is a number" in told


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
