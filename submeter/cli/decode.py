"""`submeter decode`: one telegram as a table, or lines of JSON in and out.

The tool is told the key and shows everything a telegram says, so it also reads plain records behind encrypted ones (`whole=False`),
which the pipeline refuses by default. Line format of `--jsonl` (the same as of the conformance corpus):
in  {"id", "telegram_hex", "key_hex", "prior_telegrams_hex", "link": "wmbus|mbus", "frame_format": "noCRC|crcA|crcB|A+crc|B+crc|wired", "decrypted": bool}
out {"id", "readings": [{"quantity", "value", "unit", "storage", "tariff", "subunit", "function", "timestamp"}], "flags"?, "error"?}
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from submeter.cli.operate import ConfigFile, run
from submeter.cli.readings import FORMS, profile_of, read_hex, stream
from submeter.config import load
from submeter.decoders import FUNCTIONS, DecodeError, FormatKey, Formats, Record, Telegram
from submeter.decoders import decode as decode_telegram
from submeter.decoders.explain import Row
from submeter.decoders.explain import explain as explain_telegram
from submeter.reading import Reading, from_micro

__all__ = ["decode", "decode_line", "decode_lines"]

#: The id of a message, and the place of a telegram in it; the shortest telegram has more digits.
_KEPT: Final = re.compile(r"(\d{1,15})(?:/(\d{1,4}))?")
_EXACT_INTEGER: Final = 2**53

Line = dict[str, Any]


def decode(
    telegram: Annotated[
        str | None,
        typer.Argument(metavar="HEX", help="The telegram; blanks, _ and | are ignored. With --explain: a kept message, ID or ID/POSITION."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="AES key of the meter, 32 hex digits.")] = None,
    link: Annotated[Literal["wmbus", "mbus"], typer.Option(help="How it came: by radio, or on a wire.")] = "wmbus",
    form: Annotated[str, typer.Option(help="auto, wired, userdata, a, b, nocrc or trailing.")] = "auto",
    *,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Read and write lines of JSON.")] = False,
    readings: Annotated[bool, typer.Option("--readings", help="Read lines of JSON, write named registers and flags; for many telegrams.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show every byte with its meaning; of a kept message also what became of it.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show what a telegram says: its device, readings and every record."""
    if readings:
        stream(sys.stdin.buffer, sys.stdout.write)
        return
    if jsonl:
        for line in decode_lines(sys.stdin):
            sys.stdout.write(line + "\n")
        return
    if telegram is None:
        raise typer.BadParameter("write the telegram as hex digits, or --jsonl")
    if explain and (kept := _KEPT.fullmatch(telegram)):
        run(load(config), "explain", message=int(kept[1]), position=int(kept[2]) if kept[2] else None)
        return
    console = Console()
    try:
        if explain:
            _explain(console, explain_telegram(read_hex(telegram), profile_of(key), link=link, form=form))
        else:
            _show(console, _telegram(telegram, key, link=link, form=form))
    except (DecodeError, ValueError) as error:
        console.print(f"{getattr(error, 'reason', 'no telegram')}: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


def decode_lines(lines: Iterable[str]) -> Iterator[str]:
    """One line of JSON out for each line in; a line that is no object gives an `error` without an id."""
    for line in lines:
        if line.strip():
            yield json.dumps(decode_line(line), ensure_ascii=False)


def decode_line(line: str) -> Line:
    """The answer to one line: every numeric and dated record, and `error` as `reason: what` where the telegram is refused."""
    try:
        row = json.loads(line)
        answer: Line = {"id": row.get("id"), "readings": []}
    except (ValueError, AttributeError, RecursionError):
        return {"id": None, "readings": [], "error": "bad_line: not a JSON object"}
    try:
        telegram = _row(row)
    except (DecodeError, ValueError, TypeError) as error:
        return {**answer, "error": f"{getattr(error, 'reason', 'bad_line')}: {error}"}
    answer["readings"] = list(_listed(telegram))
    if telegram.status:
        answer["flags"] = list(telegram.status)
    return {**answer, "error": f"{telegram.reason}: {'; '.join(telegram.notes)}"} if telegram.suspect else answer


def _row(row: Mapping[str, Any]) -> Telegram:
    form = FORMS.get(row.get("frame_format"), "trailing")
    text = row.get("telegram_hex")
    if not isinstance(text, str):
        raise ValueError("telegram_hex is missing")  # noqa: TRY004  one kind of error for a line that is not as documented
    link, decrypted, formats = row.get("link") or "wmbus", bool(row.get("decrypted")), dict[FormatKey, bytes]()
    for prior in row.get("prior_telegrams_hex") or ():
        with suppress(DecodeError):  # it teaches the format of a compact frame, or nothing
            _telegram(prior, row.get("key_hex"), link=link, form="trailing", decrypted=True, formats=formats)
    return _telegram(text, row.get("key_hex"), link=link, form=form, decrypted=decrypted, formats=formats)


def _telegram(text: str, key: str | None, *, link: str, form: str, decrypted: bool = False, formats: Formats | None = None) -> Telegram:
    return decode_telegram(read_hex(text), profile_of(key), link=link, form=form, decrypted=decrypted, formats=formats)


def _listed(telegram: Telegram) -> Iterator[Line]:
    for record in telegram.records:
        value = _plain(record.value)
        if value is not None:
            yield {
                "quantity": "_".join((record.quantity, *record.modifiers)),
                "value": value,
                "unit": record.unit,
                "storage": record.storage,
                "tariff": record.tariff,
                "subunit": record.subunit,
                "function": FUNCTIONS[record.function],
                "timestamp": _plain(record.stamp),
            }


def _plain(value: object) -> int | float | str | None:
    """A JSON value of a record's value; None for what is not a number, date or text."""
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value() and abs(value) < _EXACT_INTEGER
        return int(value) if whole else float(value)
    if isinstance(value, date):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return value if isinstance(value, str) else None


def _show(console: Console, telegram: Telegram) -> None:
    console.print(f"{telegram.device}   mode {telegram.mode}   access {telegram.access_number}   {' '.join(telegram.status)}", markup=False)
    console.print(_table("Readings", ("register", "value", "unit", "at", "label"), map(_reading_row, telegram.readings)))
    headers = ("quantity", "value", "unit", "storage", "tariff", "subunit", "function", "bytes")
    console.print(_table("Records", headers, map(_record_row, telegram.records)))
    for note in telegram.notes:
        console.print(f"{'suspect' if telegram.suspect else 'note'}: {note}", style="yellow", markup=False)


def _explain(console: Console, rows: Sequence[Row]) -> None:
    told = (("" if not row.data else str(row.at), row.data.hex(" "), row.layer, row.what) for row in rows)
    console.print(_table("Bytes", ("at", "bytes", "layer", "meaning"), (tuple(map(escape, row)) for row in told)))
    if rows[-1].layer == "refused":
        raise typer.Exit(1)


def _table(title: str, headers: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(*headers, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table


def _reading_row(reading: Reading) -> tuple[str, ...]:
    value = "" if reading.value is None else str(from_micro(reading.value))
    return str(reading.register), value, reading.register.unit, str(reading.stamp or "reception"), reading.label


def _record_row(record: Record) -> tuple[str, ...]:
    shown = record.value.hex(" ") if isinstance(record.value, bytes) else f"{record.value:f}" if isinstance(record.value, Decimal) else record.value
    what = " ".join((record.quantity, *record.modifiers))
    place = (str(record.storage), str(record.tariff), str(record.subunit), FUNCTIONS[record.function])
    raw = " ".join(part.hex() for part in (record.dif, record.vif, record.data))
    return what, record.error or "no value" if shown is None else str(shown), record.unit, *place, raw


if __name__ == "__main__":
    typer.run(decode)
