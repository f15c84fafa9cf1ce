"""Key files of Kamstrup (KEM, KEM2): a zip under another extension with encrypted XML in it (facts: FAULTS 2.3).

Strategy: take the one XML member out of the zip within fixed bounds, decrypt it (AES-128-CBC, key = password with zeros behind it to 16 bytes, IV = that
key), and collect serial number and key of each meter: `SerialNo` and `DEK` (KEM), or `SerialNumber` and a `Name`/`Value` pair called DEK (KEM2).
Rules: nothing is unpacked to the disk; names with a path, encrypted members, members beyond the bounds, document types and entities are refused;
neither password nor key is ever repeated in an error. The signature of a KEM2 file is not verified: who has the password could make one.
"""

import base64
import binascii
import io
import zipfile
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from submeter.store.errors import KeyFileError

__all__ = ["read_kem"]

LARGEST: Final = 16 * 1024 * 1024
MOST_MEMBERS: Final = 16
DEEPEST: Final = 64
KEY_BYTES: Final = 16
CIPHER: Final = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
SERIAL: Final = ("SerialNo", "SerialNumber")
KEY_NAME: Final = "DEK"


def read_kem(data: bytes, password: str) -> list[tuple[str, str]]:
    """Return serial number and key (hex) of each meter in a KEM or KEM2 file; KeyFileError says what is wrong with the file or the password."""
    found = [pair for document in _members(data) for pair in _meters(_decrypted(document, password))]
    if not found:
        raise KeyFileError("no meter with a key is in it")
    return found


def _members(data: bytes) -> Iterator[bytes]:
    """The members of the zip, each within bounds."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise KeyFileError(f"it has {len(members)} members, a key file has a few")
            for member in members:
                yield _member(archive, member)
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise KeyFileError(f"it is no zip that can be read: {error}") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if set(member.filename) & set("/\\:") or member.filename.startswith("."):
        raise KeyFileError("a member's name has a path in it")
    if member.flag_bits & 1:
        raise KeyFileError("a member is encrypted by the zip itself; a key file's is not")
    with archive.open(member) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise KeyFileError(f"a member is larger than {LARGEST >> 20} MiB when it is unpacked")
    return content


def _decrypted(document: bytes, password: str) -> Element:
    """The XML behind an EncryptedData element; a document without one as it is."""
    outside = _parsed(document)
    sealed = next((one.text or "" for one in outside.iter("CipherValue")), None)
    if sealed is None:
        return outside
    if {one.get("Algorithm") for one in outside.iter("EncryptionMethod")} != {CIPHER}:
        raise KeyFileError("it is encrypted in another way than aes128-cbc")
    try:
        inside = _decipher(base64.b64decode("".join(sealed.split()), validate=True), password)
    except binascii.Error:
        raise KeyFileError("its encrypted part is not base64") from None
    if not inside.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise KeyFileError("the password does not open it")
    return _parsed(inside)


def _decipher(data: bytes, password: str) -> bytes:
    """Plaintext without its padding, whose last byte says how long it is."""
    key = password.encode().ljust(KEY_BYTES, b"\0")
    if not password or len(key) > KEY_BYTES:
        raise KeyFileError(f"its password has 1 to {KEY_BYTES} characters")
    if not data or len(data) % KEY_BYTES:
        raise KeyFileError("its encrypted part is cut")
    plain = Cipher(AES(key), CBC(key)).decryptor().update(data)
    return plain[: -plain[-1]] if 1 <= plain[-1] <= KEY_BYTES else b""


def _parsed(document: bytes) -> Element:
    """The root element, names without their namespace; document types are refused, so no entity can be declared either."""
    builder, depth = TreeBuilder(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise KeyFileError("its XML is nested too deeply")
        builder.start(name.rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition(":")[2])

    def refuse(*_: object) -> None:
        raise KeyFileError("its XML declares a document type or an entity")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise KeyFileError(f"it holds no XML that can be read: {error}") from None
    return builder.close()


def _meters(root: Element) -> Iterator[tuple[str, str]]:
    """Serial number and key of each element that has both."""
    for meter in root.iter():
        serial = _child(meter, *SERIAL)
        key = next(filter(None, map(_key, meter.iter())), None) if serial else None
        if serial and key:
            yield serial, key


def _key(element: Element) -> str | None:
    if element.tag == KEY_NAME:
        return (element.text or "").strip()
    return _child(element, "Value") if _child(element, "Name") == KEY_NAME else None


def _child(element: Element, *names: str) -> str | None:
    return next(((one.text or "").strip() for one in element if one.tag in names), None)
