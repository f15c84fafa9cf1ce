"""Orders to meters of a wired bus: on ptys that know their speed, with lost answers, taken addresses, lines that cannot follow."""

import pytest
from bus_ports import InMemory
from rfc2217_gateway import Gateway
from typer.testing import CliRunner

from submeter.cli import app
from submeter.ingest.bus.changing import ChangeError, present, set_address, set_baud
from submeter.ingest.bus.frames import Secondary, address_order, baud_order
from submeter.ingest.bus.master import Master, Timing
from submeter.ingest.errors import PollError
from submeter.ingest.ports import opened
from submeter.simulate import Bus, Faults, PtyLine, Slave, TcpLine, slaves

QUICK = Timing(2400, latency_s=0.0, slave_s=0.0)


def master(on, baud=2400):
    """A master of a bus in memory, which hears who listens at its speed."""
    return Master(InMemory(on, baud), QUICK)


def secondary(slave):
    """How a slave is selected."""
    return Secondary.of(slave.device)


def test_orders_are_those_of_the_standard():
    """Byte by byte as makers' manuals have them."""
    assert baud_order(5, 9600).hex(" ") == "68 03 03 68 73 05 bd 35 16"
    assert address_order(5, 12).hex(" ") == "68 06 06 68 73 05 51 01 7a 0c 50 16"


@pytest.mark.parametrize("by", ["primary", "secondary"])
def test_a_meter_listens_at_another_rate(by):
    """One meter is changed, the others are not; it is read at the new rate, and the master has gone there too."""
    on = Bus(slaves(3, 1, bauds=[2400]))
    asking = master(on)
    meter = present(asking, 2 if by == "primary" else secondary(on.slaves[1]))
    assert str(secondary(on.slaves[1])) in str(meter)
    set_baud(asking, meter, 300)
    assert [one.baud for one in on.slaves] == [2400, 300, 2400]
    assert asking.timing.baud == 300
    assert len(asking.read(2)) == 1


@pytest.mark.parametrize("by", ["primary", "secondary"])
def test_a_meter_has_another_address(by):
    """One meter is changed, the others are not."""
    on = Bus(slaves(3, 1))
    asking = master(on)
    set_address(asking, present(asking, 2 if by == "primary" else secondary(on.slaves[1])), 77)
    assert [one.primary for one in on.slaves] == [1, 77, 3]


def test_an_acknowledgement_may_be_lost():
    """With a quarter of all answers damaged the change still comes out right, or is told with how the meter is."""
    right = 0
    for seed in range(20):
        on = Bus(slaves(3, 1), seed, Faults(corrupt=0.25))
        asking = master(on)
        try:
            set_address(asking, present(asking, secondary(on.slaves[1])), 77)
        except (ChangeError, PollError):
            continue
        assert [one.primary for one in on.slaves] == [1, 77, 3]
        right += 1
    assert right >= 12


def test_what_is_refused_changes_nothing():
    """A taken address, its own, one of nobody, all meters at once, a rate of no meter, two meters at one address."""
    on = Bus(slaves(3, 1, bauds=[2400]))
    asking = master(on)
    meter = present(asking, 2)
    for new, words in ((3, "somebody answers at 3"), (2, "already"), (0, "no primary address"), (251, "no primary address")):
        with pytest.raises(ChangeError, match=words):
            set_address(asking, meter, new)
    with pytest.raises(ChangeError, match="no baud rate"):
        set_baud(asking, meter, 19200)
    with pytest.raises(ChangeError, match="every meter of the line"):
        present(asking, 254)
    assert [(one.primary, one.baud) for one in on.slaves] == [(1, 2400), (2, 2400), (3, 2400)]
    on.slaves[2].primary = 2
    with pytest.raises(PollError):
        present(asking, 2)


