"""Telegrams of M-Bus and wireless M-Bus meters: bytes in, named readings out.

Pure functions: no I/O, no clock, no log. Layers stand one to a file, each bytes in and value out: frame → layers → security →
records (vif, vife, values, dates; fixed, compact) → registers; `telegram` ties them together.
What meter families do differently is data in `meters/` (vocabulary: driver; read by blocks, deviations; words: flags). Errors: one class for each quarantine reason.
"""

from submeter.decoders.compact import FormatKey, Formats
from submeter.decoders.errors import (
    BadFrame,
    DecodeError,
    Downgrade,
    MacFail,
    NoKey,
    Rejected,
    Replay,
    UnknownDriver,
    UnknownMeter,
    UnknownMode,
    WrongKey,
)  # fmt: skip
from submeter.decoders.records import FUNCTIONS, Record
from submeter.decoders.registers import DICTIONARY
from submeter.decoders.security import DES_CBC, ELL_CTR, Profile
from submeter.decoders.telegram import ProfileOf, Telegram, decode, dedup_key, identify, receive

__all__ = [
    "DES_CBC", "DICTIONARY", "ELL_CTR", "FUNCTIONS", "BadFrame", "DecodeError", "Downgrade", "FormatKey", "Formats", "MacFail", "NoKey", "Profile", "ProfileOf", "Record", "Rejected",
    "Replay", "Telegram", "UnknownDriver", "UnknownMeter", "UnknownMode", "WrongKey", "decode", "dedup_key", "identify", "receive",
]  # fmt: skip
