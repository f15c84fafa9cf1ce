"""submeter: telegrams of flats' meters in, exact and explained consumption tables out.

The public names below are the core types; the parts live in `submeter.decoders`, `submeter.ingest`, `submeter.store`,
`submeter.aggregate`, `submeter.api` and `submeter.simulate`. ARCHITECTURE.md shows how they stand together.
"""

from submeter.errors import SubmeterError
from submeter.reading import DeviceId, Reading, Register, Source

__all__ = ["DeviceId", "Reading", "Register", "Source", "SubmeterError", "__version__"]

__version__ = "0.1.0"