def test_a_meter_that_only_pretends_is_found_where_it_is():
    """An order that is acknowledged and not obeyed is a sentence that says how the meter is now."""
    on = Bus(slaves(1, 1, bauds=[2400]))
    on.slaves[0].__class__ = type("Pretender", (Slave,), {"__slots__": (), "obey": lambda *_: None})
    asking = master(on)
    meter = present(asking, 1)
    with pytest.raises(ChangeError, match="has kept its address 1"):
        set_address(asking, meter, 9)
    with pytest.raises(ChangeError, match="still answers at 2400 baud and not at 9600"):
        set_baud(asking, meter, 9600)
    assert asking.timing.baud == 2400
    assert len(asking.read(1)) == 1


def test_a_line_that_cannot_follow_is_no_way_to_change_a_rate():
    """Behind a TCP gateway nothing is sent, since the meter would be lost there; at another rate than the gateway's nobody answers anyway."""
    on = Bus(slaves(2, 1, bauds=[2400, 300]))
    with TcpLine(on, baud=2400) as line:
        port = opened(line.url, 2400)
        asking = Master(port, Timing(38400))
        with pytest.raises(OSError, match="set in the gateway"):
            set_baud(asking, present(asking, 1), 300)
        with pytest.raises(PollError, match="timeout"):
            asking.awaken(2)
        port.close()
    assert [one.baud for one in on.slaves] == [2400, 300]


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's own
def test_a_gateway_whose_speed_may_be_set_follows(tmp_path):
    """Over rfc2217:// the line changes its rate with the master: meters of two rates are read, and one is changed to another."""
    on = Bus(slaves(2, 1, bauds=[9600, 4800]))
    with PtyLine(on, tmp_path / "ttyBUS") as line, Gateway(line.url) as gateway:
        port = opened(gateway.url, 9600)
        asking = Master(port, Timing(9600, 0.2))
        for slave in on.slaves:
            asking.speed(slave.baud)
            assert len(asking.read(slave.primary)) == 1
        set_baud(asking, present(asking, 2), 9600)
        assert [one.baud for one in on.slaves] == [9600, 9600]
        port.close()


def test_the_commands_ask_first(tmp_path):
    """Without --yes the meter is shown and nothing is changed; with it, it is changed and read in the new way; what fails is exit status 1."""
    on = Bus(slaves(2, 5, bauds=[9600]))
    run, fast = CliRunner(), ["--latency", "0"]
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        asked = run.invoke(app, ["bus", "set-address", line.url, "2", "9", "--baud", "9600", *fast], input="n\n")
        assert (asked.exit_code, on.slaves[1].primary) == (1, 2)
        assert str(secondary(on.slaves[1])) in asked.stdout
        assert "nothing was changed" in asked.stdout
        done = run.invoke(app, ["bus", "set-address", line.url, "2", "9", "--baud", "9600", "--yes", *fast])
        assert (done.exit_code, on.slaves[1].primary) == (0, 9)
        done = run.invoke(app, ["bus", "set-baud", line.url, "9", "4800", "--baud", "9600", "--yes", *fast])
        assert (done.exit_code, on.slaves[1].baud) == (0, 4800)
        gone = run.invoke(app, ["bus", "set-baud", line.url, "9", "300", "--baud", "9600", "--yes", *fast])
        assert (gone.exit_code, "timeout" in gone.stderr) == (1, True)
        holding = opened(line.url, 9600)
        held = run.invoke(app, ["bus", "set-baud", line.url, "9", "300", "--baud", "9600", "--yes", *fast])
        assert "another program has it" in str(held.exception)
        holding.close()
        taken = run.invoke(app, ["bus", "set-address", line.url, "1", "1", "--baud", "9600", "--yes", *fast])
        assert (taken.exit_code, "already" in taken.stderr) == (1, True)


def test_simulated_meters_of_several_rates(tmp_path):
    """`submeter simulate bus` takes the rates of meters and that of a TCP gateway."""
    told = CliRunner().invoke(
        app, ["simulate", "bus", "--slaves", "3", "--baud", "300", "--baud", "2400", "--tcp", "0", "--line-baud", "2400", "--for", "0"]
    )
    assert (told.exit_code, "3 slaves at socket://127.0.0.1:" in told.stdout) == (0, True)
