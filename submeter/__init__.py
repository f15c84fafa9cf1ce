"""submeter: telegrams of flats' meters in, exact and explained consumption tables out.

The public names below are the core types and the decoders' entrances; the parts live in `submeter.decoders`, `submeter.ingest`, `submeter.store`,
`submeter.aggregate`, `submeter.api` and `submeter.simulate`. ARCHITECTURE.md shows how they stand together.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from submeter.errors import SubmeterError
from submeter.reading import DeviceId, Reading, Register, Source

if TYPE_CHECKING:
    from submeter.decoders import Profile, decode
    from submeter.decoders.fast import decode_batch

__all__ = ["DeviceId", "Profile", "Reading", "Register", "Source", "SubmeterError", "__version__", "decode", "decode_batch"]

__version__ = "0.1.0"

#: Public names that need more than the standard library, imported when they are asked for.
_PARTS = {"Profile": "submeter.decoders", "decode": "submeter.decoders", "decode_batch": "submeter.decoders.fast"}


def __getattr__(name: str) -> Any:
    """Import a part when it is first used."""
    if name not in _PARTS:
        raise AttributeError(f"module 'submeter' has no attribute {name!r}")
    return getattr(import_module(_PARTS[name]), name)
