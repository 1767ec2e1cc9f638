"""What holds for every test: nothing it started is left behind."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from operator import not_
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ("tests.twins",)

PRELOADED = os.environ.get("LD_PRELOAD", "")
"""`./hall test` starts pytest with umockdev's preload; nothing that tests start shall have it."""

HALLS = ("integration", "journeys")
"""Layers whose tests start several processes each, and so run one after the other."""

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


def pytest_addoption(parser: pytest.Parser) -> None:
    """For the contract suites: `./hall driver check KEY --device URL` (tests/contract/kit.py)."""
    group = parser.getgroup("a device at an address")
    group.addoption("--driver", help="key of the driver; without --device: its twins alone")
    group.addoption("--device", help="where the device is")
    group.addoption("--set", action="append", default=[], help="KEY=VALUE of its configuration")
    group.addoption("--entry", help="TOML file with the rest of its configuration")
    group.addoption("--attended", action="store_true", help="somebody is at the device")
    group.addoption("--twins", help="folder whose `drivers` the twins' processes are of")
    group.addoption("--hands", help="a program that does what the person would")
    group.addoption("--language", choices=("zh_CN", "en"), default="zh_CN")


def pytest_configure(config: pytest.Config) -> None:
    """What this process imports stays ours; what it starts finds the folder of `--twins` first."""
    if not config.getoption("numprocesses", None):
        os.environ.pop("LD_PRELOAD", None)  # a process of workers leaves it to them
    if twins := config.getoption("--twins"):
        os.environ["PYTHONPATH"] = twins


class OneHallAtATime(LoadScopeScheduling):
    """Of the workers one takes the layers of `HALLS`, the others share the rest, test by test."""

    def _split_scope(self, nodeid: str) -> str:
        layer = nodeid.removeprefix("tests/").partition("/")[0]
        return "halls" if layer in HALLS else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneHallAtATime:
    return OneHallAtATime(config, log)


def _is_meant(item: pytest.Item, driver: str | None, device: str | None) -> bool:
    """Without a device the parameter `device` of a bench is left out; with one, all others."""
    spec = getattr(item, "callspec", None)
    bench = str(spec.params.get("bench", "")) if spec is not None else ""
    if device:
        return bench == "device"
    if driver:
        return bench == driver or bench.startswith(f"{driver}-")
    return bench != "device"


@pytest.fixture(scope="session")
def preloaded() -> bool:
    return "libumockdev-preload" in PRELOADED


@pytest.fixture
def emulated(preloaded: bool) -> None:
    """For tests that look at emulated devices (drivers/sim/testbed.py)."""
    if not preloaded:
        pytest.skip("needs umockdev's preload: run it by ./hall test")


@pytest.fixture(scope="session")
def shared_processes() -> set[int]:
    """Processes that outlive the test which asked for them first."""
    return set()


@pytest.fixture(autouse=True)
def no_process_left_behind(shared_processes: set[int]) -> Iterator[None]:
    """A test that leaves a process running fails and names it."""
    before = _children()
    yield
    known = before.keys() | shared_processes
    left = {pid: command for pid, command in _children().items() if pid not in known}
    assert not left, f"left running: {left}"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that a test runs in this process sets a level; the next test has its own."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


TASKS_END_S = 2.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that ends while a task of its own still runs fails and names the task."""
    wanted = config.getoption("--driver"), config.getoption("--device")
    meant = [_is_meant(item, *wanted) for item in items]
    config.hook.pytest_deselected(items=list(itertools.compress(items, map(not_, meant))))
    items[:] = itertools.compress(items, meant)
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
