"""Rows of each layout become items, and items rows again; what is wrong is told, never fatal."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affairs.catalogue_source import check, load
from affairs.exchange import folder, national
from affairs.exchange.codes import check_uscc
from affairs.exchange.registry import LAYOUTS, Batch, read
from affairs.exchange.source import Row, lower
from hallkit.model.item import Item

USCC = "11510682MB1500001" + check_uscc("11510682MB1500001")
BASIC = "000117014001"
CODE = f"{USCC}4{BASIC}"

GUANGDONG: dict[str, Any] = {
    "TASK_CODE": f"{CODE}01",
    "ORGCODE": USCC[8:17],
    "TASK_TYPE_TEXT": "公共服务",
    "TASK_TYPE": "21",
    "LIMIT_SCENE_NUM": "1",
    "DEPT_NAME": " 示例局 ",
    "parentCatalogId": "00011701400Y",
    "parentCatalogName": "示例证管理",
    "CATANAME": "示例证管理",
    "CATAID": BASIC,
    "subCatalogName": "示例证",
    "matter_name": "示例证",
    "TASK_NAME": "示例证(遗失补办)",
    "subTaskName": "遗失补办",
    "ONLINECHECK": "1",
    "matter_daily": "证掉了，补证",
    "matter_short": "补示例证",
    "matter_code": "无",
    "matter_level": "市级",
    "handle_location": "办理地点：示例路1号&amp;nbsp;2楼",
    "handle_time": "20(工作日)",
    "handle_time_limit": "1(工作日)",
    "matter_type": "公共服务",
    "accept_standard": "<p>住在本市。</p>",
    "consult_phone": "000-1",
    "courier_service": "是",
    "bear_paltform": "示例平台",
    "complain_phone": "无",
    "online_book": "否",
    "theme_category": ["证件办理"],
    "service_object_name": ["自然人"],
    "material_intro": ["居民身份证", "申请表"],
}
SICHUAN: dict[str, Any] = {
    "department": "示例局",
    "main": "未分类",
    "name": "示例证变更（县级行使）",
    "item_code": f"511A33034003-510682000000-000-{USCC}-1-00",
    "area": "510682000000",
    "task_type": "1",
    "dept_code": USCC,
}
NATIONAL: dict[str, Any] = {
    "up_task_general_basic": {
        "ROW_GUID": "g1",
        "TASK_NAME": "示例证 新办",
        "TASK_CODE": CODE,
        "TASK_HANDLE_ITEM": f"{CODE}01",
        "CATALOG_CODE": BASIC,
        "TASK_TYPE": "01",
        "USE_LEVEL": "4",
        "DEPT_NAME": "示例局",
        "SERVER_TYPE": "1,2",
        "PROJECT_TYPE": "2",
        "HANDLE_TYPE": "1,2",
        "ANTICIPATE_DAY": 20,
        "ANTICIPATE_TYPE": "1",
        "PROMISE_DAY": 5,
        "PROMISE_TYPE": 1,
        "LIMIT_SCENE_NUM": 0,
        "IS_FEE": "1",
        "POWER_SOURCE": "1",
    },
    "up_task_general_extend": {"IS_ONLINE": "1", "HANDLE_AREA": "3", "USER_TOPIC_TYPE": "证件"},
    "up_task_general_material": [
        {"MATERIAL_NAME": "照片", "ORDER_NUM": 2, "IS_NEED": "0", "PAGE_NUM": 2},
        {"MATERIAL_NAME": "身份证", "ORDER_NUM": 1, "MATERIAL_TYPE": "3", "SOURCE_TYPE": "20"},
    ],
    "up_task_general_fee_project": [{"FEE_NAME": "工本费", "FEE_STAND": "10元一本"}],
    "up_task_general_questions": [{"QUESTION": "多久能领", "ANSWER": "五个工作日。"}],
}


def lines(tmp_path: Path, *rows: Any, name: str = "rows.jsonl", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    text = "".join(
        f"{row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)}\n" for row in rows
    )
    path.write_bytes(text.encode(encoding))
    return path


def only(batch: Batch) -> Item:
    (entry,) = batch.items
    return entry.item


def differing(ours: Iterable[Item], theirs: Iterable[Item]) -> list[str]:
    """What differs between items that should be equal, field by field."""
    return [
        f"{one.catalog_code}.{name}: {value!r} is not {getattr(two, name)!r}"
        for one, two in zip(ours, theirs, strict=True)
        for name, value in one
        if value != getattr(two, name)
    ]


def notes(batch: Batch) -> list[str]:
    return [str(note) for note in batch.notes]


def test_a_row_of_guangdong(tmp_path: Path) -> None:
    batch = read([lines(tmp_path, GUANGDONG)])
    item = only(batch)
    assert batch.notes == ()
    assert item.catalog_code == item.task_handle_item == f"{CODE}01"
    assert (item.task_code, item.basic_code, item.dept_code) == (CODE, BASIC, USCC)
    assert (item.task_name, item.plain_name) == ("示例证(遗失补办)", "补示例证")
    assert item.popular_terms == ("证掉了", "补证")
    assert (item.main_name, item.sub_name, item.handling) == ("示例证管理", "示例证", "replace")
    assert (item.task_type, item.use_level, item.theme) == ("20", "3", "证件办理")
    assert (item.anticipate_day, item.promise_day, item.promise_type) == (20, 1, "working")
    assert item.accept_condition == "住在本市。"
    assert item.transact_addr == "示例路1号 2楼"
    assert [material.material_name for material in item.materials] == ["居民身份证", "申请表"]
    assert item.handle_type == ("window", "online", "express")
    assert not item.combed
    assert not item.sample


def test_a_row_of_sichuan(tmp_path: Path) -> None:
    item = only(read([lines(tmp_path, SICHUAN)]))
    assert item.catalog_code == item.local_task_code == SICHUAN["item_code"]
    assert (item.task_type, item.dept_code, item.handling) == ("01", USCC, "change")
    assert (item.plain_name, item.main_name) == ("示例证变更", "")
    assert (item.main_code, item.sub_code) == ("511A33034000", "511A33034003")


@pytest.mark.parametrize("upper", [True, False])
def test_an_object_with_its_national_tables(tmp_path: Path, *, upper: bool) -> None:
    row: Any = NATIONAL if upper else json.loads(json.dumps(NATIONAL).lower())
    if upper:
        row = {name.upper(): value for name, value in row.items()}
    item = only(read([lines(tmp_path, row)]))
    assert item.catalog_code.casefold() == f"{CODE}01".casefold()
    assert item.server_type == ("自然人", "企业法人")
    assert item.handle_type == ("window", "online")
    assert item.handle_area == "city"
    assert (item.promise_day, item.project_type, item.is_online) == (5, "promised", True)
    assert [material.material_name for material in item.materials] == ["身份证", "照片"]
    assert item.materials[0].material_type == "original_and_copy"
    assert (item.materials[1].is_need, item.materials[1].page_num) == (False, 2)
    assert (item.fee_text, item.fees[0].fee_name) == ("10元一本", "工本费")
    assert item.common_questions[0].answer == "五个工作日。"


def national_tables() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, rows in NATIONAL.items():
        for row in rows if isinstance(rows, list) else [rows]:
            tables.setdefault(table, []).append({"TASK_GUID": "g1", **row})
    return tables


def test_tables_side_by_side_in_csv_and_one_json(tmp_path: Path) -> None:
    paths = []
    for table, rows in national_tables().items():
        out = io.StringIO()
        writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
        paths.append(tmp_path / f"{table}.csv")
        paths[-1].write_text(out.getvalue(), encoding="gb18030")
    by_csv = only(read(reversed(paths)))
    together = tmp_path / "tables.json"
    together.write_text(json.dumps(national_tables()), encoding="utf-8")
    assert by_csv == only(read([together]))


def test_rows_that_say_their_table(tmp_path: Path) -> None:
    rows = [{"table": table, **row} for table, rows in national_tables().items() for row in rows]
    assert only(read([lines(tmp_path, *rows)])).fees[0].fee_stand == "10元一本"


def test_a_table_row_without_its_item_is_told(tmp_path: Path) -> None:
    orphan = {"table": "up_task_general_material", "TASK_CODE": "?", "MATERIAL_NAME": "身份证"}
    batch = read([lines(tmp_path, NATIONAL, orphan)])
    assert len(batch.items) == 1
    assert notes(batch) == ["rows.jsonl:2: a row of material belongs to no item"]


def test_the_directory_fills_what_the_item_leaves_open(tmp_path: Path) -> None:
    entry = {"catalog_code": BASIC, "task_name": "示例证", "by_law": "某办法", "task_state": "1"}
    other = {**entry, "catalog_code": "000117014002"}
    directory = [{"table": "up_task_directory", **row} for row in (entry, other)]
    batch = read([lines(tmp_path, *directory, NATIONAL)])
    item = only(batch)
    assert (item.by_law, item.main_name) == ("某办法", "示例证")
    assert notes(batch) == ["rows.jsonl:2: 000117014002 of the directory has no item"]


def test_the_report_names_what_is_missing_in_words(tmp_path: Path) -> None:
    done = folder.merge(tmp_path / "c", read([lines(tmp_path, SICHUAN)]).items)
    (told,) = folder.report(tmp_path / "c")
    assert told == done.told[0]
    assert {"受理条件", "承诺办结时限", "申请材料"} <= set(told.missing_words)
    assert "事项名称" not in told.missing_words
    assert done.missing["accept_condition"] == 1


def test_what_is_not_said_is_not_promised(tmp_path: Path) -> None:
    item = only(read([lines(tmp_path, SICHUAN)]))
    assert "不收费" not in item.fee_text
    assert item.promise_explain
    legal = {**GUANGDONG, "handle_time_limit": "无"}
    assert only(read([lines(tmp_path, legal)])).promise_day == 20


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ORGCODE": "111111111"}, "ORGCODE '111111111' is not that of TASK_CODE"),
        ({"handle_time": "很快"}, "handle_time '很快' is no time limit"),
        ({"LIMIT_SCENE_NUM": [1], "visit_number": "许多"}, "visit_number '许多' is no count"),
        ({"handle_time_limit": "30(工作日)"}, "promise_day 30 is longer than anticipate_day 20"),
        ({"TASK_TYPE": "77", "TASK_TYPE_TEXT": None, "matter_type": None}, "unknown task type"),
        ({"TASK_TYPE": "20"}, "is not 公共服务, the words count"),
        ({"TASK_CODE": "示例证", "matter_short": f"{CODE}01"}, "the code stands in matter_short"),
        ({"TASK_CODE": None}, "TASK_CODE is missing"),
        ({"TASK_NAME": 7}, "TASK_NAME is missing"),
        ({"material_intro": 3}, "is no list of materials"),
        ({"courier_service": "也许"}, "is neither yes nor no"),
        ({"TASK_CODE": "12345"}, "has not the 31 or 33 characters"),
        ({"TASK_CODE": CODE.replace("MB", "mb")}, "holds a lower-case letter"),
    ],
)
def test_a_bad_field_warns_and_the_item_stays(
    tmp_path: Path, change: Mapping[str, Any], told: str
) -> None:
    batch = read([lines(tmp_path, {**GUANGDONG, **change})])
    (entry,) = batch.items
    assert any(told in warning for warning in entry.warnings), entry.warnings
    assert batch.notes == ()


def test_bad_lines_are_named_and_the_rest_is_imported(tmp_path: Path) -> None:
    nameless = {**GUANGDONG, **dict.fromkeys(("TASK_NAME", "matter_name", "subCatalogName"))}
    nameless |= dict.fromkeys(("CATANAME", "parentCatalogName"), "无")
    huge = {**GUANGDONG, "TASK_CODE": CODE, "accept_standard": "长" * 30_000}
    batch = read([lines(tmp_path, "{broken", "[1]", "{}", nameless, GUANGDONG, huge)])
    assert len(batch.items) == 2
    assert [(note.line, note.loss) for note in batch.notes] == [
        (1, True),
        (2, True),
        (3, True),
        (6, False),
        (4, True),
    ]
    assert all(str(note).startswith("rows.jsonl:") for note in batch.notes)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"a": 1}\n', "is of no known layout"),
        (b"a,b\n1,2\n", "is of no known layout"),
        (b"hello\n", "is neither JSON nor CSV"),
        (b"\x00\xff\xfe\x01", ""),
        (b"[" * 100_000, ""),
        (b'{"a": ' + b"9" * 9000 + b"}\n", ""),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    batch = read([path])
    assert batch.items == ()
    assert any(note.loss and told in note.message for note in batch.notes)


def test_gb_18030_and_byte_order_marks(tmp_path: Path) -> None:
    plain = only(read([lines(tmp_path, GUANGDONG)]))
    for encoding in ("gb18030", "utf-8-sig", "utf-16"):
        assert only(read([lines(tmp_path, GUANGDONG, encoding=encoding)])) == plain


def test_one_line_in_another_encoding_is_left_out(tmp_path: Path) -> None:
    path = lines(tmp_path, GUANGDONG, {**GUANGDONG, "TASK_CODE": CODE})
    path.write_bytes(path.read_bytes() + '{"TASK_NAME": "证件"}\n'.encode("gb18030"))
    batch = read([path])
    assert len(batch.items) == 2
    assert notes(batch) == ["rows.jsonl:3: is not UTF-8 like the rest of the file"]


def test_of_two_items_with_one_code_both_stay(tmp_path: Path) -> None:
    other = {**GUANGDONG, "TASK_NAME": "示例证(变更)"}
    batch = read([lines(tmp_path, GUANGDONG, other, GUANGDONG)])
    assert [entry.item.catalog_code for entry in batch.items] == [f"{CODE}01", f"{CODE}01~2"]
    assert "is also that of rows.jsonl:1" in batch.items[1].warnings[0]
    assert batch.repeated == 1


def test_an_item_without_a_code_keeps_the_same_made_one(tmp_path: Path) -> None:
    row = {**GUANGDONG, "TASK_CODE": None}
    first, second = (only(read([lines(tmp_path, row)])) for _ in range(2))
    assert first.catalog_code == second.catalog_code
    assert first.catalog_code.startswith("x-")


def test_importing_again_updates_by_code_and_layouts_merge(tmp_path: Path) -> None:
    place = tmp_path / "c"
    assert folder.merge(place, read([lines(tmp_path, GUANGDONG)]).items).added == 1
    renamed = {**GUANGDONG, "consult_phone": "000-2"}
    done = folder.merge(place, read([lines(tmp_path, renamed, SICHUAN)]).items)
    assert (done.added, done.updated, done.items) == (1, 1, 2)
    done = folder.merge(place, read([lines(tmp_path, SICHUAN)]).items)
    assert (done.unchanged, done.items) == (1, 2)
    assert [item.link_way for item in load(place).items] == ["000-2", ""]
    done = folder.merge(place, read([lines(tmp_path, SICHUAN)]).items, replace=True)
    assert len(load(place).items) == done.items == 1


def test_a_main_code_has_one_name(tmp_path: Path) -> None:
    other = {**GUANGDONG, "TASK_CODE": CODE, "parentCatalogName": "另一个名字"}
    done = folder.merge(tmp_path / "c", read([lines(tmp_path, GUANGDONG, other)]).items)
    assert [item.main_code for item in load(tmp_path / "c").items] == ["00011701400Y", ""]
    assert done.told[1].warnings == ("its main code has another name elsewhere, left out",)


def test_a_cut_off_import_leaves_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "c"
    folder.merge(place, read([lines(tmp_path, GUANGDONG)]).items)
    before = {path.name: path.read_bytes() for path in place.iterdir()}

    def cut(*_args: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", cut)
    with pytest.raises(OSError, match="no space"):
        folder.merge(place, read([lines(tmp_path, SICHUAN)]).items)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.parametrize(
    ("layout", "row"), [("guangdong", GUANGDONG), ("sichuan", SICHUAN), ("national", NATIONAL)]
)
def test_a_row_comes_back_clean(tmp_path: Path, layout: str, row: dict[str, Any]) -> None:
    batch = read([lines(tmp_path, row)])
    done = folder.merge(tmp_path / "c", batch.items)
    (back,) = folder.export((only(batch),), layout, done.told)
    source = LAYOUTS[layout].cleaned(Row("", 0, lower(row)))
    assert {name: back[name] for name in source if name in back} == source or layout == "national"
    again = read([lines(tmp_path, back)])
    assert only(again) == only(batch)
    assert again.items[0].missing == batch.items[0].missing


@pytest.mark.parametrize("row", [GUANGDONG, SICHUAN])
def test_the_national_tables_carry_every_item(tmp_path: Path, row: dict[str, Any]) -> None:
    batch = read([lines(tmp_path, row)])
    entry = batch.items[0]
    back = national.write(entry.item, entry.missing)
    again = read([lines(tmp_path, back)])
    assert only(again) == entry.item
    assert again.items[0].missing == entry.missing


def test_the_national_tables_carry_the_authored_items(tmp_path: Path) -> None:
    items = check()[0].items
    batch = read([lines(tmp_path, *folder.export(items, "national"))])
    assert notes(batch) == []
    assert differing((entry.item for entry in batch.items), items) == []


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def mangled(draw: st.DrawFn) -> Any:
    """A row with fields swapped, dropped, or of another kind."""
    row: Any = dict(draw(st.sampled_from([GUANGDONG, SICHUAN, NATIONAL])))
    if row.keys() == NATIONAL.keys() and draw(st.booleans()):
        table = draw(st.sampled_from(sorted(row)))
        inner = row[table][0] if isinstance(row[table], list) else row[table]
        row[table] = {**inner, draw(st.sampled_from(sorted(inner))): draw(JUNK)}
    for name in draw(st.lists(st.sampled_from(sorted(row)), max_size=4)):
        row[name] = draw(JUNK | st.sampled_from(list(row.values())))
    if draw(st.booleans()):
        names = sorted(row)
        row = dict(zip(names[1:] + names[:1], (row[name] for name in names), strict=True))
    return row


@settings(max_examples=60, deadline=None)
@given(st.lists(mangled() | JUNK, min_size=1, max_size=4))
def test_mangled_rows_never_crash_and_what_comes_is_sound(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    place = tmp_path_factory.mktemp("mangled")
    path = place / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    batch = read([path])
    done = folder.merge(place / "c", batch.items)
    if done.items:
        content = load(place / "c")
        assert len(content.items) == done.items
        again = read([lines(place, *folder.export(content.items, "national"), name="b.jsonl")])
        assert differing((entry.item for entry in again.items), content.items) == []


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_no_bytes_crash_the_reading(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "rows"
    path.write_bytes(content)
    read([path])
