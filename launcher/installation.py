"""One installation of the demo hall: its folders, configuration, ports, identities.

<root>/pki/          demo CA and credentials folders (mode 0700, files 0600)
<root>/config/       the site's files as they run here (ports may be moved)
<root>/state/<name>  what survives a power cut, per process
<root>/logs/         one file a process
<root>/receipts/     what the emulated printer printed
runtime              sockets and drafts, in memory (tmpfs)
"""

from __future__ import annotations

import datetime as dt
import fcntl
import getpass
import hashlib
import os
import re
import shutil
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.ids import DeviceId, SiteId
from hallkit.wire.topics import ROOT
from launcher import pki
from launcher.site_files import mistakes_of_site
from launcher.staff import DEMO_FILE
from ops.broker import acl_text, mosquitto_conf

CHECKOUT = Path(__file__).resolve().parent.parent
SITES = CHECKOUT / "config" / "sites"
TERMINAL = "terminal-01"
WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port of the installation, by the name that people know."""

    name: str
    host: str
    port: int


class Installation:
    """Where everything of one demo hall lies."""

    def __init__(self, root: Path, *, site: str = "demo") -> None:
        self.root = root
        self._site = SITES / site
        self.pki = root / "pki"
        self.config = root / "config"
        self.logs = root / "logs"
        self.receipts = root / "receipts"
        memory = os.environ.get("XDG_RUNTIME_DIR", "")
        if not os.path.isdir(memory) or not os.access(memory, os.W_OK):  # noqa: PTH112
            memory = "/dev/shm"  # noqa: S108  # tmpfs by purpose
        digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:10]
        self.runtime = Path(memory) / f"hallkit-{digest}"
        """Short: a Unix socket's path has at most 107 characters."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One hall at a time in a folder; `ConfigError` if another one runs in it."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                problem = ConfigProblem(str(self.root), "lock", "a hall runs here already")
                raise ConfigError([problem]) from None
            yield

    def prepare(
        self, *, move_ports: bool, witness: bool = False, simulated: Sequence[str] = ()
    ) -> None:
        """Make what is missing; keep identities and state of an earlier start.

        `witness` adds an identity that may read every topic: a rehearsal looks for personal data.
        `simulated` are machines beside those that the site's files name. `ConfigError` lists
        every mistake in the files, before anything is made.
        """
        if problems := mistakes_of_site(self._site):
            raise ConfigError(problems)
        # Memory only: what an earlier run left there is gone, as after a power cut.
        shutil.rmtree(self.runtime, ignore_errors=True)
        for folder in (self.logs, self.receipts, self.runtime):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.runtime.stat().st_uid != os.getuid():
            problem = ConfigProblem(str(self.runtime), "-", "belongs to another user")
            raise ConfigError([problem])
        shutil.rmtree(self.config, ignore_errors=True)
        shutil.copytree(self._site, self.config)
        if move_ports:
            _move_ports(self.config)
        named = sorted(path.stem for path in (self.config / "devices").glob("*.toml"))
        devices = (*named, *simulated)
        observers = (WITNESS,) if witness else ()
        pki.make(self.pki, pki.Identities(devices, observers), dt.datetime.now(dt.UTC))
        site = self.site
        broker = self.endpoints["broker"]
        state = self.state("broker")
        acl = state / "acl"
        rights = acl_text(site, [DeviceId(device) for device in devices])
        if witness:
            rights += f"\nuser {WITNESS}\ntopic read {ROOT}/#\n"
        _write_private(acl, rights)
        credentials = self.pki / "broker"
        _write_private(
            self.broker_conf,
            mosquitto_conf(
                host=broker.host,
                port=broker.port,
                ca=credentials / "ca.pem",
                cert=credentials / "cert.pem",
                key=credentials / "key.pem",
                acl=acl,
                state=state,
                user=getpass.getuser(),
            ),
        )

    @property
    def broker_conf(self) -> Path:
        return self.state("broker") / "mosquitto.conf"

    @property
    def site(self) -> SiteId:
        return SiteId(self._read("site.toml")["site"]["id"])

    def state(self, name: str) -> Path:
        folder = self.root / "state" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Ports of the installation by name."""
        site = self._read("site.toml")
        found = {
            name: Endpoint(name, site[name]["host"], site[name]["port"])
            for name in ("broker", "affairs", "ops")
        }
        if staff := self._read("affairs.toml")["affairs"].get("staff"):
            found["staff"] = Endpoint("staff pages", staff["host"], staff["port"])
        for peripheral in self._read(f"devices/{TERMINAL}.toml")["peripherals"]:
            transport = peripheral["transport"]
            if transport["kind"] == "tcp":
                name = f"{peripheral['id']} (emulated)"
                found[peripheral["id"]] = Endpoint(name, transport["host"], transport["port"])
        return found

    def busy_ports(self) -> list[Endpoint]:
        """Ports that somebody else listens on."""
        return [endpoint for endpoint in self.endpoints.values() if not _is_free(endpoint)]

    def environment(self, identity: str, *, files: tuple[str, ...]) -> Mapping[str, str]:
        """Variables of a process of this installation."""
        return {
            **os.environ,
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "HALLKIT_CONFIG": ":".join(str(self.config / file) for file in files),
            "HALLKIT_STATE_DIR": str(self.state(identity)),
            "HALLKIT_RUNTIME_DIR": str(self.runtime),
            "HALLKIT_CREDENTIALS_DIR": str(self.pki / identity),
        }

    def console_url(self) -> str:
        """Address of the console, with the token that logs in."""
        endpoint = self.endpoints["ops"]
        token = (self.pki / "ops" / "console.token").read_text(encoding="ascii").strip()
        return f"http://{endpoint.host}:{endpoint.port}/?token={token}"

    def staff_url(self) -> str:
        """Address of the staff pages."""
        endpoint = self.endpoints["staff"]
        return f"http://{endpoint.host}:{endpoint.port}/"

    @property
    def staff_accounts(self) -> Path:
        """The file with the one-time passwords of the demo's accounts."""
        return self.state("affairs") / DEMO_FILE

    def _read(self, file: str) -> dict[str, Any]:
        return tomllib.loads((self.config / file).read_text(encoding="utf-8"))


def _is_free(endpoint: Endpoint) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError:
            return False
    return True


def _move_ports(config: Path) -> None:
    """Give every port of the files a free number of this machine."""
    with _free_ports() as take:
        moved: dict[str, int] = {}

        def replace(match: re.Match[str]) -> str:
            number = moved.setdefault(match[2], take())
            return f"{match[1]}{number}"

        for path in sorted(config.rglob("*.toml")):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"(\bport = )(\d+)", replace, text), encoding="utf-8")


@contextmanager
def _free_ports() -> Iterator[Callable[[], int]]:
    """Ports that are free now; all are held until the last is chosen, so that none repeats."""
    held: list[socket.socket] = []

    def take() -> int:
        probe = socket.socket()
        held.append(probe)
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number

    try:
        yield take
    finally:
        for probe in held:
            probe.close()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
