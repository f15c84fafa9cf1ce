"""The radio deduplication window."""

from hypothesis import given
from hypothesis import strategies as st

from submeter.ingest.dedup import GENERATION, Window

S = 1_000_000
NOON = 1_780_000_000 * S


def verdicts(*events):
    """Admit (key, second) pairs in order."""
    window = Window()
    return [window.admit(key, NOON + round(second * S)) for key, second in events]


def test_several_gateways_count_once():
    """Receptions within ten seconds of the first, before or after it, are duplicates."""
    assert verdicts((b"a", 0), (b"a", 0.2), (b"a", 10), (b"a", -10), (b"a", -3)) == [True, False, False, False, False]


def test_other_keys_are_other_telegrams():
    """Different bytes never hide each other."""
    assert verdicts((b"a", 0), (b"b", 0), (b"a", 1)) == [True, True, False]


def test_identical_bytes_later_are_an_honest_repeat():
    """Outside the window, identical bytes count again; duplicates do not prolong the window."""
    assert verdicts((b"a", 0), (b"a", 9), (b"a", 10.1), (b"a", 20), (b"a", 21)) == [True, False, True, False, True]


def test_a_late_gateway_finds_every_repeat():
    """A store-and-forward gateway that delivers an hour of repeats late duplicates each of them."""
    heard = [(b"a", 16 * number) for number in range(200)]
    assert verdicts(*heard, *[(key, second + 0.5) for key, second in heard]) == [True] * 200 + [False] * 200


def test_replayed_and_live_telegrams_do_not_disturb_each_other():
    """Telegrams of last year processed among live ones are deduplicated like them."""
    year = -365 * 86400
    assert verdicts((b"a", 0), (b"a", year), (b"b", 1), (b"a", year + 1), (b"a", 2)) == [True, True, True, False, False]


def test_memory_is_bounded_and_the_last_are_remembered():
    """After any number of telegrams at most two generations are held, and the last generation is remembered."""
    window = Window()
    keys = [number.to_bytes(16, "big") for number in range(5 * GENERATION // 2)]
    assert all(window.admit(key, NOON) for key in keys)
    assert len(window._young) + len(window._old) <= 2 * GENERATION
    assert not any(window.admit(key, NOON) for key in keys[-GENERATION:])


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.integers(-(10**9), 10**9)), max_size=60))
def test_admitted_telegrams_stand_apart(events):
    """Of one key, no two admitted times lie within the window, and every refused time lies within it of an admitted one."""
    window = Window()
    admitted = {b"a": [], b"b": []}
    for key, at in events:
        near = [first for first in admitted[key] if abs(first - at) <= 10 * S]
        if window.admit(key, at):
            assert not near
            admitted[key].append(at)
        else:
            assert near
