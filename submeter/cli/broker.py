"""The broker: the files that make it keep what it acknowledged, and test messages that prove it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from submeter.broker_config import PLUGIN, Places, acl, mosquitto_conf, plugin_folder
from submeter.cli.operate import ConfigFile
from submeter.config import Broker, Config, load
from submeter.errors import SubmeterError

__all__ = ["broker_check", "broker_config"]

#: Environment variable with the secret of the gateway that `broker-check --gateway` tries.
SECRET = "SUBMETER_GATEWAY_SECRET"  # noqa: S105 - its name
DEFAULTS = Places()


def broker_config(
    *,
    version: Annotated[Literal["2.0", "2.1"], typer.Option("--for", help="the version of mosquitto")] = "2.0",
    part: Annotated[Literal["all", "conf", "acl"], typer.Option(help="print one of the two files alone")] = "all",
    etc: Annotated[Path, typer.Option(help="where submeter.passwd and submeter.acl are")] = DEFAULTS.etc,
    data: Annotated[Path, typer.Option(help="where the broker keeps sessions and queues")] = DEFAULTS.data,
    certs: Annotated[Path | None, typer.Option(help="where ca.crt, server.crt and server.key are; default: certs in --etc")] = None,
    plugins: Annotated[Path | None, typer.Option(help="where mosquitto 2.1 has its plugins; default: looked for")] = None,
    port: Annotated[int, typer.Option(help="of those with certificates")] = DEFAULTS.port,
    password_port: Annotated[int, typer.Option(help="of those with passwords")] = DEFAULTS.password_port,
    address: Annotated[str, typer.Option(help="the interface to listen on; default: all")] = DEFAULTS.address,
    sender: Annotated[list[str] | None, typer.Option(help="a user that writes a foreign topic, e.g. --sender esp=wmbus/#; may be repeated")] = None,
    config: ConfigFile = None,
) -> None:
    """Print mosquitto.conf and the access control list that go with submeter."""
    found = plugins or plugin_folder()
    if version == "2.1" and found is None and part != "acl":
        typer.echo(f"{PLUGIN} was not found on this machine: put the folder that has it in by --plugins", err=True)
    places = Places(etc, data, certs or etc / "certs", found or DEFAULTS.plugins, port, password_port, address)
    topics = [topic for broker in load(config).mqtt for topic in broker.topics]
    if part != "acl":
        typer.echo(mosquitto_conf(version, places))
    if part == "all":
        typer.echo(f"# {etc}/submeter.acl (`--part acl` prints it alone); {etc}/submeter.passwd is what `submeter gateway passwords` prints\n")
    if part != "conf":
        typer.echo(acl(topics, [_sender(text) for text in sender or ()]))


def broker_check(
    *,
    name: Annotated[str | None, typer.Option("--broker", help="which [[mqtt]], by its name; default: the only one")] = None,
    gateway: Annotated[str | None, typer.Option(help=f"prove what this gateway may write too; its secret is asked for, or in {SECRET}")] = None,
    gateway_port: Annotated[int | None, typer.Option(help="where gateways with passwords come in; default: as the collector")] = None,
    queued: Annotated[int, typer.Option(min=1, help="how many messages wait for a collector that is away")] = 2000,
    config: ConfigFile = None,
) -> None:
    """Prove by test messages that the broker keeps sessions and queues, and that nobody can send in another's name; exit status 1 if not."""
    from submeter.broker_check import check  # noqa: PLC0415 - other commands need no broker
    from submeter.collectors import mqtt_settings  # noqa: PLC0415

    settings = mqtt_settings(_broker(load(config), name))
    other = None
    if gateway:
        secret = os.environ.get(SECRET) or typer.prompt(f"Secret of {gateway}", hide_input=True)
        other = replace(settings, username=gateway, password=secret, port=gateway_port or settings.port, cert_file=None, key_file=None)
    failed = False
    for finding in check(settings, gateway=other, queued=queued):
        failed |= not finding.ok
        typer.echo(str(finding))
    if failed:
        raise typer.Exit(1)


def _sender(text: str) -> tuple[str, str]:
    user, _, topic = text.partition("=")
    if not user or not topic:
        raise typer.BadParameter(f"{text!r}: write USER=TOPIC, e.g. --sender esp=wmbus/#")
    return user, topic


def _broker(config: Config, name: str | None) -> Broker:
    found = [one for one in config.mqtt if name in {None, one.name}]
    if len(found) != 1:
        raise SubmeterError(f"which broker? pipeline.toml has {', '.join(one.name for one in config.mqtt) or 'no [[mqtt]]'}: write --broker NAME")
    return found[0]
