"""`submeter simulate fleet` and `gateway`, each option: what stands in the messages that they write."""

import json
from itertools import pairwise

import pytest
from desk import said

from submeter import civil
from submeter.decoders import receive
from submeter.errors import SubmeterError
from submeter.simulate.formats import FORMATS

START = "2026-11-01T00:00:00Z"


def fleet(folder, *words, verb="fleet"):
    """Messages of a fleet that begins at a fixed time, and what was told of them."""
    out = folder / "messages.txt"
    told = said("simulate", verb, "--start", START, "--out", out, *words)
    return [json.loads(line) for line in out.read_text().splitlines()], told[-1]


def telegrams(messages):
    """All telegrams of native messages, as (device, time of reception) in order."""
    return [(str(receive(bytes.fromhex(one["hex"]))[0]), one["ts"] * 1000) for message in messages for one in message["t"]]


def test_one_telegram_of_each_meter(tmp_path):
    """Without --telegrams each meter is heard once, the first at --start, in messages of a hundred."""
    messages, told = fleet(tmp_path, "--meters", "120")
    heard = telegrams(messages)
    assert len({device for device, _ in heard}) == len(heard) == 120
    assert [len(message["t"]) for message in messages] == [100, 20]
    assert heard[0][1] == civil.instant(START)
    assert told == "2 messages with 120 telegrams of 120 meters"


def test_telegrams_and_interval(tmp_path):
    """--telegrams counts all of them; the same meter comes again after --interval seconds."""
    heard = telegrams(fleet(tmp_path, "--meters", "4", "--telegrams", "12", "--interval", "60")[0])
    assert len(heard) == 12
    times = {device: sorted(t for one, t in heard if one == device) for device, _ in heard}
    assert {later - earlier for mine in times.values() for earlier, later in pairwise(mine)} == {60 * civil.SECOND}
    assert telegrams(fleet(tmp_path, "--meters", "4", "--telegrams", "0")[0]) == []


@pytest.mark.parametrize(("batch", "sizes"), [("1", [1] * 7), ("3", [3, 3, 1]), ("5000", [7])])
def test_telegrams_of_a_message(tmp_path, batch, sizes):
    """--batch says how many telegrams a message has; the last one has the rest."""
    messages, _ = fleet(tmp_path, "--meters", "7", "--batch", batch)
    assert [len(message["t"]) for message in messages] == sizes
    assert [message["seq"] for message in messages] == list(range(messages[0]["seq"], messages[0]["seq"] + len(sizes)))


def test_losses(tmp_path):
    """A share of telegrams is heard by nobody: none with 1, all with 0, about half with 0.5, and the same half again."""
    count = {share: len(telegrams(fleet(tmp_path, "--meters", "200", "--loss", share)[0])) for share in ("0", "0.5", "1")}
    assert (count["0"], count["1"]) == (200, 0)
    assert 60 < count["0.5"] < 140
    assert telegrams(fleet(tmp_path, "--meters", "200", "--loss", "0.5")[0]) == telegrams(fleet(tmp_path, "--meters", "200", "--loss", "0.5")[0])


def test_duplicates(tmp_path):
    """A share of messages comes twice, with the same number: that is how a receiver knows them."""
    messages, told = fleet(tmp_path, "--meters", "6", "--batch", "2", "--duplicates", "1")
    assert len(messages) == 6
    assert sorted(message["seq"] for message in messages) == sorted([*{message["seq"] for message in messages}] * 2)
    assert told.startswith("6 messages")
    assert len(fleet(tmp_path, "--meters", "6", "--batch", "2", "--duplicates", "0")[0]) == 3


@pytest.mark.parametrize("skew", [-90, 0, 3600])
def test_clocks_of_gateways(tmp_path, skew):
    """--skew moves what gateways say of the time by so many seconds."""
    heard = telegrams(fleet(tmp_path, "--meters", "2", "--skew", skew)[0])
    assert heard[0][1] == civil.instant(START) + skew * civil.SECOND


def test_seeds(tmp_path):
    """The same seed gives the same messages to the byte, another one other meters."""
    first, again, other = (fleet(tmp_path, "--meters", "20", "--seed", seed)[0] for seed in ("3", "3", "4"))
    assert first == again
    assert not {device for device, _ in telegrams(first)} & {device for device, _ in telegrams(other)}


def test_the_directory_has_the_meters_with_their_keys(tmp_path):
    """--directory writes a file for `submeter import` with each meter that is heard."""
    heard = telegrams(fleet(tmp_path, "--meters", "9", "--directory", tmp_path / "house.toml")[0])
    text = (tmp_path / "house.toml").read_text()
    assert all(f'id = "{device}"' in text for device, _ in heard)
    assert text.count('key = "') >= 9


@pytest.mark.parametrize("form", [name for name, one in FORMATS.items() if one.announce is None])
def test_each_format_is_written(tmp_path, form):
    """Each format of a gateway that needs no topic is written a message a line, and no line is empty."""
    out = tmp_path / "messages"
    told = said("simulate", "gateway", "--meters", "3", "--format", form, "--start", START, "--out", out)
    assert told[-1].endswith("with 3 telegrams of 3 meters")
    assert all(out.read_bytes().splitlines())


@pytest.mark.parametrize("form", [name for name, one in FORMATS.items() if one.announce is not None])
def test_what_needs_its_topics_needs_a_broker(tmp_path, form):
    """A format that is understood by topics is refused without --broker, with what to write."""
    assert "publish it, --broker HOST" in " ".join(said("simulate", "gateway", "--format", form, "--out", tmp_path / "m", code=2)).replace("│", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "smoke"), "smoke is no format: native"),
        (("--meters", "0"), "--meters"),
        (("--loss", "1.5"), "--loss"),
        (("--duplicates", "-0.1"), "--duplicates"),
        (("--batch", "5001"), "--batch"),
        (("--interval", "0"), "--interval"),
        (("--seed", "100"), "--seed"),
        (("--meters", "10001", "--seed", "99"), "with seed 99 there are ids for 10000 meters"),
    ],
)
def test_numbers_that_cannot_be(tmp_path, words, told):
    """A value outside of its range is named, exit status 2, and no file is written."""
    said_ = " ".join(" ".join(said("simulate", "fleet", *words, "--out", tmp_path / "m", code=2)).replace("│", " ").split())
    assert told in said_
    assert not (tmp_path / "m").exists()


def test_times_and_brokers_that_cannot_be(tmp_path):
    """A start that is no instant, and a broker that is not there, are one sentence each."""
    with pytest.raises(SubmeterError, match="'soon' is not an instant"):
        said("simulate", "fleet", "--start", "soon", "--out", tmp_path / "m")
    for broker in ("127.0.0.1:1", "127.0.0.1:door"):
        with pytest.raises(SubmeterError, match=f"the broker {broker} cannot be reached"):
            said("simulate", "fleet", "--broker", broker)


def test_lines_go_to_standard_output_without_a_file():
    """Without --out the messages are what is printed, and what is told of them goes to standard error."""
    lines = said("simulate", "fleet", "--meters", "1", "--start", START)
    assert json.loads(lines[0])["v"] == 1
    assert lines[1:] == ["1 messages with 1 telegrams of 1 meters"]
