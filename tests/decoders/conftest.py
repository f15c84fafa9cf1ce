"""What tests of decoders share: drivers that are made up."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from submeter.decoders import catalogue
from submeter.decoders.driver import Driver


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Driver], None]]:
    """Has a made-up driver found, as one of a package of somebody else's is."""
    caches = (catalogue.drivers, catalogue._index, catalogue._driver)

    def use(driver: Driver) -> None:
        entry = SimpleNamespace(name="pond", value="pond:DRIVERS", load=lambda: (driver,))
        monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
        for cache in caches:
            cache.cache_clear()

    yield use
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()
