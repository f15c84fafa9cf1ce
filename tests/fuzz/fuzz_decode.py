"""Coverage-guided fuzzing of the decoders with atheris: `python tests/fuzz/fuzz_decode.py [CORPUS_FOLDER] [-max_total_time=1800]`.

Needs `pip install atheris` (not a dependency: it is for those who hunt). The first byte of an input chooses link, form, profile and whether the source
is trusted; the rest is the frame. An input that ends in anything but a telegram or a DecodeError is a bug: put it into tests/decoders as a case.
"""

import sys
from contextlib import suppress
from typing import Final

import atheris

with atheris.instrument_imports():
    from submeter.decoders import DES_CBC, DecodeError, FormatKey, Profile, decode, dedup_key, identify
    from submeter.decoders.frame import FORMS

KEY: Final = bytes(range(16))
PROFILES: Final = (None, Profile(), Profile(KEY), Profile(KEY[:8], mode=DES_CBC))
CHOICES: Final = ("auto", *FORMS)


def one(data: bytes) -> None:
    """Give one input to every entry of the package."""
    if not data:
        return
    choice, raw = data[0], data[1:]
    link, form, profile = ("wmbus", "mbus")[choice & 1], CHOICES[(choice >> 1) % len(CHOICES)], PROFILES[choice >> 5 & 3]
    formats: dict[FormatKey, bytes] = {}
    with suppress(DecodeError):
        decode(raw, lambda _: profile, link=link, form=form, decrypted=choice > 127, formats=formats)
    with suppress(DecodeError):
        identify(raw, link=link, form=form)
    with suppress(DecodeError):
        dedup_key(raw, link=link, form=form)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
