"""Whose telegrams are those of a batch, and which are receptions of one: `telegram.receive` for bare radio frames at once."""

from hashlib import blake2b
from typing import Final

import numpy as np

from submeter.decoders.fast.batch import Batch, Decoder

__all__ = ["received"]

_PLAIN: Final = np.isin(np.arange(256), (0x72, 0x78, 0x7A))
_ELL: Final = 0x8C


def received(decoder: Decoder, batch: Batch) -> list[tuple[str, bytes] | None]:
    """The device and the `dedup_key` of each telegram; None where `receive` must be asked."""
    frames, raws = batch.frames, batch.heard.raw
    whole = np.fromiter(map(len, raws), np.int64, len(raws)) == frames.length + 1
    quick = frames.fast & whole & ~frames.wired & (frames.opened < 0) & _PLAIN[frames.ci] & ~frames.of_diehl
    names = decoder.names(frames.address.tolist())
    return [(name, _key(raw[2:])) if known and name else None for known, name, raw in zip(quick.tolist(), names, raws, strict=True)]


def _key(frame: bytes) -> bytes:
    """Over address and body without hop and access."""
    return blake2b(frame[:8] + frame[11:] if frame[8] == _ELL else frame, digest_size=16).digest()
