"""The installation's own certificate authority: for its servers, and for devices that can keep a key.

ECDSA on P-256, by the library `cryptography`. The authority's key never leaves its folder.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from access.errors import AuthorityError

ROOT_DAYS = 3650
SERVER_DAYS = 397
"""Browsers take server certificates of at most 398 days."""
CLIENT_DAYS = 1095

CERTIFICATE, KEY = "ca.crt", "ca.key"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as it is given out.

    Attributes:
        certificate: PEM.
        key: its private key, PEM; nobody keeps it here.
        serial: its number, hexadecimal.
        expires: when it ends.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    serial: str
    expires: dt.datetime


class Authority:
    """Signs certificates."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Sign with a key whose certificate this is."""
        self._certificate = certificate
        self._key = key

    @classmethod
    def opened(cls, folder: Path, *, name: str = "Courtyard") -> "Authority":
        """The authority in a folder; made there where there is none.

        Args:
            folder: holds `ca.crt` and `ca.key`, the latter readable by its owner alone.
            name: what a new one is called.

        Raises:
            AuthorityError: it cannot be read or written.
        """
        try:
            if not (folder / KEY).exists():
                _make(folder, name)
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
            key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        except (OSError, ValueError) as exc:
            raise AuthorityError(f"the certificate authority in {folder} cannot be used: {exc}") from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{folder / KEY} holds another kind of key than this program makes")
        return cls(certificate, key)

    @property
    def certificate(self) -> bytes:
        """What clients are to trust, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, names: Sequence[str], *, days: float = SERVER_DAYS) -> Issued:
        """A certificate of a server.

        Args:
            names: host names and addresses that it answers to; the first is its subject.
            days: how long it is good.
        """
        alternatives = x509.SubjectAlternativeName([_general(each) for each in names])
        return self._issue(names[0], ExtendedKeyUsageOID.SERVER_AUTH, days, alternatives)

    def client(self, name: str, *, days: float = CLIENT_DAYS) -> Issued:
        """A certificate of a client that is called so: its common name."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, days, None)

    def refused(self, serials: Iterable[int]) -> bytes:
        """The list of certificates that are not to be taken (CRL), PEM."""
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(now - dt.timedelta(hours=1)).next_update(now + dt.timedelta(days=ROOT_DAYS))
        for each in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(each).revocation_date(now).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(
        self, name: str, use: x509.ObjectIdentifier, days: float, alternatives: x509.SubjectAlternativeName | None
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, self._certificate.subject, key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        return Issued(
            made.public_bytes(serialization.Encoding.PEM), _pem(key), f"{made.serial_number:x}",
            made.not_valid_after_utc,
        )  # fmt: skip


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that only its owner may read; raises `AuthorityError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        part.replace(path)
    except OSError as exc:
        raise AuthorityError(f"{path} cannot be written: {exc.strerror}") from exc


def _make(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    builder = _builder(f"{name} authority", subject, key.public_key(), ROOT_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(
        x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        ),
        critical=True,
    )  # fmt: skip
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    write_private(folder / KEY, _pem(key))
    made = builder.sign(key, hashes.SHA256())
    write_private(folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a device's clock may be behind
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
