"""Real telegrams: the bars of the conformance corpus beside the checkout, through the line format of `decode --jsonl`."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from submeter.cli.decode import decode_line

Row = dict[str, Any]
#: libmbus rows that may miss: none.
FIELDS = ("id", "telegram_hex", "key_hex", "prior_telegrams_hex", "link", "frame_format")


@pytest.fixture(scope="module")
def score(shared: Path) -> ModuleType:
    """The corpus's own scoring rules."""
    spec = importlib.util.spec_from_file_location("score", shared / "corpus" / "score.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(shared: Path, name: str) -> list[Row]:
    """All rows of one corpus file."""
    lines = (shared / "corpus" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def answer(row: Row) -> Row:
    """What `decode --jsonl` says about a row, asked as score.py asks."""
    decrypted = bool((row.get("security") or {}).get("already_plain"))
    return decode_line(json.dumps({**{field: row.get(field) for field in FIELDS}, "decrypted": decrypted}))


def plain_dif_vif(row: Row) -> bool:
    """Standard records without link-layer encryption, authentication layer or compact frame."""
    chain = row["ci_chain"]
    hard = row["security"].get("ell") or "90" in chain or chain[-1] in {"79", "7B"} or (chain[-1] == "73" and row["link"] == "wmbus")
    return row["decodable"] == "standard" and not hard


def rate(scored: str) -> float:
    """The share in score.py's text, e.g. ``101/102=99.0%``."""
    right, of = scored.split("=", maxsplit=1)[0].split("/")
    return int(right) / int(of)


def test_wired_frames_all_records(shared: Path, score: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """libmbus, strict: every number and date of every scored frame is right, storage number and function included."""
    monkeypatch.setattr(score, "STRICT", True)
    rows = [row for row in rows_of(shared, "libmbus") if row.get("expected_records")]
    summary, per_row = score.score(rows, {row["id"]: answer(row) for row in rows})
    assert [row["id"] for row in per_row if row["missing"]] == []
    assert (summary["all"], rate(summary["dates"])) == ("49/49=100.0%", 1.0)


def test_wireless_standard_telegrams(shared: Path, score: ModuleType) -> None:
    """wmbus, class standard: the primary register of at least 99 in 100, every number of at least 92."""
    rows = [row for row in rows_of(shared, "wmbus") if row.get("expected") and plain_dif_vif(row)]
    summary, _ = score.score(rows, {row["id"]: answer(row) for row in rows})
    assert rate(summary["primary"]) >= 0.99, summary
    assert rate(summary["all"]) >= 0.92, summary


@pytest.mark.parametrize("onair", ["tpl5", "tpl7", "ell"])
def test_encrypted_telegrams(shared: Path, score: ModuleType, onair: str) -> None:
    """onair: each row that DIF and VIF describe opens with its key and gives its primary register."""
    rows = [row for row in rows_of(shared, "onair") if row["onair"].startswith(onair) and row["decodable"] != "mfct_only"]
    compact = {row["id"] for row in rows if row["ci_chain"][-1] in {"79", "7B", "73"}}
    rows = [row for row in rows if row["id"] not in compact]
    answers = {row["id"]: answer(row) for row in rows}
    summary, _ = score.score(rows, answers)
    assert rows
    assert rate(summary["primary"]) == 1.0, summary


def test_every_mode_5_row_is_decrypted(shared: Path) -> None:
    """onair, mode 5: every row opens with its key, those with manufacturer payloads included."""
    for row in (row for row in rows_of(shared, "onair") if row["security"]["tpl_mode"] == 5):
        assert not answer(row).get("error", "").startswith(("wrong_key", "no_key", "downgrade", "unknown_mode")), row["id"]


def test_frame_formats_change_nothing(shared: Path) -> None:
    """crc: a telegram in format A or B gives what it gives without its CRCs."""
    bare = {row["id"]: row for row in rows_of(shared, "wmbus")}
    for row in rows_of(shared, "crc"):
        parent = bare.get(row["derived_from"])
        if parent is not None and parent["frame_format"] == "noCRC":
            assert {**answer(row), "id": ""} == {**answer(parent), "id": ""}, row["id"]


def test_nothing_leaks_from_what_must_be_refused(shared: Path) -> None:
    """negatives: no key, a wrong key, a flipped bit under a CRC or a checksum: an error, and not one number."""
    rows = rows_of(shared, "negatives")
    assert len(rows) > 100
    for row in rows:
        reply = answer(row)
        assert reply["error"], row["id"]
        assert reply["readings"] == [], row["id"]


def test_refused_wired_frames_say_so(shared: Path) -> None:
    """Libmbus error frames: partial records at most, and an error."""
    for row in (row for row in rows_of(shared, "libmbus") if row.get("expect") == "error"):
        assert answer(row).get("error"), row["id"]
