"""Files of meter keys: tables and Kamstrup's encrypted zips, made here; what is refused, and whose a key is."""

import base64
import io
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from submeter.decoders import DES_CBC
from submeter.reading import DeviceId
from submeter.store import Registry, Vault, VaultError
from submeter.store.errors import KeyFileError
from submeter.store.key_files import Columns, is_key_file, needs_password, read_keys
from submeter.store.keys import import_keys

KEYS = ["4f61c0b37e9a52d81306f5ae7d42b98c", "a93e07d15c6b28f4407de1c9358a16f2", "4f61c0b37e9a52d8"]
WATER = DeviceId("KAM", "91000001", 0x1B, 0x16)
HEAT = DeviceId("STM", "91000002", 0x02, 0x04)
PASSWORD = "hunter22"
KEM = "<MetersInOrder orderid='7'><Meter><MeterName>M</MeterName><SerialNo>{0}</SerialNo><DEK>{1}</DEK></Meter><Meter><SerialNo>91000009</SerialNo></Meter></MetersInOrder>"
KEM2 = "<d:Devices xmlns:d='x'><d:Device><d:SerialNumber>{0}</d:SerialNumber><d:P><d:Parameter><d:Name>VOL</d:Name><d:Value>1</d:Value></d:Parameter><d:Parameter><d:Name>DEK</d:Name><d:Value>{1}</d:Value></d:Parameter></d:P></d:Device></d:Devices>"
CBC128 = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


