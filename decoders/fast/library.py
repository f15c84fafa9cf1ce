"""The layouts known so far, by shape: manufacturer, version, type, CI and length of the payload.

Rules: bounded twice. A shape has at most `VARIANTS` layouts, what varies more goes to the plain path; when `LAYOUTS` are held, all are forgotten and
compiled again as they are needed. A layout costs about a millisecond and a few kilobytes, once.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.catalogue import driver_of
from submeter.decoders.driver import Driver
from submeter.decoders.fast.layout import Layout, compilable, compile_layout
from submeter.decoders.fast.spots import Payload
from submeter.reading import DeviceId

__all__ = ["LAYOUTS", "VARIANTS", "Library", "Shape"]

LAYOUTS: Final = 4096
VARIANTS: Final = 16


@dataclass(slots=True)
class Shape:
    """Payloads of one kind of meter and length. `tried` counts the attempts at a layout, `open` says whether there may be any."""

    device: DeviceId
    ci: int
    driver: Driver | None
    open: bool
    layouts: list[Layout] = field(default_factory=list)
    tried: int = 0


class Library:
    """Shapes by their number, a key of `engine`."""

    def __init__(self) -> None:
        self._shapes: dict[int, Shape] = {}
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def shape(self, key: int, device: DeviceId, ci: int) -> Shape:
        """The shape of `key`; `device` is any of its devices."""
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= LAYOUTS:
                self._forget()
            driver = driver_of(device, ci)
            shape = self._shapes[key] = Shape(device, ci, driver, compilable(driver))
        return shape

    def match(self, shape: Shape, payloads: npt.NDArray[np.uint8]) -> list[tuple[Layout, npt.NDArray[Any]]]:
        """The layout of each row of `payloads`, and the numbers of those rows; rows that have none are in no list."""
        found, rest = [], np.arange(len(payloads) if shape.open else 0)
        for layout in shape.layouts:
            rest, hit = _split(layout, payloads, rest)
            found.append((layout, hit))
        while len(rest) and shape.tried < VARIANTS:
            compiled = self._compile(shape, payloads[rest[0]].tobytes())
            if compiled is None:
                rest = rest[1:]
                continue
            rest, hit = _split(compiled, payloads, rest)
            found.append((compiled, hit))
        return [(layout, hit) for layout, hit in found if len(hit) and layout.fields is not None]

    def _compile(self, shape: Shape, payload: bytes) -> Layout | None:
        shape.tried += 1
        try:
            layout = compile_layout(Payload(payload, shape.driver, shape.device, shape.ci))
        except Exception:  # noqa: BLE001  a driver refuses the probe, or has a bug: the plain path says so
            return None
        if layout is not None:
            shape.layouts.append(layout)
            self._held += 1
        return layout

    def _forget(self) -> None:
        self._shapes.clear()
        self._held = 0


def _split(layout: Layout, payloads: npt.NDArray[np.uint8], rest: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The rows of `rest` that the layout is not for, and those it is for."""
    fits = ((payloads[rest] & layout.mask) == layout.pattern).all(axis=1)
    return rest[~fits], rest[fits]
