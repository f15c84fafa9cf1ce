"""The set `real` of `./run bench decode`: published telegrams of real meters, each as if several meters of its kind had sent it.

The telegrams lie in ../shared/corpus, are read in place at run time, and never enter this repository. A clone has another device id wherever the
frame says one, and other numbers in its standard records; ciphers, authentication codes and checksums are made anew with the telegram's own key.
A clone counts only if it is answered as the original is: the same registers and flags, or the same reason for none. What cannot be made anew so
(an unknown key, a payload that is a checksum of itself) comes once, as published. What has no device and no records (acknowledgements, cut frames)
cannot be told from its clones and is left out.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR

from submeter.cli.readings import FORMS, profile_of, read_hex
from submeter.decoders import DecodeError, Telegram, decode, diehl
from submeter.decoders.frame import Frame, parse_frame
from submeter.decoders.layers import identity_of, split_afl, split_ell, split_transport
from submeter.decoders.records import walk
from submeter.decoders.registers import DICTIONARY
from submeter.decoders.security import Profile, cmac, open_ell
from submeter.decoders.telegram import open_frame
from submeter.simulate import encode

__all__ = ["CORPUS", "clones"]

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
FILES = ("wmbus", "libmbus", "onair")
COPIES = 9
Row = dict[str, Any]


def clones() -> tuple[list[Row], Counter[str]]:
    """Lines as `decode --jsonl` reads them, pairwise different, and how many telegrams were cloned, came as published or were left out."""
    rows: list[Row] = []
    how: Counter[str] = Counter()
    for name in FILES:
        for row in map(json.loads, (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()):
            line = {name: row.get(name) for name in ("id", "telegram_hex", "key_hex", "prior_telegrams_hex", "link", "frame_format")}
            line["decrypted"] = bool((row.get("security") or {}).get("already_plain"))
            made = list(_clones(line))
            how["cloned" if len(made) == COPIES else "as published" if made else "left out"] += 1
            rows += made
    different = {row["telegram_hex"]: row for row in rows}
    how["twice in the corpus"] = len(rows) - len(different)
    return list(different.values()), how


def _clones(line: Row) -> Iterator[Row]:
    raw, link, form = read_hex(line["telegram_hex"]), line["link"] or "wmbus", FORMS.get(line["frame_format"], "trailing")
    try:
        frame = parse_frame(raw, link, form)
        identity_of(frame)
    except DecodeError:
        return
    yield line
    said = _said(raw, line)
    for number in range(1, COPIES):
        for varied in (number, 0):
            try:
                other = _Clone(frame, line, number, varied).raw(raw)
            except (DecodeError, AssertionError, ValueError):
                continue
            if other != raw and _said(other, line) == said:
                yield {**line, "id": f"{line['id']}#{number}", "telegram_hex": other.hex().upper()}
                break


def _said(raw: bytes, line: Row) -> Any:
    """What must be the same for a clone: registers, instants and flags, or the reason for none."""
    formats: dict[Any, bytes] = {}
    known, link, form = profile_of(line["key_hex"]), line["link"] or "wmbus", FORMS.get(line["frame_format"], "trailing")
    for prior in line["prior_telegrams_hex"] or ():
        decode(read_hex(prior), known, link=link, form="trailing", decrypted=True, formats=formats)
    try:
        said: Telegram = decode(raw, known, link=link, form=form, decrypted=line["decrypted"], formats=formats)
    except DecodeError as error:
        return error.reason
    return said.reason, said.status, said.mode, [(one.register, one.stamp, one.label, one.due) for one in said.readings]


class _Clone:
    """One telegram said by another meter: its id is moved on by `number`, its values by `varied`."""

    def __init__(self, frame: Frame, line: Row, number: int, varied: int) -> None:
        self.frame, self.number, self.varied = frame, number, varied
        self.profile = profile_of(line["key_hex"])(identity_of(frame)) or Profile()
        self.decrypted = bool(line["decrypted"])
        self.plain = open_frame(frame, identity_of(frame), lambda _: self.profile, decrypted=self.decrypted) if self.profile.key else None

    def raw(self, sent: bytes) -> bytes:
        """The frame as sent, in the form of `sent`."""
        if self.frame.link == "mbus":
            return encode.wired(self._body(self.frame.body, b"", b""), address=self.frame.address[0] ^ self.number, control=self.frame.control)
        address = self._moved_address()
        head = bytes([self.frame.control]) + address
        body = self._body(self.frame.body, self.frame.address, address)
        bare = bytes([len(head + body)]) + head + body
        return bare + sent[sent[0] + 1 :]

    def _moved_address(self) -> bytes:
        sent = self.frame.address
        at = 2 if diehl.address_of(self.frame) == sent else 4
        return sent[:at] + self._moved(sent[at : at + 4]) + sent[at + 4 :]

    def _moved(self, identity: bytes) -> bytes:
        """Eight digits, as far as they are decimal; the last three count on."""
        low = identity[:1].hex()
        last = f"{(int(low) + 11 * self.number) % 100:02d}" if low.isdecimal() else f"{(int(low, 16) + self.number) & 0xFF:02x}"
        return bytes.fromhex(last) + identity[1:]

    def _body(self, body: bytes, old: bytes, new: bytes) -> bytes:
        """From a CI on; `old` and `new` are the addresses of the layers around it."""
        ell, inner = split_ell(self.frame._replace(body=body, address=old)) if self.frame.link == "wmbus" else (None, b"")
        if ell:
            head = body[: len(body) - len(inner)]
            if ell.address != old:
                head = head[:5] + self._moved(head[5:9]) + head[9:]
            if not ell.session:
                return head + self._body(inner, old, new)
            plain = self._body(open_ell(ell, inner, self.profile, decrypted=self.decrypted).payload, old, new)
            data = encode.crc(plain).to_bytes(2, "little") + plain
            if ell.encryption and not self.decrypted:
                start = (head[3:11] if ell.address != old else new) + bytes([ell.control]) + ell.session + bytes(3)
                data = Cipher(AES(self._key), CTR(start)).encryptor().update(data)
            return head + data
        afl, inner = split_afl(body) if self.frame.link == "wmbus" else (None, body)
        if afl:
            return self._authenticated(inner, body[: len(body) - len(inner)], new)
        return self._transport(body, old, new)

    @property
    def _key(self) -> bytes:
        assert self.profile.key
        return self.profile.key

    def _authenticated(self, inner: bytes, layer: bytes, new: bytes) -> bytes:
        """Mode 7: keys from the counter and the id, and the code over the whole."""
        afl, _ = split_afl(layer + inner)
        transport = split_transport(inner, "wmbus")
        assert afl
        if transport.mode != 7 or not self.plain:
            return layer + self._transport(inner, new, new)
        head = inner[: len(inner) - len(transport.payload)]
        head = head[:1] + self._moved(head[1:5]) + head[5:] if transport.address else head
        identity = head[1:5] if transport.address else new[2:6]
        seed = afl.counter + identity + b"\x07" * 7
        size = (transport.config >> 4 & 0x0F) * 16
        opened = self._values(self.plain.opened.payload)
        sealed = Cipher(AES(cmac(self._key, b"\x00" + seed)), CBC(bytes(16))).encryptor().update(opened[:size]) + opened[size:]
        message = head + transport.payload[:1] + sealed
        code = cmac(cmac(self._key, b"\x01" + seed), afl.control + afl.counter + afl.length + message)[: len(afl.mac)]
        return layer.replace(afl.mac, code) + message

    def _transport(self, body: bytes, old: bytes, new: bytes) -> bytes:
        transport = split_transport(body, "diehl" if diehl.speaks_diehl(self.frame) else self.frame.link)
        head = body[: len(body) - len(transport.payload)]
        if transport.address:
            old, head = transport.address, head[:1] + self._moved(head[1:5]) + head[5:]
            new = head[5:7] + head[1:5] + head[7:9]
        if diehl.speaks_diehl(self.frame) and (transport.ci in DIEHL_CIPHERS or transport.mode >= 16):
            return self._keystream(body)
        if self.plain and transport.ci in {0xA0, 0xA1}:  # one block of AES behind two bytes
            vector = new + transport.payload[:1] * 8
            return body[:3] + Cipher(AES(self._key), CBC(vector)).encryptor().update(self.plain.opened.payload[2:])
        if transport.mode == 5 and not self.decrypted and self.profile.key:
            size = (transport.config >> 4 & 0x0F) * 16
            vectors = (one + bytes([transport.access or 0]) * 8 for one in (old, new))
            opened = Cipher(AES(self._key), CBC(next(vectors))).decryptor().update(transport.payload[:size])
            payload = self._values(opened + transport.payload[size:])
            return head + Cipher(AES(self._key), CBC(next(vectors))).encryptor().update(payload[:size]) + payload[size:]
        return head + (self._values(transport.payload) if transport.ci in {0x72, 0x76, 0x78, 0x7A} else transport.payload)

    def _keystream(self, body: bytes) -> bytes:
        """The Diehl group's cipher, whose stream hangs on the address."""
        opened = open_frame(self.frame, identity_of(self.frame), lambda _: self.profile, decrypted=self.decrypted).opened.payload
        cipher = body[5:]
        plain = opened[-len(cipher) :]
        address = self._moved_address()
        for key in filter(None, (self.profile.key, *PUBLISHED)):
            stream = diehl.keystream(key, self.frame.address + body[:4], len(cipher))
            if bytes(map(int.__xor__, cipher, stream)) == plain:
                return body[:5] + bytes(map(int.__xor__, plain, diehl.keystream(key, address + body[:4], len(cipher))))
        raise ValueError("no key is known")

    def _values(self, payload: bytes) -> bytes:
        """The same records with other numbers in those of whole decimal digits."""
        if not self.varied:
            return payload
        data, at = bytearray(payload), 0
        for record in walk(payload).records:
            sent = record.dif + record.vif + record.data
            at = payload.index(sent, at)
            if (
                record.dif[0] & 0x0F in (2, 3, 4, 10, 11, 12, 14)
                and record.quantity in DICTIONARY
                and record.value
                and record.quantity != "status_flags"
            ):
                place = at + len(record.dif + record.vif)
                data[place] ^= self.varied & 7 if data[place] & 0x0F < 8 else 0
            at += len(sent)
        return bytes(data)


#: Keys that the group published; CI fields whose payload they open.
PUBLISHED = (bytes.fromhex("39BC8A10E66D83F8"), bytes.fromhex("51728910E66D83F8"))
DIEHL_CIPHERS = {*range(0xA0, 0xA8), diehl.REAL_DATA_CI}
