"""A business node as a real process under a throw-away certificate authority."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hallkit.clients.affairs import AffairsClient
from hallkit.runtime.tls import client_context

HOST = "127.0.0.1"
START_LIMIT_S = 20.0
DEVICE = "terminal-01"
ITEM = "510682-demo-001"

SITE_FILE = """
[site]
id = "test-hall"
name = "测试大厅"
area_code = "510682"

[affairs]
host = "127.0.0.1"
port = {port}
"""
NODE_FILE = """
[affairs]
content = "{content}"
devices = ["robot-01"]
"""
DEVICE_FILE = '[device]\nid = "terminal-01"\nname = "1号自助终端"\nrole = "terminal"\n'
CONTENT_FILE = f"""
[[item]]
catalog_code = "{ITEM}"
task_name = "居民身份证补领"
plain_name = "身份证丢了补办"
dept_name = "公安局"
theme = "户籍办理"
service = "public_security"
transact_addr = "1楼D区 5-8号窗口"
base_materials = ["book"]
steps = ["窗口受理"]
[[item.materials]]
key = "book"
material_name = "居民户口簿"
"""


def private_pem(
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """A certificate authority that lives for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("test-ca")
        builder = _certificate(name, name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(ca=True), critical=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def identity(self, name: str, folder: Path) -> Path:
        """Write `ca.pem`, `cert.pem` and `key.pem` of `name`."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _certificate(_name(name), self.certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / "key.pem").write_bytes(private_pem(key))
        return folder


@dataclass
class Hall:
    """Files of a small site: configuration, content, credentials, state."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    signing_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    submissions_key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    port: int = 0

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        (self.folder / "devices").mkdir()
        self.content.mkdir()
        self.write("site.toml", SITE_FILE.format(port=self.port))
        self.write("affairs.toml", NODE_FILE.format(content=self.content))
        self.write("devices/terminal-01.toml", DEVICE_FILE)
        self.write("content/items.toml", CONTENT_FILE)
        credentials = self.authority.identity("affairs", self.folder / "credentials")
        (credentials / "signing.pem").write_bytes(private_pem(self.signing_key))
        (credentials / "submissions.key").write_bytes(private_pem(self.submissions_key))
        (credentials / "data.key").write_bytes(base64.b64encode(secrets.token_bytes(32)))

    @property
    def content(self) -> Path:
        return self.folder / "content"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def identity(self, name: str) -> Path:
        folder = self.folder / "identities" / name
        return folder if folder.exists() else self.authority.identity(name, folder)

    def client(self, name: str = DEVICE) -> AffairsClient:
        return AffairsClient(self.url, client_context(self.identity(name)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run `hallkit affairs serve` while the block runs; its errors go to `node.log`."""
        with (self.folder / "node.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "launcher.cli", "affairs", "serve"),
                env=os.environ
                | {
                    "HALLKIT_CONFIG": f"{self.folder}/site.toml:{self.folder}/affairs.toml",
                    "HALLKIT_STATE_DIR": str(self.state),
                    "HALLKIT_RUNTIME_DIR": str(self.folder / "run"),
                    "HALLKIT_CREDENTIALS_DIR": str(self.folder / "credentials"),
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
            try:
                async with asyncio.timeout(START_LIMIT_S):
                    assert process.stdout is not None
                    line = await process.stdout.readline()
                assert line == b"ready\n", (self.folder / "node.log").read_text("utf-8")
                yield process
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.communicate()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
