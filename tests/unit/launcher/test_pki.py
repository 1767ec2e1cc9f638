"""Identities are made once, for their owner alone, and hold together."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hallkit.errors import TrustError
from hallkit.runtime.keys import load_private, load_public
from hallkit.runtime.tls import client_context
from launcher import pki

NOW = dt.datetime(2026, 1, 2, 4, tzinfo=dt.UTC)
IDENTITIES = pki.Identities(devices=("terminal-01", "terminal-02"), observers=("witness",))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "pki"
    pki.make(folder, IDENTITIES, NOW)
    return folder


def certificate(root: Path, identity: str, file: str = "cert.pem") -> x509.Certificate:
    return x509.load_pem_x509_certificate((root / identity / file).read_bytes())


def everything(root: Path) -> Iterator[Path]:
    yield root
    yield from root.rglob("*")


def stamps(root: Path) -> dict[Path, tuple[int, int, bytes]]:
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in everything(root)
        if path.is_file()
    }


def common_name(found: x509.Certificate) -> str:
    [name] = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def test_everything_is_readable_by_its_owner_alone(root: Path) -> None:
    modes = {
        path.relative_to(root): path.stat().st_mode & 0o777
        for path in everything(root)
        if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    }
    assert modes == {}


def test_every_identity_has_what_it_needs_and_nothing_is_left_over(root: Path) -> None:
    files = {
        folder.name: sorted(path.name for path in folder.iterdir())
        for folder in root.iterdir()
        if folder.is_dir()
    }
    tls = ["ca.pem", "cert.pem", "key.pem"]
    assert files == {
        "ca": ["ca-key.pem", "ca.pem"],
        "broker": tls,
        "affairs": sorted([*tls, "data.key", "signing.pem", "submissions.key"]),
        "ops": sorted([*tls, "console.token"]),
        "terminal-01": sorted([*tls, "catalogue.pub", "submissions.pub"]),
        "terminal-02": sorted([*tls, "catalogue.pub", "submissions.pub"]),
        "witness": tls,
    }


def test_making_it_again_touches_nothing(root: Path) -> None:
    before = stamps(root)
    pki.make(root, IDENTITIES, NOW + dt.timedelta(days=30))
    assert stamps(root) == before


def test_a_new_machine_gets_an_identity_of_the_same_authority(tmp_path: Path) -> None:
    pki.make(tmp_path / "pki", pki.Identities(devices=("terminal-01",)), NOW)
    before = stamps(tmp_path / "pki")
    pki.make(tmp_path / "pki", IDENTITIES, NOW)
    after = stamps(tmp_path / "pki")
    assert {path: after[path] for path in before} == before
    issuer = certificate(tmp_path / "pki", "ca", "ca.pem")
    certificate(tmp_path / "pki", "terminal-02").verify_directly_issued_by(issuer)


@pytest.mark.parametrize("identity", IDENTITIES.all)
def test_the_chain_holds(root: Path, identity: str) -> None:
    issuer = certificate(root, "ca", "ca.pem")
    found = certificate(root, identity)
    found.verify_directly_issued_by(issuer)
    assert certificate(root, identity, "ca.pem") == issuer
    assert found.not_valid_before_utc <= NOW < found.not_valid_after_utc
    assert found.not_valid_after_utc <= issuer.not_valid_after_utc
    key = load_pem_private_key((root / identity / "key.pem").read_bytes(), password=None)
    assert key.public_key() == found.public_key()
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    client_context(root / identity)


def test_the_authority_signs_certificates_and_nothing_below_itself(root: Path) -> None:
    authority = certificate(root, "ca", "ca.pem")
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("broker", "broker"),
        ("affairs", "affairs"),
        ("ops", "hub"),
        ("terminal-01", "terminal-01"),
        ("witness", "witness"),
    ],
)
def test_the_certificate_names_its_owner(root: Path, identity: str, name: str) -> None:
    assert common_name(certificate(root, identity)) == name


@pytest.mark.parametrize("identity", ["broker", "affairs", "ops"])
def test_a_server_is_found_under_its_name_and_this_machines(root: Path, identity: str) -> None:
    found = certificate(root, identity)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages


@pytest.mark.parametrize("identity", ["terminal-01", "witness"])
def test_a_machine_can_not_pose_as_a_server(root: Path, identity: str) -> None:
    usages = (
        certificate(root, identity).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    )
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_every_machine_trusts_the_catalogue_that_affairs_signs(root: Path) -> None:
    public = load_private(root / "affairs" / "signing.pem").public_key()
    for device in IDENTITIES.devices:
        trusted = load_public(root / device / "catalogue.pub")
        assert trusted.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ) == public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(TrustError):
            load_private(root / device / "catalogue.pub")


def test_two_installations_share_no_secret(root: Path, tmp_path: Path) -> None:
    pki.make(tmp_path / "pki", IDENTITIES, NOW)
    mine = {path.read_bytes() for path in everything(root) if path.is_file()}
    theirs = {path.read_bytes() for path in everything(tmp_path / "pki") if path.is_file()}
    assert mine & theirs == set()
