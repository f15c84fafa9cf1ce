"""`submeter simulate`: messages of meters that do not exist, to a broker or a file, for trials and loads without hardware.

The same options give the same messages, but for the times, which end now unless `--start` says otherwise.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from submeter import civil
from submeter.errors import SubmeterError
from submeter.simulate.directory import directory
from submeter.simulate.fleet import Fleet, Troubles
from submeter.simulate.formats import FORMATS

__all__ = ["simulate"]

simulate = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Messages of simulated meters and gateways, to a broker or a file.")

#: Takes topic, payload, and whether the broker is to retain it.
Send = Callable[[str, bytes, bool], object]
Meters = Annotated[int, typer.Option("--meters", min=1, help="how many meters, each with an id and a key of its own")]
Form = Annotated[str, typer.Option("--format", help=f"how gateways write: {', '.join(FORMATS)}")]
Telegrams = Annotated[int | None, typer.Option("--telegrams", min=0, help="how many telegrams in all; default: one of each meter")]
Batch = Annotated[int, typer.Option("--batch", min=1, max=5000, help="telegrams a message, where the format holds several")]
Loss = Annotated[float, typer.Option("--loss", min=0, max=1, help="share of telegrams that nobody hears, e.g. 0.05")]
Duplicates = Annotated[float, typer.Option("--duplicates", min=0, max=1, help="share of messages that are sent twice, e.g. 0.01")]
Skew = Annotated[int, typer.Option("--skew", help="seconds by which gateways' clocks are ahead; below 0: behind")]
Interval = Annotated[int, typer.Option("--interval", min=1, help="seconds between two telegrams of a meter")]
Start = Annotated[
    str | None, typer.Option("--start", help="when the first is sent, e.g. 2026-11-01T00:00:00Z; default: so that the last is sent now")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=99, help="another seed, other meters")]
Broker = Annotated[str | None, typer.Option("--broker", metavar="HOST[:PORT]", help="publish with QoS 1; default: lines to --out")]
Out = Annotated[Path | None, typer.Option("--out", help="a file for `submeter replay`, a message a line; default: standard output")]
Directory = Annotated[Path | None, typer.Option("--directory", help="write the meters with their keys here, for `submeter import`")]


@simulate.command("gateway", help="What gateways of a format send about the meters that they hear.")
@simulate.command("fleet", help="Messages of a fleet of radio meters, a thousand to a gateway.")
def send(
    *,
    meters: Meters = 1000,
    form: Form = "native",
    telegrams: Telegrams = None,
    batch: Batch = 100,
    loss: Loss = 0.0,
    duplicates: Duplicates = 0.0,
    skew: Skew = 0,
    interval: Interval = 900,
    start: Start = None,
    seed: Seed = 1,
    broker: Broker = None,
    out: Out = None,
    keys: Directory = None,
) -> None:
    """Write or publish the messages, and tell how many there were."""
    if form not in FORMATS:
        raise typer.BadParameter(f"{form} is no format: {', '.join(FORMATS)}", param_hint="--format")
    if FORMATS[form].announce is not None and broker is None:
        raise typer.BadParameter(f"what {form} sends is understood by its topics: publish it, --broker HOST", param_hint="--format")
    fleet = Fleet.make(_fitting(meters, seed), seed=seed)
    count, spacing = meters if telegrams is None else telegrams, interval * civil.SECOND
    begin = time.time_ns() // 1000 - count * spacing // meters if start is None else civil.instant(start)
    if keys is not None:
        keys.write_text(directory(fleet.building, civil.utc_date(begin - civil.DAY)), "utf-8")
    messages = heard = 0
    with _publishing(broker) if broker else _writing(out) as tell:
        for topic, payload in FORMATS[form].announced(fleet.places):
            tell(topic, payload, True)
        for message in fleet.messages(count, begin, spacing, form=FORMATS[form], batch=batch, troubles=Troubles(loss, duplicates, skew)):
            tell(message.topic, message.payload, False)
            messages, heard = messages + 1, heard + len(message.sent)
    typer.echo(f"{messages} messages with {heard} telegrams of {meters} meters", err=True)


def _fitting(meters: int, seed: int) -> int:
    most = (100 - seed) * 10_000
    if meters > most:
        raise typer.BadParameter(f"with seed {seed} there are ids for {most} meters", param_hint="--meters")
    return meters


@contextmanager
def _writing(out: Path | None) -> Iterator[Send]:
    """A line a message."""
    with ExitStack() as stack:
        file = sys.stdout.buffer if out is None else stack.enter_context(out.open("wb"))
        yield lambda _topic, payload, _retain: file.write(payload + b"\n")


@contextmanager
def _publishing(broker: str) -> Iterator[Send]:
    """QoS 1; ends when the broker has acknowledged everything."""
    from paho.mqtt.client import Client, MQTTv5  # noqa: PLC0415  the other commands start without it
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    host, _, port = broker.partition(":")
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    try:
        client.connect(host, int(port or 1883))
    except (OSError, ValueError) as error:
        raise SubmeterError(f"the broker {broker} cannot be reached: {error}; write --broker HOST or HOST:PORT") from error
    client.loop_start()
    waiting = []
    try:
        yield lambda topic, payload, retain: waiting.append(client.publish(topic, payload, qos=1, retain=retain))
        for one in waiting:
            one.wait_for_publish()
    finally:
        client.disconnect()
        client.loop_stop()
