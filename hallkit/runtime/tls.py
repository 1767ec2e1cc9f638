"""Mutual TLS: one certificate per process identity serves broker and affairs alike."""

from __future__ import annotations

import ssl
from pathlib import Path

from hallkit.errors import TrustError


def client_context(credentials: Path) -> ssl.SSLContext:
    """A context that shows our certificate and trusts only the site's own CA.

    `credentials` holds `ca.pem`, `cert.pem` and `key.pem`. `TrustError` if they cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(credentials / "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(credentials / "cert.pem"), str(credentials / "key.pem"))
    except (OSError, ssl.SSLError) as exc:
        raise TrustError(f"credentials in {credentials.name}: {exc}") from exc
    return context
