"""`submeter check`: is the configuration usable, and what does it say? Opens nothing but the file itself, and asks the database if one is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from submeter.config import Broker, Config, SerialPort, load
from submeter.config.portals import load_portal
from submeter.ingest.dongles import KINDS
from submeter.ingest.settings import buses_of, maps_of, modbus_of, rules_of, serial_of

__all__ = ["check", "described"]


def check(
    *,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="the configuration; default: pipeline.toml here, else all defaults")] = None,
) -> None:
    """Check the configuration and say what is configured; exit status 2 and one line per mistake if it cannot be used."""
    for line in described(load(config)):
        typer.echo(line)


def described(config: Config) -> Iterator[str]:
    """Return one line per part of the installation, without secrets."""
    yield f"data      {config.data.folder}"
    if config.data.database:
        from submeter.store.sql import reached  # noqa: PLC0415 - without a database no store is needed

        yield f"database  {config.data.database}: {reached(config.data.server())}"
    yield f"keys      {_master_key(config)}"
    yield from (f"mqtt      {_broker(broker)}" for broker in config.mqtt)
    yield from (f"serial    {_port(port)}" for port in config.serial)
    yield from [f"http      http://{config.http.host}:{config.http.port}/ingest/v1/<gateway>"] * config.http.enabled
    yield from (
        f"bus       {one.name}: {one.url} at {one.timing.baud}, {len(one.meters)} meters each {one.interval_s / 60:g} min" for one in buses_of(config)
    )
    maps = maps_of(config)
    yield from (
        f"modbus    {one.name}: {one.url}, {len(modbus_of(one, maps).stations)} meters each {one.interval_minutes} min, maps {one.maps or 'as shipped'}"
        for one in config.modbus
    )
    yield from (f"drop      {one.name}: {one.folder}, {one.format}, gateway {one.gateway or one.name}" for one in config.drop)
    yield from [f"handover  to {config.handover.give}"] * bool(config.handover.give)
    yield from [f"handover  from {config.handover.take}"] * bool(config.handover.take)
    if not (config.mqtt or config.serial or config.bus or config.modbus or config.drop or config.http.enabled or config.handover.take):
        yield "sources   none: add [[mqtt]], [[serial]], [[bus]], [[modbus]] or [[drop]], or enable [http]"
    yield from (
        f"gateway   {gateway.name}: {gateway.form}{', store and forward' * gateway.store_and_forward}{', decrypted' * gateway.decrypted}"
        for gateway in config.gateway
    )
    yield from (f"lorawan   {one.eui or 'all devices'}, {f'port {one.port}' if one.port else 'all ports'}: {one.carries}" for one in config.lorawan)
    yield from (
        f"mapping   {one.topic}: meter {one.meter}, {one.raw or ', '.join(value.register for value in one.values)}" for one in rules_of(config)
    )
    yield f"rollup    hourly {config.rollup.hourly!r}, nightly {config.rollup.nightly!r} UTC"
    yield f"mail      {_mail(config)}"
    yield f"sms       {_sms(config)}"
    yield f"letters   {_waits(config.letters.sink) or f'{config.letters.sink} {config.letters.folder}'}"
    if config.home_assistant.wanted:
        yield f"home      {_home(config)}"
    yield from (
        f"sender    {one.manager}: {one.name or 'as in the directory'}, mail {one.mail or 'as all'}, sms {one.sms or 'as all'}"
        for one in config.sender
    )
    for one in config.portal:
        known = load_portal(one.name, one.file)
        yield f"portal    {one.host}: {known.name} for {one.manager}, {', '.join(known.locales)}, {', '.join(sorted(known.flows))}"
    yield f"api       {f'http://{config.api.host}:{config.api.port}' if config.api.enabled else 'off'}"
    yield f"metrics   {f'http://{config.metrics.host}:{config.metrics.port}/metrics' if config.metrics.enabled else 'off'}"
    yield "ok"


def _master_key(config: Config) -> str:
    if config.keys.master_key_env:
        return f"from the environment, {config.keys.master_key_env}"
    return str(config.keys.master_key_file or "none: only meters without encryption can be read")


def _home(config: Config) -> str:
    from submeter.home import verify  # noqa: PLC0415 - most show nothing there

    verify(config)
    ours = config.home_assistant
    user = f"{ours.username}@" * bool(ours.username)
    patterns = (f"{name} {', '.join(of)}" for name, of in (("properties", ours.properties), ("units", ours.units), ("points", ours.points)) if of)
    return f"{'mqtts' if ours.tls else 'mqtt'}://{user}{ours.host}:{ours.port} as {ours.client_id}: {'; '.join(patterns)}"


def _mail(config: Config) -> str:
    settings = config.mail
    user = f"{settings.username}@" * bool(settings.username)
    server = f"smtp {user}{settings.host}:{settings.port} ({settings.tls}) from {settings.sender}"
    return _waits(settings.sink) or (server if settings.sink == "smtp" else f"{settings.sink} {settings.folder}")


def _sms(config: Config) -> str:
    settings = config.sms
    return _waits(settings.sink) or (f"{settings.method} {settings.url}" if settings.sink == "http" else f"{settings.sink} {settings.folder}")


def _waits(sink: str) -> str:
    return "none: what is to be sent waits in the outbox" if sink == "none" else ""


def _broker(broker: Broker) -> str:
    user = f"{broker.username}@" * bool(broker.username)
    return f"{broker.name}: {'mqtts' if broker.tls else 'mqtt'}://{user}{broker.host}:{broker.port} as {broker.client_id}, {', '.join(broker.topics)}"


def _port(port: SerialPort) -> str:
    settings = serial_of(port)
    baud = settings.baud or (KINDS[settings.kind].baud if settings.kind != "auto" else "its usual rate")
    what = port.format if port.kind == "lines" else f"{port.kind}{f' set to {port.mode}' if port.mode else ''}"
    return f"{port.name}: {port.command or f'{port.port} at {baud}'}, {what}, gateway {settings.gateway}"
