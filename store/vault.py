"""Meter keys at rest: AES-256-GCM under a master key that only the core process holds.

Strategy: a sealed key is format byte, nonce (12), ciphertext and tag; format and device id are associated data, so a sealed key moved to another device
does not open. Rules: the master key is 32 bytes as hex or base64, from a file of mode 0600 or from an environment variable; no key is ever made silently.
"""

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from submeter.store.errors import VaultError

__all__ = ["Vault"]

FORMAT: Final = b"\x01"
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Vault:
    """Seals and opens keys under one master key of 32 bytes."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise VaultError(f"a master key has {KEY_BYTES} bytes, this one has {len(master)}")
        self._cipher = AESGCM(master)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the master key from a file that only its owner can read; VaultError says what to do otherwise."""
        try:
            mode = path.stat().st_mode
            text = path.read_text("ascii")
        except FileNotFoundError:
            raise VaultError(
                f"{path} does not exist: bring the master key back, or let the first import make one: `submeter import FILE --new-master-key`"
            ) from None
        except (OSError, ValueError) as error:
            raise VaultError(f"{path} cannot be read as a master key: {error}") from error
        if mode & OTHERS:
            raise VaultError(f"{path} can be read by others (mode {mode & 0o777:04o}): chmod 600 {path}")
        return cls(_decoded(text, str(path)))

    @classmethod
    def from_environment(cls, name: str) -> Self:
        """Read the master key from an environment variable."""
        text = os.environ.get(name)
        if not text:
            raise VaultError(f"the environment variable {name} is empty: it holds the master key as 64 hex digits or base64")
        return cls(_decoded(text, name))

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new random master key in a file of mode 0600; a file that exists is never overwritten."""
        master = secrets.token_bytes(KEY_BYTES)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise VaultError(f"{path} cannot be made as a new master key: {error}") from error
        with os.fdopen(descriptor, "w") as file:
            file.write(master.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(master)

    def seal(self, key: bytes, device: str) -> bytes:
        """Return `key` sealed for this device id; two seals of one key differ."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + self._cipher.encrypt(nonce, key, FORMAT + device.encode())

    def open(self, sealed: bytes, device: str) -> bytes:
        """Return the key in clear; VaultError if it was sealed under another master key or for another device."""
        start = len(FORMAT)
        nonce, ciphertext = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, sealed[:start] + device.encode())
        except (InvalidTag, ValueError) as error:
            raise VaultError(f"the key of {device} does not open: it was sealed under another master key, or altered") from error


def _decoded(text: str, where: str) -> bytes:
    stripped = text.strip()
    try:
        return bytes.fromhex(stripped) if len(stripped) == 2 * KEY_BYTES else base64.b64decode(stripped, validate=True)
    except (ValueError, binascii.Error):
        raise VaultError(f"{where} holds no master key: write 64 hex digits, or base64 of {KEY_BYTES} bytes") from None
