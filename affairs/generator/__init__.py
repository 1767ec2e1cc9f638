"""A whole hall: the authored items, filled up to the hall's numbers with made-up ones.

`generate` is pure: the same authored content, map and seed give the same catalogue. The words are
data: `matters.toml` says what there is to do, `words.toml` how it is said, `hall.toml` how much.
"""

from affairs.generator.fill import CannotFillError, generate, written
from affairs.generator.vocabulary import Numbers, numbers

__all__ = ["CannotFillError", "Numbers", "generate", "numbers", "written"]
