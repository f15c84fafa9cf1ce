"""A flood of lines: fault 53 of reliability/FAULTS.md, its second half."""

import structlog

from submeter.logs import MOST, configure


def test_fault_53_a_flood_of_one_event_is_bounded(capfd, monkeypatch):
    """Of one event there are so many lines a minute; others are told as ever, and the next minute's first line says how many were left out."""
    clock = [0.0]
    monkeypatch.setattr("submeter.logs.monotonic", lambda: clock[0])
    configure("info", "console")
    log = structlog.get_logger()
    for number in range(10 * MOST):
        log.warning("a telegram is not trusted", message=number)
    log.warning("something else")
    clock[0] += 61
    log.warning("a telegram is not trusted")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == MOST + 2
    assert "something else" in lines[-2]
    assert f"left_out_before={9 * MOST}" in lines[-1]
