"""Keys of a cluster that lives for days: its authority, its certificates, the key of its tokens."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.cluster.kubernetes import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIFETIME = dt.timedelta(days=30)


@dataclass(frozen=True)
class Credentials:
    """Files that `write_credentials` wrote."""

    ca: Path
    server_certificate: Path
    server_key: Path
    # Signs and verifies the service accounts' tokens.
    tokens_key: Path
    tokens_public_key: Path

    @property
    def ca_data(self) -> str:
        """The certificate authority as a kubeconfig wants it."""
        return base64.b64encode(self.ca.read_bytes()).decode()


class Authority:
    """A certificate authority that lives for one cluster. Elliptic curves: RSA would cost a second per key."""

    def __init__(self, common_name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())

    def write(self, path: Path) -> None:
        """Write its own certificate."""
        certificate = (
            _certificate(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_private(path, certificate.public_bytes(Encoding.PEM).decode())

    def issue(
        self, certificate: Path, key: Path, common_name: str, *, group: str = "", hosts: Sequence[str] = ()
    ) -> None:
        """Write a key and its certificate, of a server with `hosts`, else of a client.

        Args:
            certificate: file for the certificate.
            key: file for the private key.
            common_name: the user's name for Kubernetes.
            group: the user's group for Kubernetes.
            hosts: names and addresses of the server.
        """
        own = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _certificate(_name(common_name, group), self._name, own)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            # Python 3.13 refuses a certificate that does not name its authority's key.
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier), critical=False
            )
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        signed = builder.sign(self._key, hashes.SHA256())
        write_private(certificate, signed.public_bytes(Encoding.PEM).decode())
        _write_key(key, own)


def write_credentials(folder: Path, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> Credentials:
    """Make keys in `folder` for an API server with the names and addresses of `hosts`."""
    return issue_credentials(Authority("luna-test-ca"), folder, hosts)


def issue_credentials(authority: Authority, folder: Path, hosts: Sequence[str]) -> Credentials:
    """Make keys in `folder` for an API server, its certificate signed by `authority`."""
    files = Credentials(*(folder / name for name in ("ca.crt", "server.crt", "server.key", "tokens.key", "tokens.pub")))
    authority.write(files.ca)
    authority.issue(files.server_certificate, files.server_key, "kube-apiserver", hosts=hosts)
    tokens_key = ec.generate_private_key(ec.SECP256R1())
    _write_key(files.tokens_key, tokens_key)
    public = tokens_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(files.tokens_public_key, public.decode())
    return files


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str, group: str = "") -> x509.Name:
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group), name] if group else [name])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of containers differ by moments.
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
