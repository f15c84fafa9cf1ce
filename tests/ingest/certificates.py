"""Certificates for tests: an authority, and what it signs, as files."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """A self-signed certificate for 127.0.0.1, which signs others."""

    def __init__(self, folder, name):
        folder.mkdir(exist_ok=True)
        self._folder, self._name = folder, _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.cert_file, self.key_file = self._written(name, self._key, authority=True)

    def issue(self, name):
        """A certificate of this name for 127.0.0.1, and its key."""
        return self._written(name, ec.generate_private_key(ec.SECP256R1()), authority=False)

    def _written(self, name, key, *, authority):
        start = datetime.now(UTC) - timedelta(days=1)
        builder = x509.CertificateBuilder(self._name, _named(name), key.public_key(), x509.random_serial_number(), start, start + timedelta(days=2))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        signed = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True).sign(self._key, hashes.SHA256())
        cert_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        cert_file.write_bytes(signed.public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert_file, key_file


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
