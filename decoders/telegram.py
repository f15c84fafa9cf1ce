"""A telegram from bytes to readings: frame → extended link → authentication → transport → security → records → registers.

`decode` is the whole chain, `identify` its first steps, `dedup_key` what receptions of one telegram share. Each raises DecodeError
subclasses and nothing else, for any bytes. A telegram that is cut or damaged behind its headers gives records, but no readings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from submeter.decoders import diehl
from submeter.decoders.blocks import read_blocks, read_payload
from submeter.decoders.catalogue import driver_of
from submeter.decoders.compact import Formats, learn, read_compact
from submeter.decoders.deviations import implausible, understood
from submeter.decoders.driver import Driver, Sealed
from submeter.decoders.errors import BadFrame, DecodeError, NoKey, UnknownDriver, UnknownMeter, WrongKey
from submeter.decoders.fixed import read_fixed
from submeter.decoders.flags import words_of
from submeter.decoders.frame import Frame, otherwise, parse_frame
from submeter.decoders.layers import MANUFACTURER_CI, Afl, Ell, Transport, device_of, identity_of, split_afl, split_ell, split_transport
from submeter.decoders.records import Record, Records, walk
from submeter.decoders.registers import meter_time, readings_of
from submeter.decoders.security import AES_CBC, AES_CBC_DERIVED, FILLED, PLAIN, Opened, Profile, check_profile, open_ell, open_transport
from submeter.reading import STATUS, DeviceId, Reading

__all__ = ["Plain", "ProfileOf", "Telegram", "decode", "dedup_key", "identify", "open_frame", "receive"]

ProfileOf = Callable[[DeviceId], Profile | None]

#: CI fields whose payload is always a driver's to open, if that has a cipher.
_PRIVATE: Final = MANUFACTURER_CI | {diehl.REAL_DATA_CI}


@dataclass(frozen=True, slots=True)
class Telegram:
    """A decoded telegram.

    `readings` are empty when `suspect` (cut or damaged; `notes` say where). `counter` is the authenticated message or session counter,
    which must rise (SPEC: replay). `meter_time` is naive local time. `mode` is the security mode that protected it (0 plain).
    `status` are words of `decoders.flags`: transport status byte, error flags, a driver's flags; readings carry those of `submeter.reading.STATUS`.
    """

    device: DeviceId
    readings: tuple[Reading, ...]
    records: tuple[Record, ...]
    access_number: int | None
    status: tuple[str, ...]
    mode: int
    counter: int | None
    meter_time: datetime | None
    tail: bytes
    more: bool
    suspect: bool
    notes: tuple[str, ...]

    @property
    def reason(self) -> str | None:
        """Why the telegram belongs into the quarantine although it was read: `bad_frame`, `unknown_driver`; None for one that is understood."""
        if self.suspect:
            return "bad_frame"
        unread = self.tail or any(record.quantity in {"manufacturer", "unknown"} for record in self.records)
        return "unknown_driver" if unread and not self.readings else None


@dataclass(frozen=True, slots=True)
class _Context:
    """What a caller of `decode` knows beside the bytes."""

    profile_of: ProfileOf
    formats: Formats
    received: datetime | None
    decrypted: bool


class Plain(NamedTuple):
    """A telegram after security: what the headers said, and the readable payload."""

    device: DeviceId
    driver: Driver | None
    transport: Transport
    opened: Opened
    counter: int | None


def identify(raw: bytes, *, link: str = "wmbus", form: str = "auto") -> DeviceId:
    """The device a telegram is of, without a key; raises BadFrame or Rejected. `link` and `form`: see `decoders.frame`."""
    return identity_of(parse_frame(raw, link, form))


def receive(raw: bytes, *, link: str = "wmbus", form: str = "auto") -> tuple[DeviceId, bytes]:
    """`identify` and `dedup_key` of one telegram, which is parsed once; raises BadFrame or Rejected."""
    frame = parse_frame(raw, link, form)
    return identity_of(frame), _key_of(frame)


def dedup_key(raw: bytes, *, link: str = "wmbus", form: str = "auto") -> bytes:
    """Sixteen bytes that all receptions of one telegram share, repeated ones included (inbox specification 4, level 1).

    Over address and body without the hop and access part of the extended link layer, which repeaters change.
    """
    return _key_of(parse_frame(raw, link, form))


def _key_of(frame: Frame) -> bytes:
    ell, _ = split_ell(frame)
    return blake2b(frame.address + (frame.body[3:] if ell else frame.body), digest_size=16).digest()


def decode(
    raw: bytes,
    profile_of: ProfileOf,
    *,
    link: str = "wmbus",
    form: str = "auto",
    decrypted: bool = False,
    formats: Formats | None = None,
    received: datetime | None = None,
    opened: Plain | None = None,
) -> Telegram:
    """Decode one telegram of a device that `profile_of` knows.

    `decrypted`: the source is trusted to send plaintext under headers that say encrypted. `formats`: of compact frames, full frames add theirs;
    None knows the published ones only. `received`: when it was heard (naive; hours do not matter), for payloads whose only check is their own
    clock. `opened` is what `open_frame` made of it, if that was asked already. Raises a DecodeError whose `reason` is the word of the quarantine
    and whose `device` is set as soon as known.
    """
    context = _Context(profile_of, {} if formats is None else formats, received, decrypted)
    try:
        telegram = _read(opened or parse_frame(raw, link, form), context)
    except DecodeError:
        if instead := _instead(raw, link, form, context):
            return instead
        raise
    return (_instead(raw, link, form, context) or telegram) if telegram.suspect else telegram


def _instead(raw: bytes, link: str, form: str, context: _Context) -> Telegram | None:
    """The telegram that a bare frame holds whose last bytes look like a CRC by chance; None if that does not decode either."""
    frame = otherwise(raw, link, form)
    try:
        telegram = _read(frame, context) if frame else None
    except DecodeError:
        return None
    return None if telegram is None or telegram.suspect else telegram


def _read(sent: Frame | Plain, context: _Context) -> Telegram:
    """The telegram in a frame, or in one that was opened; errors name its device."""
    device = sent.device if isinstance(sent, Plain) else identity_of(sent)
    try:
        return _telegram(sent if isinstance(sent, Plain) else open_frame(sent, device, context.profile_of, decrypted=context.decrypted), context)
    except DecodeError as error:
        error.device = error.device or device
        raise


def _profile(profile_of: ProfileOf, device: DeviceId) -> Profile:
    profile = profile_of(device)
    if profile is None:
        raise UnknownMeter("no profile is known for this device")
    return profile


def open_frame(frame: Frame, device: DeviceId, profile_of: ProfileOf, *, decrypted: bool) -> Plain:
    """Headers and security of a frame of `device`; raises DecodeErrors."""
    profile = _profile(profile_of, device)
    ell, body = split_ell(frame)
    outer = open_ell(ell, body, profile, decrypted=decrypted) if ell else Opened(body, PLAIN)
    afl, body = split_afl(outer.payload) if frame.link == "wmbus" else (None, outer.payload)
    transport = split_transport(body, "diehl" if diehl.speaks_diehl(frame) else frame.link)
    if transport.address and ell and ell.encryption and device_of(transport.address) != device:
        device, profile = _inner(device_of(transport.address), profile, profile_of)
    driver = driver_of(device, transport.ci)
    if driver and driver.cipher and frame.link == "wmbus" and (transport.ci in _PRIVATE or transport.mode in driver.modes):
        opened = driver.cipher(Sealed(frame.address, transport, profile, decrypted))
    else:
        opened = _opened(frame, transport, afl, profile, driver.published if driver else None, decrypted=decrypted)
    mode = opened.mode or outer.mode
    check_profile(profile, mode)
    payload = opened.payload.removeprefix(FILLED) if transport.compact and opened.mode else opened.payload
    return Plain(device, driver, transport, Opened(payload, mode), _counter(ell, afl, opened.mode))


def _opened(frame: Frame, transport: Transport, afl: Afl | None, profile: Profile, published: bytes | None, *, decrypted: bool) -> Opened:
    """The plain payload; where a device has no key, that of its family may be `published`."""
    already = decrypted and transport.payload.startswith(FILLED)
    family = published and transport.mode == AES_CBC and frame.link == "wmbus" and not profile.key and not already
    known = Profile(published, profile.mode, profile.whole) if family else profile
    try:
        return open_transport(transport, afl, transport.address or frame.address, known, link=frame.link, decrypted=decrypted)
    except WrongKey:
        if family:
            raise NoKey("encrypted, no key is known, and the published one does not open it") from None
        raise


def _inner(device: DeviceId, outer: Profile, profile_of: ProfileOf) -> tuple[DeviceId, Profile]:
    """A meter named only inside an encrypted link layer speaks through another device: it must share that one's key."""
    profile = _profile(profile_of, device)
    if profile.key != outer.key:
        raise UnknownMeter(f"{device} speaks inside a telegram that another key protects")
    return device, profile


