"""The catalogue as one signed SQLite file: built in the centre, read-only on every machine.

`build` writes it (the same items give the same bytes with the same SQLite), `sign` makes the
manifest, `Catalogue.open` trusts nothing that the manifest and the key do not vouch for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hallkit.catalogue import meaning, search
from hallkit.catalogue.meaning import Embedder
from hallkit.catalogue.search import Ask, Found, Hit, SearchIndex
from hallkit.errors import TrustError
from hallkit.model.bundle import Bundle
from hallkit.model.content import Content
from hallkit.model.form import FormDefinition
from hallkit.model.hall_map import HallMap
from hallkit.model.item import Item
from hallkit.model.rules import RulePack
from hallkit.wire.affairs_api import CatalogueDelta, CatalogueManifest

FORMAT = "2"
"""Layout of the tables. A machine refuses a snapshot of another layout."""

_HALL = "hall"
"""Code of the one map."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE item (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, code TEXT NOT NULL UNIQUE,
    plain_name TEXT NOT NULL, task_name TEXT NOT NULL, json TEXT NOT NULL
);
CREATE TABLE part (
    kind TEXT NOT NULL, code TEXT NOT NULL, place INTEGER NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (kind, code)
) WITHOUT ROWID;
"""


def build(
    content: Content,
    path: Path,
    *,
    version: str,
    embedder: Embedder | None = None,
    former: Path | None = None,
) -> None:
    """Write the snapshot of this content, in its order. Replaces the file at once or not at all.

    With an embedder it holds the names' vectors too; those of a former snapshot are not worked out
    again. `ValueError` if two items or bundles share a code, or two forms, or two rule packs.
    """
    known = meaning.vectors_of(former, embedder.model) if embedder and former else {}
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            _fill(connection, content, version, embedder, known)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def sign(
    path: Path,
    private_key: Ed25519PrivateKey,
    *,
    sequence: int = 0,
    deltas: tuple[CatalogueDelta, ...] = (),
) -> CatalogueManifest:
    """The manifest that lets a machine trust this file."""
    content = path.read_bytes()
    with closing(_read_only(path)) as connection:
        version = _meta(connection, "version")
    unsigned = CatalogueManifest(
        version=version,
        sequence=sequence,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        deltas=deltas,
        signature="",
    )
    signature = base64.b64encode(private_key.sign(unsigned.signed_text)).decode()
    return unsigned.model_copy(update={"signature": signature})


def verify_manifest(manifest: CatalogueManifest, keys: Collection[Ed25519PublicKey]) -> None:
    """`TrustError` unless one of the keys signed it."""
    try:
        signature = base64.b64decode(manifest.signature, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    for key in keys:
        with suppress(InvalidSignature):
            key.verify(signature, manifest.signed_text)
            return
    raise TrustError("the catalogue's manifest is not signed by the hall")


class Catalogue:
    """Items and search of one snapshot. One caller at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._index = SearchIndex(connection)
        self.version = _meta(connection, "version")

    @classmethod
    def open(
        cls, path: Path, manifest: CatalogueManifest, keys: Collection[Ed25519PublicKey]
    ) -> Self:
        """The snapshot, if signature, size, digest, version and layout hold; else `TrustError`.

        `keys` are the signers that this machine trusts.
        """
        verify_manifest(manifest, keys)
        _verify_file(path, manifest)
        catalogue = cls.unverified(path)
        if catalogue.version != manifest.version:
            catalogue.close()
            raise TrustError(f"{path.name}: holds version {catalogue.version!r}")
        return catalogue

    @classmethod
    def unverified(cls, path: Path) -> Self:
        """Any snapshot, for tools on a desk only. `TrustError` if it is none of this layout."""
        if not path.is_file():
            raise TrustError(f"{path.name}: there is no such file")
        connection = _read_only(path)
        try:
            layout = _meta(connection, "format")
        except sqlite3.Error as exc:
            connection.close()
            raise TrustError(f"{path.name}: is no catalogue: {exc}") from exc
        if layout != FORMAT:
            connection.close()
            raise TrustError(f"{path.name}: is of layout {layout!r}, this program reads {FORMAT!r}")
        return cls(connection)

    @classmethod
    def in_memory(
        cls,
        items: Iterable[Item] | Content,
        *,
        version: str = "unsigned",
        embedder: Embedder | None = None,
    ) -> Self:
        """A catalogue of these for tests and tools, without file or signature."""
        content = items if isinstance(items, Content) else Content(items=tuple(items))
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _fill(connection, content, version, embedder, {})
        return cls(connection)

    def item(self, code: str) -> Item | None:
        """The item of this code, or None."""
        text = self._entry("item", code)
        return None if text is None else Item.model_validate_json(text)

    def holds_item(self, code: str) -> bool:
        """True if the code is that of an item, not of a bundle or of nothing."""
        return self._entry("item", code) is not None

    def items(self) -> list[Item]:
        """Every item, in the order of the catalogue."""
        return [Item.model_validate_json(text) for text in self._entries("item")]

    def bundle(self, code: str) -> Bundle | None:
        """The bundle of this code, or None."""
        text = self._entry("bundle", code)
        return None if text is None else Bundle.model_validate_json(text)

    def bundles(self) -> list[Bundle]:
        """Every bundle, in the order of the catalogue."""
        return [Bundle.model_validate_json(text) for text in self._entries("bundle")]

    def form(self, code: str) -> FormDefinition | None:
        """The form definition of this code, or None."""
        text = self._part("form", code)
        return None if text is None else FormDefinition.model_validate_json(text)

    def rule_pack(self, code: str) -> RulePack | None:
        """The rule pack of this code, or None."""
        text = self._part("rule_pack", code)
        return None if text is None else RulePack.model_validate_json(text)

    def hall_map(self) -> HallMap | None:
        """The map of the hall, or None if this catalogue has none."""
        text = self._part("hall_map", _HALL)
        return None if text is None else HallMap.model_validate_json(text)

    def content(self) -> Content:
        """All of it, as it was built."""
        return Content(
            items=tuple(self.items()),
            bundles=tuple(self.bundles()),
            forms=tuple(map(FormDefinition.model_validate_json, self._parts("form"))),
            rule_packs=tuple(map(RulePack.model_validate_json, self._parts("rule_pack"))),
            hall_map=self.hall_map(),
        )

    def check(self, known: Catalogue | None = None) -> None:
        """Read every entry, but for those that stand letter by letter in `known`.

        pydantic's `ValidationError` if this program cannot read one.
        """
        kinds: dict[str, type[Item | Bundle | FormDefinition | RulePack | HallMap]] = {
            "item": Item,
            "bundle": Bundle,
            "form": FormDefinition,
            "rule_pack": RulePack,
            "hall_map": HallMap,
        }
        seen = set() if known is None else set(known._texts())  # noqa: SLF001  # of this class
        for kind, text in self._texts():
            if (kind, text) not in seen:
                kinds[kind].model_validate_json(text)

    def search(self, query: str, limit: int = 6) -> list[Hit]:
        """The best items for what somebody typed or said, best first."""
        return self._index.search(query, limit)

    def find(self, text: str, limit: int = 3) -> Found:
        """What to show for this text: a winner, candidates, a question, or the way to a person."""
        return self._index.find(text, limit)

    def siblings(self, code: str) -> Ask | None:
        """All kinds of the matter of this item, itself among them; None if it has no sibling."""
        return self._index.siblings(code)

    def vote_by(self, embedder: Embedder) -> bool:
        """Let nearness in meaning count as well; False if the snapshot holds no vectors for it."""
        if _meta(self._connection, meaning.MODEL_KEY) != embedder.model:
            return False
        self._index.vote_by(embedder)
        return True

    def warm(self) -> None:
        """Do now what the first search would wait for."""
        self._index.warm()

    def close(self) -> None:
        self._connection.close()

    def _entry(self, kind: str, code: str) -> str | None:
        row = self._connection.execute(
            "SELECT json FROM item WHERE kind = ? AND code = ?", (kind, code)
        ).fetchone()
        return None if row is None else str(row[0])

    def _entries(self, kind: str) -> Iterator[str]:
        rows = self._connection.execute("SELECT json FROM item WHERE kind = ? ORDER BY id", (kind,))
        return (text for (text,) in rows)

    def _texts(self) -> Iterator[tuple[str, str]]:
        """Kind and JSON of everything."""
        yield from self._connection.execute("SELECT kind, json FROM item")
        yield from self._connection.execute("SELECT kind, json FROM part")

    def _part(self, kind: str, code: str) -> str | None:
        row = self._connection.execute(
            "SELECT json FROM part WHERE kind = ? AND code = ?", (kind, code)
        ).fetchone()
        return None if row is None else str(row[0])

    def _parts(self, kind: str) -> Iterator[str]:
        rows = self._connection.execute(
            "SELECT json FROM part WHERE kind = ? ORDER BY place", (kind,)
        )
        return (text for (text,) in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _fill(
    connection: sqlite3.Connection,
    content: Content,
    version: str,
    embedder: Embedder | None,
    known: Mapping[str, bytes],
) -> None:
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.executescript(f"BEGIN; {_SCHEMA} {search.SCHEMA}")
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)", [("format", FORMAT), ("version", version)]
    )
    for kind, code, place, text in _parts_of(content):
        try:
            connection.execute("INSERT INTO part VALUES (?, ?, ?, ?)", (kind, code, place, text))
        except sqlite3.IntegrityError:
            raise ValueError(f"two of kind {kind} have the code {code!r}") from None
    entries = [("item", item, item.model_dump_json()) for item in content.items]
    entries += [("bundle", _named(bundle), bundle.model_dump_json()) for bundle in content.bundles]
    for number, (kind, named, text) in enumerate(entries, start=1):
        code = named.catalog_code
        try:
            connection.execute(
                "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?)",
                (number, kind, code, named.plain_name, named.task_name, text),
            )
        except sqlite3.IntegrityError:
            raise ValueError(f"two items have the code {code!r}") from None
    search.fill(connection, [(number, named) for number, (_, named, _) in enumerate(entries, 1)])
    if embedder is not None:
        names = (text for (text,) in connection.execute("SELECT text FROM name"))
        meaning.fill(connection, names, embedder, known)
    connection.execute("COMMIT")
    connection.execute("VACUUM")


