"""The files by which an embedded SeaweedFS lets nobody in but Luna.

Without them its filer, master, volume and admin servers take unauthenticated writes over gRPC, whatever the S3 port
refuses. `security.toml` gives each a certificate and demands one of its clients (mutual TLS), and signs the requests
between them over HTTP. `s3.json` has the one identity of the S3 port.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from luna_serving.local.data_folder.ports import LOOPBACK

if TYPE_CHECKING:
    from luna_serving.local.data_folder.folder import DataFolder

ACCESS_KEY = "luna"
SECURITY, IDENTITIES = "security.toml", "s3.json"
_CA, _CERTIFICATE, _KEY = "ca.pem", "certificate.pem", "key.pem"
_PARTS = ("master", "volume", "filer", "s3", "admin", "worker", "msg_broker", "msg_agent", "client")
_SIGNED = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
# The folder, and with it the certificate, may be used for many years.
_VALID = timedelta(days=36_500)


def write_files(folder: DataFolder) -> None:
    """Write what is missing, each file with mode 0600; certificates and keys are made once."""
    if not (folder.path / SECURITY).exists():
        for name, text in _certificates().items():
            folder.write(name, text)
        # Last, as its presence says that all are there. Names are relative: the folder is the working directory.
        folder.write(SECURITY, _security())
    identity = {
        "name": ACCESS_KEY,
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": folder.password()}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    folder.write(IDENTITIES, json.dumps({"identities": [identity]}) + "\n")


def _security() -> str:
    signed = [f'[{name}]\nkey = "{secrets.token_hex(32)}"\nexpires_after_seconds = 60\n' for name in _SIGNED]
    parts = [f'[grpc.{part}]\ncert = "{_CERTIFICATE}"\nkey = "{_KEY}"\n' for part in _PARTS]
    return "\n".join([*signed, f'[grpc]\nca = "{_CA}"\n', *parts])


def _certificates() -> dict[str, str]:
    """A certificate that serves and calls, and its issuer, whose own key is kept nowhere."""
    # Imported here: it takes a tenth of a second, at the first start of a folder only.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    begins = datetime.now(UTC) - timedelta(days=1)
    issuer_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    draft = (
        x509.CertificateBuilder()
        .issuer_name(name("Luna's object store: issuer"))
        .not_valid_before(begins)
        .not_valid_after(begins + _VALID)
    )
    issuer = (
        draft.subject_name(name("Luna's object store: issuer"))
        .public_key(issuer_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    certificate = (
        draft.subject_name(name("Luna's object store"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK)), x509.DNSName("localhost")]),
            critical=False,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        _CA: issuer.public_bytes(pem).decode(),
        _CERTIFICATE: certificate.public_bytes(pem).decode(),
        _KEY: private.decode(),
    }
