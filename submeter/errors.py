"""The root of every error that submeter raises on purpose.

    SubmeterError
    ├── ConfigError          (submeter.config)   exit code 2: file, key, what to write instead
    ├── DecodeError          (submeter.decoders) one class per quarantine reason
    ├── BadPayload           (submeter.ingest)   an envelope that cannot be split, with its reason
    └── StoreError           (submeter.store)    a file, its state and what to do

Any other exception that leaves a package is a bug.
"""

__all__ = ["SubmeterError"]


class SubmeterError(Exception):
    """What went wrong, with which meter, file or key, and what to do about it, in one sentence."""
