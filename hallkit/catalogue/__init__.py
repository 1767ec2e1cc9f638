"""The catalogue on a machine: a signed, read-only snapshot and the search over it."""

from hallkit.catalogue.search import Found, Hit
from hallkit.catalogue.snapshot import Catalogue, build, sign

__all__ = ["Catalogue", "Found", "Hit", "build", "sign"]
