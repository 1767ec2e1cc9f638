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
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hallkit.catalogue.search import Hit, SearchIndex, grams
from hallkit.errors import TrustError
from hallkit.lexicon import pinyin
from hallkit.model.item import Item
from hallkit.wire.affairs_api import CatalogueManifest

FORMAT = "1"
"""Layout of the tables. A machine refuses a snapshot of another layout."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE item (
    id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE,
    plain_name TEXT NOT NULL, task_name TEXT NOT NULL, json TEXT NOT NULL
);
CREATE TABLE name (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item,
    text TEXT NOT NULL, initials TEXT NOT NULL, pinyin TEXT NOT NULL
);
CREATE VIRTUAL TABLE gram USING fts5 (chars, pinyin, content='', tokenize="ascii tokenchars '_'");
"""


def build(items: Iterable[Item], path: Path, *, version: str) -> None:
    """Write the snapshot of these items, in their order. Replaces the file at once or not at all.

    `ValueError` if two items share a code.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            _fill(connection, items, version)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def sign(path: Path, private_key: Ed25519PrivateKey) -> CatalogueManifest:
    """The manifest that lets a machine trust this file."""
    content = path.read_bytes()
    with closing(_read_only(path)) as connection:
        version = _meta(connection, "version")
    sha256 = hashlib.sha256(content).hexdigest()
    signature = private_key.sign(_signed_text(version, len(content), sha256))
    return CatalogueManifest(
        version=version,
        size=len(content),
        sha256=sha256,
        signature=base64.b64encode(signature).decode(),
    )


class Catalogue:
    """Items and search of one snapshot. One caller at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._index = SearchIndex(connection)
        self.version = _meta(connection, "version")

    @classmethod
    def open(cls, path: Path, manifest: CatalogueManifest, public_key: Ed25519PublicKey) -> Self:
        """The snapshot, if signature, size, digest, version and layout hold; else `TrustError`."""
        _verify(path, manifest, public_key)
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
    def in_memory(cls, items: Iterable[Item], *, version: str = "unsigned") -> Self:
        """A catalogue of these items for tests and tools, without file or signature."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _fill(connection, items, version)
        return cls(connection)

    def item(self, code: str) -> Item | None:
        """The item of this code, or None."""
        row = self._connection.execute("SELECT json FROM item WHERE code = ?", (code,)).fetchone()
        return None if row is None else Item.model_validate_json(row[0])

    def items(self) -> list[Item]:
        """Every item, in the order of the catalogue."""
        rows = self._connection.execute("SELECT json FROM item ORDER BY id")
        return [Item.model_validate_json(text) for (text,) in rows]

    def search(self, query: str, limit: int = 6) -> list[Hit]:
        """The best items for what somebody typed or said, best first."""
        return self._index.search(query, limit)

    def warm(self) -> None:
        """Do now what the first search would wait for."""
        self._index.warm()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _fill(connection: sqlite3.Connection, items: Iterable[Item], version: str) -> None:
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.executescript(f"BEGIN; {_SCHEMA}")
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)", [("format", FORMAT), ("version", version)]
    )
    names = 0
    for number, item in enumerate(items, start=1):
        try:
            connection.execute(
                "INSERT INTO item VALUES (?, ?, ?, ?, ?)",
                (
                    number,
                    item.catalog_code,
                    item.plain_name,
                    item.task_name,
                    item.model_dump_json(),
                ),
            )
        except sqlite3.IntegrityError:
            raise ValueError(f"two items have the code {item.catalog_code!r}") from None
        for text in dict.fromkeys((item.plain_name, item.task_name, *item.popular_terms)):
            names += 1
            syllables = pinyin.syllables(text)
            connection.execute(
                "INSERT INTO name VALUES (?, ?, ?, ?, ?)",
                (names, number, text, pinyin.initials(text), " ".join(syllables)),
            )
            connection.execute(
                "INSERT INTO gram (rowid, chars, pinyin) VALUES (?, ?, ?)",
                (names, " ".join(grams(pinyin.units(text))), " ".join(grams(syllables))),
            )
    connection.execute("INSERT INTO gram (gram) VALUES ('optimize')")
    connection.execute("COMMIT")
    connection.execute("VACUUM")


def _read_only(path: Path) -> sqlite3.Connection:
    """Immutable: no locks, no journal beside it, whatever the rights of the folder."""
    place = quote(str(path.resolve()))
    return sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _meta(connection: sqlite3.Connection, key: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])


def _signed_text(version: str, size: int, sha256: str) -> bytes:
    return f"{version}\n{size}\n{sha256}".encode()


def _verify(path: Path, manifest: CatalogueManifest, public_key: Ed25519PublicKey) -> None:
    try:
        signature = base64.b64decode(manifest.signature, validate=True)
        public_key.verify(signature, _signed_text(manifest.version, manifest.size, manifest.sha256))
    except (InvalidSignature, binascii.Error, ValueError) as exc:
        raise TrustError("the catalogue's manifest is not signed by the hall") from exc
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise TrustError(f"{path.name}: {exc.strerror}") from exc
    if len(content) != manifest.size or hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise TrustError(f"{path.name}: is not the file that the manifest names")
