"""Decoding a building's simulated telegrams, beside the public decoders that read them too.

A round decodes a hundred telegrams of one group (wired in mode 0; radio in mode 5), so within a group the times of one run compare.
Every decoder must have read the same number of records, and gives all values of them.
"""

import importlib
import warnings
from types import ModuleType

import pytest

from submeter.decoders import Profile, decode
from submeter.simulate.building import Building

NOON = 1_795_258_800_000_000
MINUTE = 60_000_000
TELEGRAMS = 100


def sample(*, wired: bool) -> list[tuple[bytes, bytes | None]]:
    meters = [place.meter for place in Building.make().places if (place.meter.key is None) is wired]
    chosen = (meters[number % len(meters)] for number in range(TELEGRAMS))
    return [(meter.telegram(NOON + number * MINUTE), meter.key) for number, meter in enumerate(chosen)]


GROUPS = {"wired, mode 0": sample(wired=True), "radio, mode 5": sample(wired=False)}


def peer(name: str) -> ModuleType:
    with warnings.catch_warnings(action="ignore"):
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"{name} cannot be imported")


def submeter(telegrams: list[tuple[bytes, bytes | None]]) -> int:
    read = (decode(raw, lambda _, key=key: Profile(key), link="wmbus" if key else "mbus") for raw, key in telegrams)
    return sum(len(telegram.records) for telegram in read)


def pymbusparser(telegrams: list[tuple[bytes, bytes | None]]) -> int:
    parse = peer("pymbusparser").parse
    return sum(len(parse(raw, key=key, include_enrichment=False)["records"]) for raw, key in telegrams)


def pymeterbus(telegrams: list[tuple[bytes, bytes | None]]) -> int:
    load = peer("meterbus").load
    return sum(len([record.value for record in load(raw).records]) for raw, _ in telegrams)


@pytest.mark.parametrize(
    ("group", "decoder"),
    [(group, decoder) for group in GROUPS for decoder in (submeter, pymbusparser, pymeterbus) if (group, decoder) != ("radio, mode 5", pymeterbus)],
)
def test_decode(benchmark, group, decoder):
    """Each decoder reads the whole group."""
    benchmark.group = f"decode {TELEGRAMS} telegrams: {group}"
    assert benchmark(decoder, GROUPS[group]) == submeter(GROUPS[group]) > 3 * TELEGRAMS
