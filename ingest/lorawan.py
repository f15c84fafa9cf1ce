"""What uplinks of LoRaWAN devices carry: whole frames, plain records, or telegrams in parts (ingest/FORMATS.md 5).

Strategy: the configuration says by EUI and port what a device sends; nothing is guessed. A part waits in the quarantine as `partial`, on disk, until its set
is whole: then the joined telegram takes the place of the last part, and the parts leave the quarantine when its readings are stored.
Rules: sets are by device; a first part of another set, a count that falls, or ten minutes without a part close one as `incomplete_fragments`, with its bytes
kept; parts in the wrong order are put right by their counts; a segment of IMST that comes again under a count of its own is passed over; the same uplink told twice (by two receivers, or by a server's two messages) counts once.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from submeter.ingest.envelopes import Heard
from submeter.ingest.envelopes.lns import Uplink
from submeter.ingest.rows import MICROSECONDS, Reception
from submeter.reading import POSITION_BITS
from submeter.store.inbox import Quarantined

__all__ = ["PARTIAL", "Assembler", "Carries", "Route", "Taken"]

Carries = Literal["frame", "records", "lobaro_v1", "lobaro_v2", "imst"]
PARTIAL: Final = "partial"
INCOMPLETE: Final = "incomplete_fragments"
PATIENCE: Final = 600 * MICROSECONDS
#: Uplinks of a device that are remembered against their second coming.
REMEMBERED: Final = 64
#: A count that lies so far below those that wait is of another session.
OUT_OF_ORDER: Final = 16
#: Telegrams of one uplink lie so far apart in their message.
APART: Final = 512
WEEK: Final = 7 * 86_400 * MICROSECONDS
_FIRST, _LAST = 1, 2
_LAST_SEGMENT, _SEQUENCE = 0x80, 0x7F
_TIME_V2, _TIME_IMST = 5, 4
#: Elvaco CMi4110 sends records without a header: who made it and what it is are the product's, the number is in the records (VIF 78).
_MAKER, _MEDIUM, _NUMBER = 0x1596, 0x04, b"\x0c\x78"


class Route(NamedTuple):
    """What the devices whose EUI begins with `eui` send on a port (0: on all): the longest prefix with the port counts."""

    eui: str
    port: int
    carries: Carries


@dataclass(slots=True)
class Taken:
    """What an uplink led to: telegrams to decode, parts and broken uplinks with why they are kept, parts that are joined now (message, position)."""

    telegrams: list[Reception] = field(default_factory=list)
    kept: list[tuple[Reception, str, str]] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """An uplink that is part of a set: its place in the set, None where only the count tells; whether it is the first or last; its bytes."""

    heard: Reception
    count: int
    first: bool
    last: bool
    raw: bytes


class Assembler:
    """Takes uplinks in the order of reception; what waits is in the quarantine, from where `remember` takes it after a restart."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        self._routes = sorted(routes, key=lambda one: (len(one.eui), one.port), reverse=True)
        self.remember(())

    def remember(self, waiting: Iterable[Quarantined]) -> None:
        """Start from the parts that wait in the quarantine."""
        self._open: dict[tuple[str, int], dict[int, Part]] = defaultdict(dict)
        self._seen: dict[str, deque[tuple[Uplink, bytes]]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        for row in waiting:
            telegram = Heard(row.raw, row.link, row.form, row.gw_time)
            heard = Reception(row.message, row.position, row.received_at, row.gateway or "", trusted=True, decrypted=False, telegram=telegram)
            uplink = Uplink.of(row.form)
            carries = self._carries(uplink)
            part, parts = _part_of(heard, uplink, carries) if carries else (None, 0)
            if part is not None:
                self._open[uplink.eui, parts][part.count] = part

    def take(self, heard: Reception) -> Taken:
        """What becomes of an uplink."""
        uplink, taken = Uplink.of(heard.telegram.form), Taken()
        self._sweep(heard.received_at, taken)
        known = self._seen[uplink.eui]
        if (uplink, heard.telegram.raw) in known:
            taken.again = True
            return taken
        known.append((uplink, heard.telegram.raw))
        carries = self._carries(uplink)
        if carries is None:
            taken.kept.append((heard, "no_route", f"device {uplink.eui} on port {uplink.port}: say what it sends in pipeline.toml, [[lorawan]]"))
        elif carries == "frame":
            taken.telegrams.append(_as(heard, heard.telegram.raw))
        elif carries == "records":
            self._records(heard, taken)
        else:
            self._part(heard, uplink, carries, taken)
        return taken

    def _carries(self, uplink: Uplink) -> Carries | None:
        return next((one.carries for one in self._routes if uplink.eui.startswith(one.eui) and one.port in {0, uplink.port}), None)

    def _records(self, heard: Reception, taken: Taken) -> None:
        framed = _frame_of_records(heard.telegram.raw)
        if framed is None:
            taken.kept.append((heard, "bad_frame", "records without a format byte 00 and a fabrication number (0C 78) that would say whose they are"))
        else:
            taken.telegrams.append(heard._replace(telegram=replace(heard.telegram, raw=framed, link="mbus", form="userdata")))

    def _part(self, heard: Reception, uplink: Uplink, carries: Carries, taken: Taken) -> None:
        part, parts = _part_of(heard, uplink, carries)
        if part is None:
            taken.kept.append((heard, "bad_frame", f"no part of a telegram as {carries} sends them"))
            return
        key = (uplink.eui, parts)
        waiting = self._open[key]
        if waiting and _closes(part, waiting):
            self._close(key, taken)
            waiting = self._open[key]
        waiting[part.count] = part
        whole = _whole(waiting, parts)
        if not whole:
            taken.kept.append((heard, PARTIAL, f"part of a telegram of {uplink.eui}"))
            return
        del self._open[key]
        taken.joined += [(one.heard.message, one.heard.position) for one in whole if one is not part]
        _join(whole, carries, heard, taken)

    def _close(self, key: tuple[str, int], taken: Taken) -> None:
        for one in self._open.pop(key).values():
            taken.kept.append((one.heard, INCOMPLETE, f"the other parts of this telegram of {key[0]} did not come"))

    def _sweep(self, at: int, taken: Taken) -> None:
        late = [key for key, parts in self._open.items() if max((one.heard.received_at for one in parts.values()), default=at) < at - PATIENCE]
        for key in late:
            self._close(key, taken)


def _part_of(heard: Reception, uplink: Uplink, carries: Carries) -> tuple[Part | None, int]:
    """An uplink as a part, and of how many where the port tells."""
    raw = heard.telegram.raw
    if carries == "lobaro_v1":
        number, parts = divmod(uplink.port, 10)
        fits = 1 <= number <= parts
        return (Part(heard, uplink.count, number == 1, number == parts, raw) if fits else None), parts
    if len(raw) < 2:
        return None, 0
    head = raw[0]
    if carries == "lobaro_v2":
        return (Part(heard, uplink.count, bool(head & _FIRST), bool(head & _LAST), raw[1:]) if head <= (_FIRST | _LAST) else None), 0
    return Part(heard, uplink.count, head & _SEQUENCE == 0, bool(head & _LAST_SEGMENT), raw[1:]), 0


def _closes(part: Part, waiting: Mapping[int, Part]) -> bool:
    """Whether a part is of another set than those that wait."""
    before = part.first and min(waiting) < part.count
    return before or part.count + OUT_OF_ORDER < min(waiting)


def _whole(waiting: Mapping[int, Part], parts: int) -> list[Part]:
    """The parts of a whole set in their order, none if some are missing."""
    run = [waiting[count] for count in sorted(waiting)]
    counts = [one.count for one in run]
    follows = counts == list(range(counts[0], counts[0] + len(counts)))
    ends = run[0].first and run[-1].last and not any(one.last for one in run[:-1])
    return run if follows and ends and parts in {0, len(run)} else []


def _join(parts: Sequence[Part], carries: Carries, last: Reception, taken: Taken) -> None:
    """The telegrams of a whole set; they stand where its last part stood."""
    raw = b"".join(one.raw for one in (_once(parts) if carries == "imst" else parts))
    if carries == "lobaro_v1":
        first = parts[0].heard.telegram
        taken.telegrams.append(_as(last, raw, first.gw_time))
    elif carries == "lobaro_v2" and len(raw) > _TIME_V2:
        taken.telegrams.append(_as(last, raw[_TIME_V2:], int.from_bytes(raw[:_TIME_V2], "big") * MICROSECONDS))
    elif carries == "imst" and (found := list(_packed(raw, last.received_at))):
        taken.telegrams += [
            _as(last._replace(position=(last.position + number * APART) % 2**POSITION_BITS), frame, at) for number, (frame, at) in enumerate(found)
        ]
    else:
        taken.kept.append((last._replace(telegram=replace(last.telegram, raw=raw)), "bad_length", f"the parts that {carries} sent are no telegram"))


def _once(parts: Sequence[Part]) -> list[Part]:
    """Segments of IMST without those whose sequence equals the one before: the device sent them again."""
    numbers = [one.heard.telegram.raw[0] & _SEQUENCE for one in parts]
    return [one for one, number, before in zip(parts, numbers, [None, *numbers], strict=False) if number != before]


def _packed(raw: bytes, received_at: int) -> Iterator[tuple[bytes, int]]:
    """Telegrams behind one another, each with its time: of the two byte orders the one that is within a week of the reception; nothing if they do not fit."""
    found = []
    while raw:
        length = raw[_TIME_IMST] + 1 if len(raw) > _TIME_IMST else 0
        times = [int.from_bytes(raw[:_TIME_IMST], order) * MICROSECONDS for order in ("little", "big")]
        near = [at for at in times if abs(at - received_at) <= WEEK]
        if not length or len(raw) < _TIME_IMST + length or not near:
            return
        found.append((raw[_TIME_IMST : _TIME_IMST + length], near[0]))
        raw = raw[_TIME_IMST + length :]
    yield from found


def _frame_of_records(raw: bytes) -> bytes | None:
    """Records of a CMi4110 behind the header that a wired answer of the same meter has; None where they do not say whose they are."""
    at = raw.find(_NUMBER)
    if raw[:1] != b"\x00" or at < 0 or len(raw) < at + 6:
        return None
    number = raw[at + 2 : at + 6]
    head = b"\x08\x00\x72" + number + _MAKER.to_bytes(2, "little") + bytes((0, _MEDIUM)) + bytes(4)
    return head + raw[1:]


def _as(heard: Reception, raw: bytes, gw_time: int | None = None) -> Reception:
    """The same reception with a radio frame in place of the uplink."""
    telegram = replace(heard.telegram, raw=raw, link="wmbus", form="auto")
    return heard._replace(telegram=telegram if gw_time is None else replace(telegram, gw_time=gw_time))
