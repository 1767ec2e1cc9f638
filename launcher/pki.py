"""Set-up's demo CA: one certificate per identity, keys of mode 0600, made for this installation.

    <root>/ca/{ca.pem, ca-key.pem}
    <root>/<identity>/{ca.pem, cert.pem, key.pem, …}      the credentials folder of one process

Enrolment with one-time tokens takes this over in a hall (operations). P-256 and Ed25519, as the
design asks; certificates live a year, the CA ten.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEAR = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
_SERVERS = ("broker", "affairs", "ops")


@dataclass(frozen=True, slots=True)
class Identities:
    """Who gets a certificate: the hall's servers, the hub's client, and its machines."""

    devices: tuple[str, ...]
    observers: tuple[str, ...] = ()
    """Who may listen on the broker and say nothing: a rehearsal's witness."""

    @property
    def all(self) -> tuple[str, ...]:
        return (*_SERVERS, *self.devices, *self.observers)


COMMON_NAME = {"ops": "hub"}
"""Identities whose certificate carries another name than their folder."""


def make(root: Path, identities: Identities, now: dt.datetime) -> None:
    """Make what is missing and keep what is there: a second set-up changes nothing."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _Authority.load_or_make(root / "ca", now)
    for name in identities.all:
        folder = root / name
        folder.mkdir(exist_ok=True, mode=0o700)
        if _runs_out(folder / "cert.pem", now):
            authority.issue(folder, COMMON_NAME.get(name, name), now, server=name in _SERVERS)
    signing = root / "affairs" / "signing.pem"
    if not signing.exists():
        _write(signing, _pem(Ed25519PrivateKey.generate()))
    key = load_pem_private_key(signing.read_bytes(), password=None)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name in identities.devices:
        # The same key signs the catalogue and the codes on tickets.
        trusted = root / name / "catalogue.pub"
        if not trusted.exists() or trusted.read_bytes() != public:
            _write(trusted, public)
    submissions = root / "affairs" / "submissions.key"
    if not submissions.exists():
        _write(submissions, _pem(X25519PrivateKey.generate()))
    sealing = load_pem_private_key(submissions.read_bytes(), password=None)
    to_node = sealing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name in identities.devices:
        # What a citizen said goes to the node's key before it touches a machine's disk.
        sealed_to = root / name / "submissions.pub"
        if not sealed_to.exists() or sealed_to.read_bytes() != to_node:
            _write(sealed_to, to_node)
    _write_once(root / "affairs" / "data.key", base64.b64encode(secrets.token_bytes(32)))
    _write_once(root / "ops" / "console.token", secrets.token_urlsafe(24).encode())


class _Authority:
    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def load_or_make(cls, folder: Path, now: dt.datetime) -> _Authority:
        folder.mkdir(exist_ok=True, mode=0o700)
        key_path, certificate_path = folder / "ca-key.pem", folder / "ca.pem"
        if key_path.exists() and certificate_path.exists():
            key = load_pem_private_key(key_path.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{key_path.name} is not a P-256 key")
            return cls(key, x509.load_pem_x509_certificate(certificate_path.read_bytes()))
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Hallkit demo CA")
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key.public_key(), now, 10 * _YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        _write(key_path, _pem(key))
        _write(certificate_path, certificate.public_bytes(Encoding.PEM))
        return cls(key, certificate)

    def issue(self, folder: Path, common_name: str, now: dt.datetime, *, server: bool) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if server:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = (
            _builder(_name(common_name), self._certificate.subject, key.public_key(), now, _YEAR)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if server:
            names: list[x509.GeneralName] = [
                x509.DNSName("localhost"),
                x509.DNSName(common_name),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        _write(folder / "ca.pem", self._certificate.public_bytes(Encoding.PEM))
        _write(folder / "key.pem", _pem(key))
        _write(folder / "cert.pem", certificate.public_bytes(Encoding.PEM))


def _runs_out(path: Path, now: dt.datetime) -> bool:
    """True if the certificate is not there or ends soon: set-up makes a new one in time."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return True
    return certificate.not_valid_after_utc - now < RENEW_BEFORE


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    life: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_once(path: Path, content: bytes) -> None:
    if not path.exists():
        _write(path, content)


def _write(path: Path, content: bytes) -> None:
    """Atomically, readable by the owner alone."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    part.replace(path)
