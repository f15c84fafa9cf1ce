"""How long messages and webhooks wait after a failure, and how a request is signed: known answers (docs/outbox.md)."""

import pytest

from submeter.post import SinkError, delay
from submeter.post.webhooks import signature

MINUTE = 60_000_000


@pytest.mark.parametrize(("tries", "minutes"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 360), (11, 360), (1000, 360)])
def test_a_failure_waits_twice_as_long_as_the_one_before(tries, minutes):
    """One minute, 2, 4, … up to six hours, however many there were."""
    assert delay(tries) == minutes * MINUTE


@pytest.mark.parametrize(
    ("secret", "stamp", "signed"),
    [
        ("secret", "1700000000", "sha256=6ea80dd0287e4546a34804209b7bd13de79a1d6938965c0d8b6993e9aaa9eb4c"),
        ("secret", "1700000001", None),
        ("other", "1700000000", None),
    ],
)
def test_a_request_is_signed_over_its_time_and_body(secret, stamp, signed):
    """HMAC-SHA256 of time, a point and body, as `openssl dgst -sha256 -hmac` says it; with another time or secret it is another one."""
    known = "sha256=6ea80dd0287e4546a34804209b7bd13de79a1d6938965c0d8b6993e9aaa9eb4c"
    assert (signature(secret, stamp, b'{"webhook":"w_1"}') == known) == (signed is not None)


@pytest.mark.parametrize(("more", "lasting", "whole"), [({}, False, False), ({"lasting": True}, True, False), ({"whole": True}, False, True)])
def test_an_error_of_a_sink_says_whether_it_lasts_and_whom_it_concerns(more, lasting, whole):
    """Unless said otherwise it is one message's, for a while."""
    error = SinkError("no answer", **more)
    assert (str(error), error.lasting, error.whole) == ("no answer", lasting, whole)
