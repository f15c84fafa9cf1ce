"""Many telegrams at once: compiled layouts over columns of bytes, equal to the plain path in every value.

A layout (layout.py) is what the plain path does with payloads of one shape, as a table; `library` keeps them, `envelope` and `keys` bring frames to
payloads, `engine` reads all numbers of a batch together (`columns`), `batch` sends what has no layout to `telegram.decode`, `tables` makes Arrow.
May enter: numpy, pyarrow, cryptography, the plain path. Nothing here decides what a telegram means.
"""

from submeter.decoders.fast.batch import Batch, Decoder, Outcome
from submeter.decoders.fast.columns import local_time
from submeter.decoders.fast.envelope import Heard
from submeter.decoders.fast.keys import KEYS
from submeter.decoders.fast.layout import Place
from submeter.decoders.fast.library import LAYOUTS, VARIANTS
from submeter.decoders.fast.readings import Outcomes, outcomes
from submeter.decoders.fast.receiving import received
from submeter.decoders.fast.tables import READINGS, TELEGRAMS, Decoded, decode_batch, tables

__all__ = [
    "KEYS", "LAYOUTS", "READINGS", "TELEGRAMS", "VARIANTS", "Batch", "Decoded", "Decoder", "Heard", "Outcome", "Outcomes", "Place", "decode_batch",
    "local_time", "outcomes", "received", "tables",
]  # fmt: skip
