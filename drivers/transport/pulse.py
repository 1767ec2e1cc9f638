"""What sound devices PulseAudio knows, by its own `pactl`."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any, Literal

from drivers.transport.portaudio_pump import Fault, choose
from hallkit.errors import DeviceTimeout, DeviceUnavailable, NotSupported, ProtocolError, Reason

Side = Literal["source", "sink"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A source or a sink."""

    name: str
    description: str
    muted: bool
    is_monitor: bool
    """What a loudspeaker plays, offered as if it were a microphone."""

    @property
    def label(self) -> str:
        """Both names, for a technician and for the choice by a part."""
        return f"{self.name} ({self.description})"


async def endpoints(device_id: str, side: Side, *, server: str, timeout_s: float) -> list[Endpoint]:
    """All of one side. `DeviceError` where PulseAudio cannot be asked."""
    listed = await _ask(device_id, f"list {side}s", server=server, timeout_s=timeout_s)
    return endpoints_of(device_id, side, listed)


def endpoints_of(device_id: str, side: Side, listed: Any) -> list[Endpoint]:
    """Of `pactl`'s list. `ProtocolError` for anything else."""
    try:
        return [
            Endpoint(
                name=str(one["name"]),
                description=str(one.get("description", "")),
                muted=bool(one.get("mute")) or _is_down(one.get("volume") or {}),
                is_monitor=side == "source" and bool(one.get("monitor_source")),
            )
            for one in listed
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ProtocolError(device_id, Reason.GARBLED, "pactl") from exc


async def find(
    device_id: str, side: Side, wanted: str, *, server: str, timeout_s: float
) -> Endpoint:
    """The one that is meant; by name or a part of it, else PulseAudio's default.

    `DeviceUnavailable` with the list of those that are there. A monitor is never taken unless its
    whole name is given: with no microphone left PulseAudio makes the loudspeaker's the default.
    """
    present = await endpoints(device_id, side, server=server, timeout_s=timeout_s)
    exact = next((one for one in present if one.name == wanted), None)
    if exact is not None:
        return exact
    real = {one.label: one for one in present if not one.is_monitor}
    if not wanted:
        info = await _ask(device_id, "info", server=server, timeout_s=timeout_s)
        default = info.get(f"default_{side}_name") if isinstance(info, dict) else None
        found = next((one for one in real.values() if one.name == default), None)
        if found is not None:
            return found
        told = "; ".join(real) or "none"
        raise DeviceUnavailable(device_id, Reason.PORT_GONE, f"no default; present: {told}")
    try:
        return real[choose(list(real), wanted)]
    except Fault as fault:
        raise DeviceUnavailable(device_id, Reason(fault.reason), fault.detail) from None


async def _ask(device_id: str, question: str, *, server: str, timeout_s: float) -> Any:
    options = ["--server", server] if server else []
    try:
        process = await asyncio.create_subprocess_exec(
            *("pactl", *options, "--format=json", *question.split()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as exc:
        raise NotSupported(
            device_id, Reason.UNSUPPORTED, "no pactl: install pulseaudio-utils"
        ) from exc
    try:
        async with asyncio.timeout(timeout_s):
            said, _ = await process.communicate()
    except TimeoutError as exc:
        raise DeviceTimeout(device_id, Reason.SILENT, "PulseAudio does not answer") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise DeviceUnavailable(device_id, Reason.REFUSED, "no PulseAudio")
    try:
        return json.loads(said.decode("utf-8", "replace"))
    except ValueError as exc:
        raise ProtocolError(device_id, Reason.GARBLED, "pactl") from exc


def _is_down(volume: dict[str, Any]) -> bool:
    """Whether every channel is turned down to nothing."""
    values = [one.get("value") for one in volume.values() if isinstance(one, dict)]
    return bool(values) and not any(values)
