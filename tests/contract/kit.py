"""A bench of a device at an address: what a simulator is told, a person does.

    ./hall driver check KEY --device URL

runs the suite of the driver's port with `--driver KEY --device URL`. Then every fixture `bench`
yields one of these instead. What no hand can do is skipped and stands in the report as not tried.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from abc import ABC
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from drivers.driver import Driver
from drivers.registry import discover, parse_peripherals
from hallkit.lexicon.words import Words, words
from hallkit.runtime.clock import SystemClock
from launcher.device_url import entry_of

DEVICE = "device"
"""What the parameter of the fixture is called."""
SIMULATED_PATIENCE_S = 10.0
"""How long a test waits for what a twin was told to do."""
BY_HAND_PATIENCE_S = 300.0
_BROKEN = frozenset({"break_", "unplug", "power_cut", "power"})
_UNDOES = {
    "mend": _BROKEN,
    "heal": _BROKEN,
    "lift": frozenset({"lay"}),
    "remove": frozenset({"insert", "insert_other", "insert_mute"}),
    "hush": frozenset({"say"}),
}
_LEAVES_NOTHING = frozenset({"press", "scan", "people", "pass_time", *_UNDOES})
CAN_NOT = 3
"""With what a program in the person's place ends where it can't do something."""

Bench = TypeVar("Bench", bound=ABC)
Answer = Callable[[str], Any]
"""Makes the method's result of what the person typed; `ValueError` asks again."""
Show = Callable[[str], str]
"""Makes what the person needs for it of the method's argument: a code to hold there."""


class Hands:
    """Somebody at the device, told on the terminal what to do, or a program in their place.

    The program is called with the port, the method and its arguments; it ends with 0 when it has
    done it, with 3 where it can't, and prints what it was asked to look at.
    """

    def __init__(self, port: str, say: Words, *, attended: bool, program: str | None) -> None:
        self._port = port
        self._say = say
        self._attended = attended
        self._program = shlex.split(program) if program else None
        self._owed: set[str] = set()
        """What was done and is not undone yet."""

    async def do(self, method: str, *arguments: Any) -> None:
        """Have it done. Skips the test where nobody can do it, or nobody is there."""
        await self._tell(method, *arguments)
        self._owed -= _UNDOES.get(method, frozenset())
        self._owed |= {method} - _LEAVES_NOTHING

    async def ask(self, method: str, read: Answer, *arguments: Any) -> Any:
        """Have it looked at."""
        while True:
            typed = await self._tell(method, *arguments)
            try:
                return read(typed)
            except ValueError:
                assert self._program is None, f"{method}: the program's answer makes no sense"
                _print(self._say("bench.again"))

    async def restore(self) -> None:
        """Have the device as it was, for the next test."""
        if self._owed and self._program is not None:
            await self._call(self._program, "restore")
        elif self._owed:
            await self._line(self._say("bench.restore"))
        self._owed.clear()

    async def _tell(self, method: str, *arguments: Any) -> str:
        names = [str(getattr(argument, "value", argument)) for argument in arguments]
        if self._program is not None:
            return await self._call(self._program, method, *names)
        keys = [f"bench.{self._port}.{'.'.join([method, *names])}", f"bench.{self._port}.{method}"]
        key = next((key for key in keys if self._say.has(key)), None)
        if key is None:
            pytest.skip(f"no hand can do this: {' '.join([method, *names])}")
        if not self._attended:
            pytest.skip(f"nobody at the device: {' '.join([method, *names])}")
        return await self._line(self._say(key, value=names[0] if names else ""))

    async def _call(self, program: list[str], method: str, *arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [*program, self._port, method, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=BY_HAND_PATIENCE_S,
        )
        if done.returncode == CAN_NOT:
            pytest.skip(f"the program can't do this: {' '.join([method, *arguments])}")
        assert done.returncode == 0, f"{program[0]} {method} ended with {done.returncode}"
        return str(done.stdout).strip()

    async def _line(self, told: str) -> str:
        _print(f"→ {told}")
        typed = await asyncio.to_thread(sys.stdin.readline)
        if typed == "":
            pytest.skip("nobody at the device: standard input has ended")
        if typed.strip().lower() == "s":
            pytest.skip("the person at the device could not do it")
        return typed.strip()


@asynccontextmanager
async def device(
    request: pytest.FixtureRequest,
    bench: type[Bench],
    attribute: str,
    *,
    asked: Mapping[str, Answer] | None = None,
    shown: Mapping[str, Show] | None = None,
) -> AsyncIterator[Bench]:
    """The bench of the device that the command line names.

    `attribute`: what the suite calls the driver. `asked`: methods that look instead of doing.
    `shown`: methods for which the person needs to be shown something.
    """
    config = request.config
    spec = discover()[config.getoption("--driver")]
    entry = entry_of(
        spec,
        config.getoption("--device"),
        config.getoption("--set"),
        file=Path(file) if (file := config.getoption("--entry")) else None,
    )
    ((_, parsed),) = parse_peripherals([entry], discover(), file="--device")
    say = words(config.getoption("--language"))
    hands = Hands(
        spec.port,
        say,
        attended=config.getoption("--attended"),
        program=config.getoption("--hands"),
    )
    async with spec.open(parsed, SystemClock()) as driver:
        made: Any = _by_hand(bench, hands, asked or {}, shown or {})()
        setattr(made, attribute, driver)
        made.patience_s = BY_HAND_PATIENCE_S
        try:
            yield made
        finally:
            _keep(request, driver)
            await hands.restore()


def _by_hand(
    bench: type[Bench], hands: Hands, asked: Mapping[str, Answer], shown: Mapping[str, Show]
) -> type[Bench]:
    methods: dict[str, Any] = {}
    for name in bench.__abstractmethods__:
        if name == "listens":
            methods[name] = _listens
        elif name in asked:
            methods[name] = _looks(hands, name, asked[name])
        else:
            methods[name] = _does(hands, name, shown.get(name))
    return type(f"ByHand{bench.__name__}", (bench,), methods)


def _does(hands: Hands, name: str, show: Show | None) -> Callable[..., Awaitable[None]]:
    async def method(_self: object, *arguments: Any, **named: Any) -> None:
        if show is not None:
            _print(show(*arguments))
        await hands.do(name, *arguments, *named.values())

    return method


def _looks(hands: Hands, name: str, read: Answer) -> Callable[..., Awaitable[Any]]:
    async def method(_self: object, *arguments: Any) -> Any:
        return await hands.ask(name, read, *arguments)

    return method


async def _listens(_self: object) -> None:
    """A hand is slower than the driver: one turn of the loop is enough."""
    await asyncio.sleep(0)


def _keep(request: pytest.FixtureRequest, driver: Driver) -> None:
    """What the report tells of the device; the last test to say it is heard."""
    report = driver.report
    for name, value in (("model", report.model), ("serial", report.serial)):
        if value:
            request.node.user_properties.append((name, value))
    for name, value in driver.diagnostics().items():
        request.node.user_properties.append((f"diagnostics.{name}", value))


def _print(told: str) -> None:
    """Standard output is pytest's."""
    sys.stderr.write(f"{told}\n")
    sys.stderr.flush()
