"""What holds for every test: nothing it started is left behind."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ("tests.twins",)

PRELOADED = os.environ.pop("LD_PRELOAD", "")
"""`./hall test` starts pytest with umockdev's preload; nothing that it starts shall have it."""

settings.register_profile("suite", derandomize=True)
settings.register_profile("explore", max_examples=5_000, deadline=None)
settings.load_profile("suite")
# The suite tries the same examples in every run: a change is judged by itself, not by its luck.
# New examples are looked for with `pytest --hypothesis-profile=explore`.


def _children() -> dict[int, str]:
    """Child processes of this process that still run, by their command line."""
    found = {}
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except FileNotFoundError:  # a thread that has just ended
            continue
        for child in children:
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if command:  # a zombie that is about to be reaped has none
                found[int(child)] = command.decode(errors="replace").strip()
    return found


@pytest.fixture(scope="session")
def preloaded() -> bool:
    return "libumockdev-preload" in PRELOADED


@pytest.fixture
def emulated(preloaded: bool) -> None:
    """For tests that look at emulated devices (drivers/sim/testbed.py)."""
    if not preloaded:
        pytest.skip("needs umockdev's preload: run it by ./hall test")


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """A test that leaves a process running fails and names it."""
    before = _children()
    yield
    left = {pid: command for pid, command in _children().items() if pid not in before}
    assert not left, f"left running: {left}"


TASKS_END_S = 2.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that ends while a task of its own still runs fails and names the task."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _leaving_no_task(item.obj)


def _leaving_no_task(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def wrapped(*args: Any, **kwargs: Any) -> None:
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        if started := asyncio.all_tasks() - before:
            # What was cancelled or cut off just now may end.
            _, left = await asyncio.wait(started, timeout=TASKS_END_S)
            assert not left, f"tasks left running: {[task.get_name() for task in left]}"

    return wrapped
