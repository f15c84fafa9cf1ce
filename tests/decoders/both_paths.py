"""The plain path as the specification of the batch: what `decode` says of each telegram, as rows of the batch's tables."""

from collections.abc import Callable, Sequence
from datetime import datetime, time
from typing import Any

from submeter.decoders import DecodeError, Profile, Telegram, decode
from submeter.decoders.fast import Decoder, Heard, tables
from submeter.reading import STATUS, DeviceId

#: Who reads a telegram.
COLUMNS, PLAIN, NOBODY = "columns", "plain path", "nobody"
Row = dict[str, Any]
Sent = tuple[bytes, str, str, bool, Profile]


def heard(sent: Sequence[Sent]) -> Heard:
    """Telegrams as columns."""
    return Heard(*([row[column] for row in sent] for column in range(4)))


def plain(sent: Sent) -> Telegram | DecodeError:
    """What the plain path says of one telegram."""
    raw, link, form, decrypted, profile = sent
    try:
        return decode(raw, lambda _: profile, link=link, form=form, decrypted=decrypted)
    except DecodeError as error:
        return error


def readings(number: int, telegram: Telegram) -> list[Row]:
    """The rows of READINGS of one telegram."""
    mask = sum(1 << STATUS.index(word) for word in telegram.status if word in STATUS)
    return [
        {
            "telegram": number,
            "device": str(telegram.device),
            "name": reading.register.name,
            "unit": reading.register.unit,
            "tariff": reading.register.tariff,
            "subunit": reading.register.subunit,
            "idx": reading.register.index,
            "value": reading.value,
            "stamp": None if reading.stamp is None else at_midnight(reading.stamp),
            "is_date": reading.stamp is not None and not isinstance(reading.stamp, datetime),
            "label": reading.label,
            "due": reading.due,
            "src": int(reading.source),
            "status": mask,
        }
        for reading in telegram.readings
    ]


def at_midnight(stamp: Any) -> datetime:
    """A date as the time at its start."""
    return stamp if isinstance(stamp, datetime) else datetime.combine(stamp, time())


def telegram(said: Telegram | DecodeError) -> Row:
    """The row of TELEGRAMS of one telegram."""
    if isinstance(said, DecodeError):
        empty = dict.fromkeys(("access_number", "mode", "counter", "meter_time"))
        return {"device": str(said.device) if said.device else None, "reason": said.reason, "detail": str(said), **empty, "flags": []}
    return {
        "device": str(said.device),
        "reason": said.reason,
        "detail": None if said.reason is None else "; ".join(said.notes) or "no register of the dictionary in it",
        "access_number": said.access_number,
        "mode": said.mode,
        "counter": said.counter,
        "meter_time": said.meter_time,
        "flags": list(said.status),
    }


def assert_same(decoder: Decoder, sent: Sequence[Sent]) -> int:
    """Both tables of the batch are what the plain path says, row by row; returns how many telegrams had a layout."""
    return readers(decoder, sent).count(COLUMNS)


def readers(decoder: Decoder, sent: Sequence[Sent]) -> list[str]:
    """The same; returns who read each telegram: columns, the plain path alone, or nobody."""
    batch = decoder.of_profiles(heard(sent), [row[4] for row in sent])
    decoded = tables(decoder, batch)
    said = [plain(row) for row in sent]
    assert decoded.telegrams.to_pylist() == [telegram(one) for one in said]
    assert decoded.readings.to_pylist() == [row for number, one in enumerate(said) if isinstance(one, Telegram) for row in readings(number, one)]
    done = batch.columns.done.tolist()
    return [COLUMNS if by_columns else PLAIN if isinstance(one, Telegram) else NOBODY for by_columns, one in zip(done, said, strict=True)]


def of(profiles: dict[DeviceId, Profile]) -> Callable[[DeviceId], Profile | None]:
    """A directory of devices."""
    return profiles.get
