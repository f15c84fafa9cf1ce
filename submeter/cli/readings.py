"""`submeter decode --readings`: lines of JSON in, lines of named registers and flags out; for many telegrams.

in   as `decode --jsonl`
out  {"id", "device", "mode", "access_number", "meter_time", "flags": [word], "readings": [{"name", "unit", "value", …}]}, or {"id", "readings": [], "error"}
A reading adds what is not the default: "tariff", "subunit"; and for stored values "label", "due", "stamp" (local time of the meter, or a date).
Strategy: whatever has arrived is one batch (`decoders.fast`); the text around each value is made once a register, and only values are written.
Telegrams that take the plain path are written by `_said`, which gives the same text for the same telegram.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from select import select
from typing import BinaryIO, Final

import msgspec
import numpy as np

from submeter.decoders import DES_CBC, BadFrame, DecodeError, FormatKey, Profile, ProfileOf, Telegram, decode
from submeter.decoders.diehl import MAKERS
from submeter.decoders.fast import Batch, Decoder, Heard, Outcome, local_time
from submeter.reading import DeviceId, Register

__all__ = ["FORMS", "answer_lines", "profile_of", "read_hex", "stream"]

#: Frame forms by their names in the line format; any other name is a bare frame with bytes of the receiver behind it.
FORMS: Final = {"noCRC": "nocrc", "crcA": "a", "A+crc": "a", "crcB": "b", "B+crc": "b", "wired": "wired", None: "auto"}
_CHUNK: Final = 1 << 20
#: How long a batch waits for the rest of what is being written, seconds.
_PATIENCE: Final = 0.002
#: Such a key is one of security mode 2, but for the Diehl group's own cipher.
_DES_KEY_BYTES: Final = 8
_MICRO: Final = 1_000_000.0
_NULL: Final = msgspec.Raw(b"null")


class Line(msgspec.Struct):
    """A line of input; `id` comes back as it was written."""

    telegram_hex: str
    id: msgspec.Raw = _NULL
    key_hex: str | None = None
    link: str | None = None
    frame_format: str | None = None
    decrypted: bool | None = None
    prior_telegrams_hex: list[str] | None = None


_read_line: Final = msgspec.json.Decoder(Line).decode


def stream(source: BinaryIO, write: Callable[[str], object]) -> None:
    """Answer all lines of `source` as they arrive."""
    decoder, rest = Decoder(), b""
    while chunk := _available(source):
        *lines, rest = (rest + chunk).split(b"\n")
        write("".join(answer_lines(decoder, lines)))
    write("".join(answer_lines(decoder, [rest])))


def _available(source: BinaryIO) -> bytes:
    """What there is to read, at least a byte, empty at the end."""
    chunk = read = source.read1(_CHUNK)  # type: ignore[attr-defined]
    while read and len(chunk) < _CHUNK and select([source], [], [], _PATIENCE)[0]:
        read = source.read1(_CHUNK)  # type: ignore[attr-defined]
        chunk += read
    return bytes(chunk)


def answer_lines(decoder: Decoder, lines: Sequence[bytes]) -> list[str]:
    """An answer for each line that is not blank, each with its line end."""
    rows: list[Line] = []
    raws: list[bytes] = []
    profiles: list[Profile] = []
    answers: dict[int, str] = {}
    taught: dict[int, Mapping[FormatKey, bytes]] = {}
    for line in filter(bytes.strip, lines):
        try:
            row = _read_line(line)
            raw, profile = read_hex(row.telegram_hex), _profile(row.key_hex)
        except (ValueError, RecursionError) as error:
            row, raw, profile = Line("", _id(line)), b"", Profile()
            answers[len(rows)] = _refused(row, f"bad_line: {error}")
        if profile.key and len(profile.key) == _DES_KEY_BYTES:
            answers.setdefault(len(rows), _alone(row, raw))
        if row.prior_telegrams_hex:
            taught[len(rows)] = _taught(tuple(row.prior_telegrams_hex), row.key_hex, row.link or "wmbus")
        rows.append(row)
        raws.append(b"" if len(rows) - 1 in answers else raw)
        profiles.append(profile)
    heard = Heard(
        raws,
        [row.link or "wmbus" for row in rows],
        [FORMS.get(row.frame_format, "trailing") for row in rows],
        [row.decrypted is True for row in rows],
    )
    batch = decoder.of_profiles(heard, profiles, taught)
    answers = {number: _outcome(rows[number], outcome) for number, outcome in batch.others.items()} | answers
    answers |= {number: _refused(rows[number], f"{BadFrame.reason}: {'; '.join(notes)}") for number, notes in batch.broken().items()}
    return list(_answers(decoder, batch, rows, answers))


def _id(line: bytes) -> msgspec.Raw:
    """The id of a line that is not as documented."""
    try:
        return msgspec.Raw(json.dumps(json.loads(line).get("id")).encode())
    except (ValueError, AttributeError, RecursionError):
        return _NULL


def read_hex(text: str) -> bytes:
    """Bytes of hex digits; blanks, _ and | are ignored. Raises ValueError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return bytes.fromhex(text.strip().removeprefix("0x").replace("_", "").replace("|", ""))


@lru_cache(maxsize=65536)
def _profile(key: str | None) -> Profile:
    return Profile(bytes.fromhex(key) if key else None, whole=False)