@pytest.fixture
def registry(tmp_path):
    """A registry with a vault."""
    with Registry(tmp_path / "registry.sqlite", Vault.create(tmp_path / "master.key")) as opened:
        yield opened


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(content, name="keys.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def sealed(xml, password=PASSWORD, method=CBC128):
    """An XML document as its encrypted envelope."""
    key, data = password.encode().ljust(16, b"\0"), xml.encode()
    fill = 16 - len(data) % 16
    secret = Cipher(AES(key), CBC(key)).encryptor().update(data + bytes(fill - 1) + bytes([fill]))
    text = base64.b64encode(secret).decode()
    return f"<EncryptedData xmlns='http://www.w3.org/2001/04/xmlenc#'><EncryptionMethod Algorithm='{method}'/><CipherData><CipherValue>\n{text}\n</CipherValue></CipherData></EncryptedData>"


def zipped(*members, **more):
    """A zip of (name, content)."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*members, *more.items()]:
            archive.writestr(name, content)
    return memory.getvalue()


def imported(registry, path, password="", heard=(WATER, HEAT), columns=None):
    """Import a key file; what is told."""
    rows, told = read_keys(path, password, columns or Columns())
    return [told, *import_keys(registry, path, rows, heard).lines()]


def keys(registry):
    """All keys of the registry in clear."""
    return {str(device.id): device.key.hex() if device.key else None for device in registry.devices()}


@pytest.mark.parametrize(
    "text",
    [
        f"91000001,{KEYS[0]}\n91000002,{KEYS[1]}\n",
        f"Zähler;Ort;AES-Schlüssel\n91000001;Keller;{KEYS[0].upper()}\n91000002;Dach;{KEYS[1]}\n\n",
        f"\ufeffkey\tserial\n{' '.join(KEYS[0][i : i + 2] for i in range(0, 32, 2))}\tKAM91000001\n{KEYS[1]}\tSTM 91000002\n",
        f"device,key,model\n{WATER},{KEYS[0]},a\n{HEAT},{KEYS[1]},b\n",
    ],
)
def test_a_table_of_keys_is_understood(registry, file, text):
    """Any delimiter and header, or none: the columns are found by what stands in them, and told; numbers find their devices among those heard."""
    lines = imported(registry, file(text))
    assert lines[0].startswith("meters from column ")
    assert lines[1:] == [f"key of {WATER} added", f"key of {HEAT} added", "device: 2 added"]
    assert keys(registry) == {str(WATER): KEYS[0], str(HEAT): KEYS[1]}
    assert imported(registry, file(text))[1:] == ["device: 2 unchanged"]
    assert [(entry.action, entry.detail) for entry in registry.audit()] == [("keys.import", "2 differences"), ("keys.import", "0 differences")]
    assert not any(key in str(registry.audit()) + repr(read_keys(file(text))) for key in KEYS)


@pytest.mark.parametrize("xml", [KEM, KEM2])
@pytest.mark.parametrize("encrypted", [True, False])
def test_kamstrup_files_are_understood(registry, file, xml, encrypted):
    """Both generations, encrypted with a password, or plain inside their zip."""
    text = xml.format("91000001", KEYS[0].upper())
    path = file(zipped(("keys.kem", sealed(text) if encrypted else text)), "order.kem2")
    assert is_key_file(path)
    assert needs_password(path)
    assert imported(registry, path, PASSWORD)[1:] == [f"key of {WATER} added", "device: 1 added"]
    assert keys(registry) == {str(WATER): KEYS[0]}


@pytest.mark.both_engines
def test_the_version_of_the_directory_rises(registry, file):
    """A changed key is a changed directory, so that what waited is decoded again."""
    before = registry.version()
    imported(registry, file(f"91000001,{KEYS[0]}\n"))
    first = registry.version()
    imported(registry, file(f"91000001,{KEYS[0]}\n"))
    assert before < first == registry.version()
    assert imported(registry, file(f"91000001,{KEYS[1]}\n"))[1] == f"key of {WATER} changed"


@pytest.mark.both_engines
def test_a_number_without_a_device_is_left_out(registry, file):
    """A meter never heard is told and left out; two devices of one number need the whole id; the maker tells them apart."""
    other = DeviceId("SEN", "91000001", 0x68, 0x07)
    path = file(f"91000001,{KEYS[0]}\n91000007,{KEYS[1]}\n")
    assert "91000007 is not in the directory and was not heard yet" in " ".join(imported(registry, path))
    with pytest.raises(KeyFileError, match=f"row 1: 91000001 may be {WATER} or {other}"):
        imported(registry, path, heard=[WATER, other])
    imported(registry, file(f"SEN,91000001,{KEYS[1]}\n"), heard=[WATER, other])
    assert keys(registry) == {str(WATER): KEYS[0], str(other): KEYS[1]}


@pytest.mark.both_engines
def test_one_key_for_several_meters_is_warned_of(registry, file):
    """Whoever has one of them reads all."""
    lines = imported(registry, file(f"91000001,{KEYS[0]}\n91000002,{KEYS[0]}\n"))
    assert any(line.startswith("warning: one key serves 2 devices") for line in lines)


@pytest.mark.both_engines
def test_a_key_of_eight_bytes_pins_its_mode(registry, file):
    """DES opens only what is pinned to it; an AES key lifts the pin; the Diehl group's own cipher is no DES."""
    imported(registry, file(f"91000001,{KEYS[2]}\n"))
    assert [device.mode for device in registry.devices()] == [DES_CBC]
    imported(registry, file(f"91000001,{KEYS[0]}\n"))
    assert [device.mode for device in registry.devices()] == [None]
    diehl = DeviceId("HYD", "91000003", 0x30, 0x07)
    imported(registry, file(f"{diehl},{KEYS[2]}\n"))
    assert [device.mode for device in registry.devices()] == [None, None]


NO_TABLES = (
    ("", "it is empty"),
    ("a,b\n", "it is no table"),
    (f"91000001,{KEYS[0]}\n91000002\n", "it is no table"),
    (f"x,y\n91000001,{KEYS[0]}\n91000002,{KEYS[1][:-1]}\n", "no column holds keys"),
    (f"x,y\nnobody,{KEYS[0]}\n", "no column holds meter numbers"),
    (f"a,b,c\n91000001,91000002,{KEYS[0]}\n", "columns 'a', 'b' may all hold meter numbers: name the column with --id-column"),
    (f"91000001,{KEYS[0]},{KEYS[1]}\n", "columns 2, 3 may all hold keys"),
    (f"91000001,{KEYS[0]}\n91000001,{KEYS[1]}\n", "is there twice with different keys"),
    ("a" * 200_000, "it cannot be read"),
    (b"\xff\xfe", "it cannot be read"),
    (f"91000001,{KEYS[0]}\n".encode("utf-16"), "it cannot be read"),
    (f"a,b\n91000001,{KEYS[0]}0\n", "no column holds keys"),
    (f"a,b\n91000001,{KEYS[0][:-1]}g\n", "no column holds keys"),
    (f"a,b\n91000001,{KEYS[0].translate({one: one + 0xFEE0 for one in range(0x21, 0x7F)})}\n", "no column holds keys"),
    (f"910000010,{KEYS[0]}\n", "no column holds meter numbers"),
    (f"-91000001,{KEYS[0]}\n", "no column holds meter numbers"),
    ("\n\n\n", "it is no table"),
    (bytes(64), "it is no table"),
)


@pytest.mark.both_engines
def test_a_table_that_is_none_is_refused(registry, file):
    """With the reason, as a whole, and without a key in the sentence."""
    for text, said in NO_TABLES:
        with pytest.raises(KeyFileError, match=said) as caught:
            imported(registry, file(text))
        assert not any(key in str(caught.value) for key in KEYS)
    assert keys(registry) == {}


@pytest.mark.both_engines
def test_the_operator_may_name_the_columns(registry, file):
    """Where several would do, and with mistakes told by row."""
    path = file(f"old,new,serial,key\n91000002,91000001,5,{KEYS[0]}\n")
    imported(registry, path, columns=Columns("new", "key"))
    assert keys(registry) == {str(WATER): KEYS[0]}
    for columns, said in (
        (Columns("none"), "it has no column 'none'"),
        (Columns("serial"), "row 2: '5' is neither"),
        (Columns("new", "old"), "row 2: the key is not"),
    ):
        with pytest.raises(KeyFileError, match=said):
            imported(registry, path, columns=columns)


BOMB = zipped(("keys.kem", b"<" + b"a" * (17 * 1024 * 1024)))
GOOD = sealed(KEM.format("91000001", KEYS[0]))


NO_KEM = (
    (b"PK", "no zip"),
    (zipped(("keys.kem", GOOD))[:-30], "no zip"),
    (zipped(("../keys.kem", GOOD)), "a path in it"),
    (zipped(("a\\keys.kem", GOOD)), "a path in it"),
    (zipped(*((f"{number}.kem", GOOD) for number in range(17))), "17 members"),
    (BOMB, "larger than 16 MiB"),
    (zipped(("keys.kem", "no xml")), "no XML"),
    (zipped(("keys.kem", "<a/>")), "no meter"),
    (zipped(("keys.kem", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")), "document type"),
    (zipped(("keys.kem", "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>")), "document type"),
    (zipped(("keys.kem", sealed("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"))), "document type"),
    (zipped(("keys.kem", "<a>" * 100)), "nested too deeply"),
    (zipped(("keys.kem", sealed("<a/>", method="http://www.w3.org/2001/04/xmlenc#aes256-cbc"))), "another way"),
    (zipped(("keys.kem", GOOD.replace("=</", "</").replace("\n</Cipher", "*</Cipher"))), "not base64"),
    (zipped(("keys.kem", GOOD.replace("CipherValue>\n", "CipherValue>AAAA", 1))), "is cut"),
    (zipped(("keys.kem", sealed(KEM.format("91000001", "short")))), "meter 1 has no serial number or key of the usual form"),
    (zipped(("keys.kem", sealed(KEM.format("../x", KEYS[0])))), "meter 1 has no serial number or key of the usual form"),
)


@pytest.mark.both_engines
def test_a_kamstrup_file_that_is_none_is_refused(registry, file):
    """Bombs, paths, document types, other ciphers, cuts: refused with the reason, nothing unpacked."""
    for data, said in NO_KEM:
        path = file(data, "order.kem")
        before = set(path.parent.iterdir())
        with pytest.raises(KeyFileError, match=said):
            imported(registry, path, PASSWORD)
        assert set(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("password", "said"), [("wrong", "the password does not open it"), ("", "1 to 16 characters"), ("x" * 17, "1 to 16 characters")]
)
def test_a_wrong_password_is_told(registry, file, password, said):
    """And not repeated."""
    with pytest.raises(KeyFileError, match=said) as caught:
        imported(registry, file(zipped(("keys.kem", GOOD)), "order.kem"), password)
    assert not password or password not in str(caught.value)


@pytest.mark.both_engines
def test_a_zip_with_its_own_encryption_is_refused(registry, file):
    """Its flag is enough."""
    data = bytearray(zipped(("keys.kem", GOOD)))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(KeyFileError, match="encrypted by the zip itself"):
        imported(registry, file(bytes(data), "order.kem"), PASSWORD)


@pytest.mark.both_engines
def test_without_a_master_key_nothing_is_taken(tmp_path, file):
    """Keys are never kept in clear."""
    with Registry(tmp_path / "open.sqlite") as bare, pytest.raises(VaultError, match="new-master-key"):
        imported(bare, file(f"91000001,{KEYS[0]}\n"))


@pytest.mark.both_engines
def test_what_is_a_key_file(file, tmp_path):
    """A zip under any name or one table; not a folder, a directory file, or nothing."""
    assert is_key_file(file("a,b", "keys.CSV"))
    assert not is_key_file(file("[[manager]]", "house.toml"))
    assert not is_key_file(tmp_path)
    assert not needs_password(Path(tmp_path / "nothing"))
