"""What may stand in which file: topics, words, paths, modes."""

from __future__ import annotations

import ast
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

TOPIC = re.compile(r"hallkit/\d")
HAN = re.compile(r"[\u3007\u3400-\u9fff\uf900-\ufaff]")

WORDLESS_ROOMS = ("hallkit", "drivers", "edge_agent", "kiosk", "affairs", "ops")
CONTENT = {
    "hallkit/lexicon/*": "the lexicon is words",
    "affairs/problems.py": "the one wording table of the HTTP API's problems",
    "affairs/http/*": "summaries of the published contract",
    "drivers/id_card_reader/sdt_text.py": "code tables of the card's standard: sex, nation",
    "drivers/sim/*": "made-up people on simulated cards",
    "hallkit/model/item.py": "what an item costs if its author says nothing: content",
    "hallkit/catalogue/misses.py": "patterns of what may name a person and is never kept",
    "hallkit/guide/verify.py": "words of officials that no author is to use",
    "hallkit/catalogue/search.py": "a character looked up to warm the index, shown to nobody",
}
"""Files outside the lexicon that hold Han characters, and why those are data."""

# In pieces, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w.$}/-])/(?:work|root|home/\w+|Users)/",
            r"/opt/" + r"(?:wheels|pypi)",
            r"\bpypi\." + r"org",
            r"files\.python" + r"hosted",
            r"registry\.npm" + r"js",
            r"--(?:extra-)?index" + r"-url",
        )
    )
)

EXECUTABLE = {"hall", ".ci/run"}


@pytest.fixture(scope="module")
def texts(tracked: list[Path], checkout: Path) -> dict[str, str]:
    """Tracked text files by their path in the checkout."""
    found = {}
    for path in tracked:
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(checkout).as_posix()] = content.decode("utf-8")
    return found


def test_topics_stand_in_one_file(texts: dict[str, str]) -> None:
    code = (".py", ".qml", ".js", ".html", ".toml", ".service")
    found = [
        name
        for name, text in texts.items()
        if name.endswith(code) and not name.startswith("tests/") and TOPIC.search(text)
    ]
    assert found == ["hallkit/wire/topics.py"]


def test_words_are_data(texts: dict[str, str], checkout: Path) -> None:
    found = []
    for name, text in texts.items():
        if not name.startswith(tuple(f"{room}/" for room in WORDLESS_ROOMS)):
            continue
        if any(Path(name).match(pattern) for pattern in CONTENT):
            continue
        if name.endswith(".py"):
            found += [f"{name}:{line}" for line in _han_in_python(text)]
        elif name.endswith((".qml", ".js")):
            found += [f"{name}:{line}" for line in _han_in_qml(text)]
    assert not found, "words belong in hallkit/lexicon/words.toml"


def test_no_content_file_is_listed_in_vain(texts: dict[str, str]) -> None:
    for pattern in CONTENT:
        assert any(Path(name).match(pattern) and HAN.search(text) for name, text in texts.items())


def _han_in_python(text: str) -> Iterator[int]:
    """Lines of literals with Han characters; docstrings and comments are for us."""
    tree = ast.parse(text)
    sentences = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in sentences:
            value = node.value.decode("utf-8", "replace") if isinstance(node.value, bytes) else ""
            value = node.value if isinstance(node.value, str) else value
            if HAN.search(value):
                yield node.lineno


def _han_in_qml(text: str) -> Iterator[int]:
    bare = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(bare.splitlines(), 1):
        if HAN.search(re.sub(r"(?<!:)//.*", "", line)):
            yield number


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""说明"""\nx = 1  # 注\n', []),
        ('x = 1\nsay("取号")\n', [2]),
        ('x = f"{y} 人"\n', [1]),
    ],
)
def test_words_in_code_are_seen(text: str, lines: list[int]) -> None:
    assert list(_han_in_python(text)) == lines


def test_words_in_qml_are_seen() -> None:
    assert list(_han_in_qml('// 注\nText { text: "取号" } // 注\n/* 注\n注 */')) == [2]


def test_no_path_of_a_machine_and_no_registry_host(texts: dict[str, str]) -> None:
    found = [
        f"{name}:{number}: {match[0]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := FOREIGN.search(line))
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("see /" + "work/main/hall", True),
        ('"/ro' + 'ot/.cache"', True),
        ("--index" + "-url x", True),
        ("docs/how-to/work/x", False),
        ("/opt/hall/venv/bin/python", False),
    ],
)
def test_a_machine_path_is_seen(line: str, *, seen: bool) -> None:
    assert bool(FOREIGN.search(line)) is seen


def test_modes(tracked: list[Path], checkout: Path) -> None:
    """Only scripts are executable, and nobody but their owner writes them."""
    for path in tracked:
        name = path.relative_to(checkout).as_posix()
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode), f"{name} is a link or worse"
        assert bool(mode & stat.S_IXUSR) is (name in EXECUTABLE), f"{name}: {mode:o}"
        if name in EXECUTABLE:
            assert path.read_bytes().startswith(b"#!"), f"{name} does not say what runs it"
        assert not mode & (stat.S_IWGRP | stat.S_IWOTH), f"{name}: {mode:o}"


def test_text_ends_with_a_line_and_has_no_carriage_returns(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert "\r" not in text, name
        assert not text or text.endswith("\n"), name


def test_no_keys_in_git(texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if "PRIVATE " + "KEY-----" in text] == []