def _counter(ell: Ell | None, afl: Afl | None, mode: int) -> int | None:
    if afl and mode == AES_CBC_DERIVED:  # in any other mode nothing authenticates it
        return int.from_bytes(afl.counter, "little")
    return int.from_bytes(ell.session, "little") & 0x1FFFFFFF if ell and ell.encryption else None


def _records(plain: Plain, formats: Formats) -> Records:
    transport, payload, driver = plain.transport, plain.opened.payload, plain.driver
    own = read_payload(driver, payload, plain.device, transport.ci) if driver else None
    if own is not None:
        return own
    if transport.ci in MANUFACTURER_CI:
        raise UnknownDriver(f"a payload of the manufacturer's own, CI {transport.ci:02X}h, that {driver.name if driver else 'no driver'} reads")
    if transport.fixed:
        return read_fixed(payload)
    if transport.compact:
        return read_compact(payload, plain.device, formats)
    found = walk(payload, high_first=transport.high_first)
    learn(formats, plain.device, found)
    return found


def _telegram(plain: Plain, context: _Context) -> Telegram:
    transport, driver, found = plain.transport, plain.driver, _records(plain, context.formats)
    if driver:
        found = read_blocks(driver, found, plain.device, transport.ci)
    records = understood(driver, found.records)
    _check(driver, records, context.received)
    status = () if transport.fixed else words_of(transport.status, driver.status if driver else None, records)
    kind = driver.medium if driver and driver.medium is not None else plain.device.type
    return Telegram(
        device=plain.device,
        readings=() if found.broken else readings_of(records, kind, tuple(word for word in status if word in STATUS)),
        records=records,
        access_number=transport.access,
        status=status,
        mode=plain.opened.mode,
        counter=plain.counter,
        meter_time=meter_time(records),
        tail=found.tail,
        more=found.more,
        suspect=found.broken is not None,
        notes=(*([found.broken] if found.broken else []), *found.notes),
    )


def _check(driver: Driver | None, records: tuple[Record, ...], received: datetime | None) -> None:
    """Raise WrongKey, or BadFrame for plain payloads, when a driver's gate does not believe the records."""
    odd = implausible(driver.gate, records, received) if driver and driver.gate else None
    if odd:
        raise (WrongKey if driver and driver.cipher else BadFrame)(f"{odd}: another key, or damaged")