def profile_of(key: str | None) -> ProfileOf:
    """This key for every device; also plain records behind encrypted ones are read. Raises ValueError for what is not hex."""
    any_mode = _profile(key)
    short = any_mode.key is not None and len(any_mode.key) == _DES_KEY_BYTES

    def profile(device: DeviceId) -> Profile:
        return replace(any_mode, mode=DES_CBC) if short and device.manufacturer not in MAKERS else any_mode

    return profile


def _alone(row: Line, raw: bytes) -> str:
    """The answer where the device matters for the key."""
    link, profile = row.link or "wmbus", profile_of(row.key_hex)
    formats = dict(_taught(tuple(row.prior_telegrams_hex or ()), row.key_hex, link))
    try:
        form = FORMS.get(row.frame_format, "trailing")
        telegram = decode(raw, profile, link=link, form=form, decrypted=row.decrypted is True, formats=formats)
    except DecodeError as error:
        return _outcome(row, Outcome(error=error))
    return _outcome(row, Outcome(telegram))


@lru_cache(maxsize=4096)
def _taught(priors: tuple[str, ...], key: str | None, link: str) -> Mapping[FormatKey, bytes]:
    """The formats of compact frames that earlier telegrams teach: those of one meter come again and again."""
    formats: dict[FormatKey, bytes] = {}
    for prior in priors:
        with suppress(DecodeError, ValueError):
            decode(read_hex(prior), profile_of(key), link=link, form="trailing", decrypted=True, formats=formats)
    return formats


def _outcome(row: Line, outcome: Outcome) -> str:
    if outcome.telegram is None or outcome.reason is not None:
        return _refused(row, f"{outcome.reason}: {outcome.detail}")
    return _said(row, outcome.telegram)


def _refused(row: Line, error: str) -> str:
    return f'{{"id":{_text(row.id)},"readings":[],"error":{_json(error)}}}\n'


def _said(row: Line, telegram: Telegram) -> str:
    """The line of one telegram."""
    readings = [
        _before(reading.register) + repr((reading.value or 0) / _MICRO) + _after(reading.label, reading.stamp and str(reading.stamp), due=reading.due)
        for reading in telegram.readings
    ]
    clock = str(telegram.meter_time) if telegram.meter_time else None
    return _line(row, str(telegram.device), telegram.mode, telegram.access_number, clock, _json(telegram.status), ",".join(readings))


def _line(row: Line, device: str, mode: int, access: int | None, clock: str | None, flags: str, readings: str) -> str:
    quoted, number = "null" if clock is None else f'"{clock}"', "null" if access is None else access
    return (
        f'{{"id":{_text(row.id)},"device":"{device}","mode":{mode},"access_number":{number},"meter_time":{quoted},"flags":{flags},'
        f'"readings":[{readings}]}}\n'
    )


def _text(raw: msgspec.Raw) -> str:
    return str(raw, "utf-8")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=65536)
def _before(register: Register) -> str:
    """The text of a reading before its value."""
    more = {"tariff": register.tariff, "subunit": register.subunit}
    head = {"name": register.name, "unit": register.unit, **{name: number for name, number in more.items() if number}}
    return _json(head)[:-1] + ',"value":'


@lru_cache(maxsize=65536)
def _after(label: str, stamp: str | None, *, due: bool) -> str:
    """The text of a reading behind its value."""
    return "}" if stamp is None else "," + _json({"label": label, "due": due, "stamp": stamp})[1:]


def _answers(decoder: Decoder, batch: Batch, rows: Sequence[Line], answers: dict[int, str]) -> Iterator[str]:
    """All answers in order: those of the batch's columns, and the others."""
    columns, frames = batch.columns, batch.frames
    readings = _readings(batch)
    ends = np.cumsum(np.bincount(columns.telegram, minlength=len(rows))).tolist()
    which, words = batch.words()
    flags = [_json(some) for some in words]
    clocks = map(_clock, columns.clock.tolist(), columns.clocked.tolist())
    about = zip(rows, frames.address.tolist(), columns.mode.tolist(), frames.access.tolist(), clocks, which.tolist(), [0, *ends], ends, strict=False)
    for number, (row, address, mode, access, clock, word, start, end) in enumerate(about):
        answer = answers.get(number)
        if answer is None:
            named = decoder.named(address)
            device = named[1] if named else ""
            answer = _line(row, device, mode, None if access < 0 else access, clock, flags[word], ",".join(readings[start:end]))
        yield answer


def _readings(batch: Batch) -> list[str]:
    """The text of each reading."""
    columns = batch.columns
    before = [_before(place.register) for place in columns.places]
    behind = [_after(place.label, "@", due=place.due).partition("@") for place in columns.places]
    codes, which = np.unique(np.where(columns.stamped, columns.stamp << 1 | columns.day, -1), return_inverse=True)
    stamps = ["" if code < 0 else _stamp(code >> 1, only_day=bool(code & 1)) for code in codes.tolist()]
    values = (columns.value / _MICRO).tolist()
    return [
        f"{before[place]}{value!r}{behind[place][0]}{stamps[stamp]}{behind[place][2]}" if stamps[stamp] else f"{before[place]}{value!r}}}"
        for place, value, stamp in zip(columns.place.tolist(), values, which.tolist(), strict=True)
    ]


def _clock(microseconds: int, there: bool) -> str | None:  # noqa: FBT001  columns
    return _stamp(microseconds, only_day=False) if there else None


@lru_cache(maxsize=65536)
def _stamp(microseconds: int, *, only_day: bool) -> str:
    time = local_time(microseconds)
    return str(time.date()) if only_day else str(time)
