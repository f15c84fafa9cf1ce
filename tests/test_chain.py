"""The whole chain as a process: what is published over MQTT or written to a tty is in the API's tables after the next run."""

import json
import os
import pty

import pytest
from broker import wait_until
from installation import Installation

from submeter import civil
from submeter.core import now
from submeter.reading import MICRO
from submeter.simulate import anchors, counters, expected
from submeter.store import Inbox


@pytest.fixture
def mqtt_installation(tmp_path, broker):
    """An installation that listens to the broker."""
    made = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n')
    made.file.write_text(made.file.read_text().replace("[api]\n", "[api]\nreads_per_minute = 0\n"))  # it is asked until a minute is over
    yield made
    made.close()


def batch(gateway, seq, sent):
    """A native batch of (instant, telegram) pairs."""
    return json.dumps({"v": 1, "gw": gateway, "boot": "b", "seq": seq, "t": [{"ts": t // 1000, "hex": raw.hex()} for t, raw in sent]}).encode()


def hours(end, count):
    """The last `count` full hours before `end`."""
    last = end // civil.HOUR * civil.HOUR
    return [last - back * civil.HOUR for back in reversed(range(count))]


def drained(here, messages):
    """Whether so many messages have come, and none of them waits."""
    with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:
        return inbox.received() == messages and inbox.counts().waiting == 0


def test_a_telegram_over_mqtt_is_in_the_hourly_table_after_the_next_scheduled_run(mqtt_installation, broker):
    """Published telegrams become exact hourly rows without any command: the scheduler (here every minute) does it."""
    here = mqtt_installation.start()
    place = here.building.places[0]
    gateway, (register, *_) = place.gateways[0], counters(place)
    times = hours(now(), 4)
    broker.publish((f"submeter/v1/{gateway}/up", batch(gateway, 0, [(t, place.meter.telegram(t)) for t in times])))
    points = wait_until(lambda: [p for p in here.consumption(place, times[0], times[-1]) if p["value"] is not None], 90)
    known = anchors(place, register, times)
    assert [round(point["value"] * MICRO) for point in points] == [expected(known, t, t + civil.HOUR) for t in times[:-1]]
    assert {point["quality"] for point in points} == {"measured"}
    here.stop()


def test_late_and_duplicate_telegrams_change_exactly_the_touched_rows(mqtt_installation, broker):
    """A repetition changes no row; a late telegram in a gap changes the rows of that gap and their sums, nothing else."""
    here = mqtt_installation.start()
    place = here.building.places[0]
    gateway, (register, *_) = place.gateways[0], counters(place)
    times = hours(now(), 13)
    known = dict(anchors(place, register, times))
    late = max(times[1:-1], key=lambda t: known[t + civil.HOUR] - known[t - civil.HOUR])  # where nothing flows, a gap is known without it
    sent = [(t, place.meter.telegram(t)) for t in times if t != late]
    broker.publish((f"submeter/v1/{gateway}/up", batch(gateway, 0, sent)))
    wait_until(lambda: drained(here, 1))
    here.command("rollup")
    before = {p["start"]: p for p in here.consumption(place, times[0], times[-1])}
    broker.publish((f"submeter/v1/{gateway}/up", batch(gateway, 1, sent[:3])))
    broker.publish((f"submeter/v1/{gateway}/up", batch(gateway, 2, [(late, place.meter.telegram(late))])))
    wait_until(lambda: drained(here, 3))
    here.command("rollup")
    after = {p["start"]: p for p in here.consumption(place, times[0], times[-1])}
    changed = {civil.instant(start) for start in before if before[start] != after[start]}
    assert changed == {late - civil.HOUR, late}
    assert all(after[start]["quality"] == "measured" for start in after)
    here.stop()


def test_a_line_written_to_a_pty_is_in_the_hourly_table(tmp_path):
    """A serial dongle's hex lines take the same way as MQTT."""
    ours, theirs = pty.openpty()
    here = Installation(tmp_path / "here", f'[[serial]]\nname = "dongle"\nport = "{os.ttyname(theirs)}"\n').start()
    try:
        place = here.building.places[0]
        os.write(ours, place.meter.telegram(now()).hex().encode() + b"\n")
        wait_until(lambda: "0 readings" not in here.command("status") and "readings: 0 " not in here.command("status"))
        here.command("rollup")
        status, body = here.get(f"/v1/units/{place.flat}/meters")
        meter = next(meter for meter in body["meters"] if meter["id"] == place.id)
        assert status == 200
        assert meter["last_heard"] is not None
        assert here.consumption(place, now() - civil.HOUR, now() + civil.HOUR)
        here.stop()
    finally:
        here.close()
        os.close(ours)
        os.close(theirs)


def test_operator_commands_run_in_the_core_while_it_runs(mqtt_installation):
    """A second process cannot open the readings; the command goes through the control socket instead and answers the same."""
    alone = mqtt_installation.command("meters")  # what the jobs that a start catches up do not change
    here = mqtt_installation.start()
    assert here.command("meters") == alone
    assert (here.folder / "data" / "control.sock").stat().st_mode & 0o777 == 0o600
    here.stop()
    assert not (here.folder / "data" / "control.sock").exists()


def test_health_and_metrics_answer_on_their_own_port(mqtt_installation):
    """The operations listener tells health and counts; the API's port has neither."""
    here = mqtt_installation.start()
    assert here.get("/v1/health", here.metrics) == (200, {"ok": True, "version": "0.1.0", "trouble": None, "sources": {"broker": "connected"}})
    assert here.get("/v1/ready", here.metrics)[0] == 200
    assert here.get("/v1/metrics")[0] == 404
    here.stop()