def _named(bundle: Bundle) -> Item:
    """A bundle as the search sees it."""
    return Item(
        catalog_code=bundle.code,
        task_name=bundle.name,
        plain_name=bundle.plain_name,
        popular_terms=bundle.popular_terms,
        dept_name=bundle.lead_dept,
        theme=bundle.theme,
        class_flag="bundle",
        service=bundle.service,
        transact_addr=bundle.transact_addr,
        materials=(),
        base_materials=(),
        steps=(),
    )


def _parts_of(content: Content) -> Iterator[tuple[str, str, int, str]]:
    """Kind, code, place in its order, JSON."""
    for place, form in enumerate(content.forms):
        yield "form", form.code, place, form.model_dump_json()
    for place, pack in enumerate(content.rule_packs):
        yield "rule_pack", pack.code, place, pack.model_dump_json()
    if content.hall_map is not None:
        yield "hall_map", _HALL, 0, content.hall_map.model_dump_json()


def _read_only(path: Path) -> sqlite3.Connection:
    """Immutable: no locks, no journal beside it, whatever the rights of the folder."""
    place = quote(str(path.resolve()))
    return sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _meta(connection: sqlite3.Connection, key: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])


def _verify_file(path: Path, manifest: CatalogueManifest) -> None:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise TrustError(f"{path.name}: {exc.strerror}") from exc
    if len(content) != manifest.size or hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise TrustError(f"{path.name}: is not the file that the manifest names")
