"""The errors of the decoders: one class for each reason a telegram is quarantined.

    DecodeError              reason
    ├── NoKey                no_key           encrypted, and no key is known for the device
    ├── WrongKey             wrong_key        decrypted, and the check (2F2F, payload CRC) failed
    ├── MacFail              mac_fail         the authentication code is wrong
    ├── Replay               replay           an authenticated counter did not rise (raised where the last counter is known)
    ├── Downgrade            downgrade        plainer than the device's security profile allows
    ├── UnknownMode          unknown_mode     a security mode that is recognised but not read
    ├── UnknownDriver        unknown_driver   well formed, but nothing here reads its payload
    ├── BadFrame             bad_frame        not a whole telegram: length, checksum, CRC, structure
    ├── Rejected             rejected         a telegram that carries no readings for us
    └── UnknownMeter         unknown_meter    nobody asked for this device: not decoded

Any other exception that leaves the package is a bug.
"""

# ruff: noqa: N818  the classes are the words of the quarantine

from typing import ClassVar

from submeter.errors import SubmeterError
from submeter.reading import DeviceId

__all__ = [
    "BadFrame", "DecodeError", "Downgrade", "MacFail", "NoKey", "Rejected", "Replay", "UnknownDriver", "UnknownMeter", "UnknownMode", "WrongKey",
]  # fmt: skip


class DecodeError(SubmeterError):
    """Why a telegram gave no reading; `reason` is the word of the quarantine, `device` the meter as far as it is known."""

    reason: ClassVar[str]
    device: DeviceId | None = None

    def __str__(self) -> str:
        what = super().__str__()
        return f"{self.device}: {what}" if self.device else what


class NoKey(DecodeError):
    """Encrypted, and no key is known for the device."""

    reason = "no_key"


class WrongKey(DecodeError):
    """The check behind the decryption failed."""

    reason = "wrong_key"


class MacFail(DecodeError):
    """The message authentication code does not belong to these bytes and this key."""

    reason = "mac_fail"


class Replay(DecodeError):
    """An authenticated counter did not rise."""

    reason = "replay"


class Downgrade(DecodeError):
    """The telegram is protected less than the device's profile demands."""

    reason = "downgrade"


class UnknownMode(DecodeError):
    """A security mode, key derivation or cipher that is not read here."""

    reason = "unknown_mode"


class UnknownDriver(DecodeError):
    """A well-formed telegram whose payload nothing here reads; kept, and decoded again when something does."""

    reason = "unknown_driver"


class BadFrame(DecodeError):
    """Not a whole telegram."""

    reason = "bad_frame"


class Rejected(DecodeError):
    """A telegram that carries no readings: acknowledgements, requests, commands, alarms."""

    reason = "rejected"


class UnknownMeter(DecodeError):
    """No profile is known for the device; nothing of it is decoded."""

    reason = "unknown_meter"
