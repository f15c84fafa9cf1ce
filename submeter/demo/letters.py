"""The letters of a demo: a claim for each unit, of the kind that its portal asks for, made by the operator's own route (`POST /v1/claims`)."""

from collections.abc import Iterator
from typing import Any

from submeter.demo.asking import Asking
from submeter.demo.folder import Demo, Letter
from submeter.simulate.building import Building, Flat
from submeter.simulate.world import COMPANIES, Company

__all__ = ["account_no", "printed"]


def printed(demo: Demo, asking: Asking) -> Iterator[Letter]:
    """Make the claims of all units, and tell what is printed of them."""
    for company in COMPANIES:
        building = demo.world.buildings[company.id]
        labels = {flat.id: flat.label for flat in building.flats}
        wanted = [one for number, flat in enumerate(building.flats, 1) for one in _claims(company, building, flat, number)]
        for told in asking.post(company.id, "/v1/claims", {"claims": wanted})["claims"]:
            yield Letter(company.portal, company.id, company.host, told["unit"], labels[told["unit"]], told["kind"], told["fields"])


def account_no(building: Building, number: int) -> str:
    """The account of the building's flat of this number, ten digits."""
    return f"{8_640_000_000 + 1000 * building.places[0].meter.use.seed % 10**6 + number}"


def _claims(company: Company, building: Building, flat: Flat, number: int) -> Iterator[dict[str, Any]]:
    """What is wanted for a flat: fields that its bill or contract has, secrets are made by the route."""
    account = account_no(building, number)
    match company.portal:
        case "inmes":
            yield {"unit": flat.id, "kind": "one_time_credentials"}
        case "iiportal":
            yield {"unit": flat.id, "kind": "bill", "fields": {"payer_id": account[-6:]}}
        case "impreso":
            yield {"unit": flat.id, "kind": "metering_point", "fields": {"facility_no": account[-6:], "metering_point_id": f"70705750{account}"}}
        case "infoyugra":
            yield {"unit": flat.id, "kind": "registration_code", "fields": {"account_no": account, "city": "Ханты-Мансийск"}}
        case "inkomus":
            yield {"unit": flat.id, "kind": "office_password", "fields": {"account_no": account}}
            place = next(place for place in building.places if place.flat == flat.id)
            meter = {"account_no": account, "meter_no": place.meter_at(2**62).device.id}
            yield {"unit": flat.id, "kind": "meter_number", "fields": meter, "meter": place.id}
