import base64

import pytest

from submeter.store import Vault, VaultError

MASTER = bytes(range(32))
DEVICE = "AAA-12345678-1B-06"
KEY = b"sixteen byte key"


def test_a_key_opens_for_its_device_only():
    """A sealed key opens under the same master key for the same device, and for nothing else."""
    sealed = Vault(MASTER).seal(KEY, DEVICE)
    assert Vault(MASTER).open(sealed, DEVICE) == KEY
    for vault, device in ((Vault(MASTER), "AAA-12345678-1B-07"), (Vault(MASTER[::-1]), DEVICE)):
        with pytest.raises(VaultError, match=f"the key of {device} does not open"):
            vault.open(sealed, device)


@pytest.mark.parametrize("at", [0, 1, 12, 13, -1])
def test_a_sealed_key_cannot_be_altered(at):
    """A bit changed anywhere in a sealed key is noticed."""
    sealed = bytearray(Vault(MASTER).seal(KEY, DEVICE))
    sealed[at] ^= 1
    with pytest.raises(VaultError):
        Vault(MASTER).open(bytes(sealed), DEVICE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12)])
def test_a_cut_sealed_key_is_refused(sealed):
    """What is too short to be a sealed key is refused like an altered one."""
    with pytest.raises(VaultError):
        Vault(MASTER).open(sealed, DEVICE)


def test_sealing_twice_differs():
    """Equal keys cannot be told from their sealed forms."""
    assert Vault(MASTER).seal(KEY, DEVICE) != Vault(MASTER).seal(KEY, DEVICE)
    assert KEY not in Vault(MASTER).seal(KEY, DEVICE)


@pytest.mark.parametrize("text", [MASTER.hex(), MASTER.hex().upper() + "\n", base64.b64encode(MASTER).decode()])
def test_a_master_key_is_hex_or_base64(tmp_path, monkeypatch, text):
    """A master key is read in either form from a private file or from the environment."""
    file = tmp_path / "master.key"
    file.write_text(text)
    file.chmod(0o600)
    monkeypatch.setenv("SUBMETER_TEST_MASTER", text)
    sealed = Vault(MASTER).seal(KEY, DEVICE)
    assert Vault.from_file(file).open(sealed, DEVICE) == KEY
    assert Vault.from_environment("SUBMETER_TEST_MASTER").open(sealed, DEVICE) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    """A master key within reach of others is refused with the command that helps."""
    file = tmp_path / "master.key"
    Vault.create(file)
    file.chmod(mode)
    with pytest.raises(VaultError, match=f"chmod 600 {file}"):
        Vault.from_file(file)


def test_a_new_master_key_is_private_and_never_overwrites(tmp_path):
    """A new key lands in a file of mode 0600; a file that is there stays."""
    file = tmp_path / "master.key"
    sealed = Vault.create(file).seal(KEY, DEVICE)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(VaultError, match="cannot be made"):
        Vault.create(file)
    assert Vault.from_file(file).open(sealed, DEVICE) == KEY


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "é" * 64, MASTER.hex()[:-2]])
def test_what_is_no_master_key_is_refused_without_being_shown(tmp_path, text):
    """A file with anything else is refused by name."""
    file = tmp_path / "master.key"
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    with pytest.raises(VaultError) as caught:
        Vault.from_file(file)
    assert not text or text not in str(caught.value).replace(str(file), "")


def test_missing_keys_are_told(tmp_path, monkeypatch):
    """A missing file and an empty variable are told with what to do; no key is made."""
    monkeypatch.delenv("SUBMETER_TEST_MASTER", raising=False)
    with pytest.raises(VaultError, match="--new-master-key"):
        Vault.from_file(tmp_path / "master.key")
    with pytest.raises(VaultError, match="SUBMETER_TEST_MASTER is empty"):
        Vault.from_environment("SUBMETER_TEST_MASTER")
    assert list(tmp_path.iterdir()) == []
