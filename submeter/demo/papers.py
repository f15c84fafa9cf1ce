"""What the managers' accounting pushes in a demo: an announcement, half a year of charges and payments, and last year's settlement as a PDF.

Everything goes through the operators' own routes; amounts follow from the unit and the month alone.
"""

import base64
from collections.abc import Iterator
from datetime import date
from typing import Any, Final, NamedTuple

from submeter import civil
from submeter.demo.asking import Asking
from submeter.demo.folder import Demo
from submeter.demo.letters import account_no
from submeter.pdf import Paper
from submeter.simulate.building import Building, Flat
from submeter.simulate.consumption import hashed
from submeter.simulate.world import COMPANIES

__all__ = ["push"]

MONTHS: Final = 6
#: How many flats of a house get last year's settlement.
SETTLED: Final = 2


class Words(NamedTuple):
    """What a manager writes: in which language and currency, its services with about what they cost a month, and its texts."""

    locale: str
    currency: str
    services: tuple[tuple[str, int], ...]
    settlement: str
    title: str
    text: str


WORDS: Final = {
    "inmes": Words("cs", "CZK", (("Teplo", 1400), ("Voda", 620)), "Vyúčtování {}", "Výměna vodoměrů",
                   "V příštím měsíci vyměníme vodoměry v přízemí. Prosíme o přístup v dohodnutém čase."),
    "sz-maribor": Words("sl", "EUR", (("Ogrevanje", 62), ("Voda", 21)), "Razdelilnik {}", "Zbor lastnikov",
                        "Zbor lastnikov bo prvi torek v mesecu ob 18. uri v kletnih prostorih."),
    "fjernvarme": Words("nb", "NOK", (("Fjernvarme", 21_500),), "Årsoppgjør {}", "Arbeid på nettet",
                        "Natt til onsdag arbeider vi på nettet i sentrum. Varmen kan være borte i to timer."),
    "yugra": Words("ru", "RUB", (("Отопление", 2100), ("Вода", 840)), "Расчёт за {} год", "Отключение горячей воды",
                   "В четверг с 10 до 16 часов горячей воды не будет: проверка оборудования."),  # noqa: RUF001 - Russian
    "inkomus": Words("ru", "RUB", (("Отопление", 2100), ("Вода", 840)), "Расчёт за {} год", "Показания счётчиков",
                     "Просим передать показания до 25 числа. Это можно сделать и без регистрации."),
}  # fmt: skip


def push(demo: Demo, asking: Asking) -> None:
    """Push all of it."""
    for company in COMPANIES:
        building, words = demo.world.buildings[company.id], WORDS[company.id]
        today = civil.local_date(building.zone, demo.world.end)
        asking.post(company.id, "/v1/announcements", {"audience": {}, "texts": {words.locale: {"title": words.title, "text": words.text}}})
        lines = [line for number, flat in enumerate(building.flats, 1) for line in _lines(words, flat, account_no(building, number), today)]
        asking.post(company.id, "/v1/balance", lines)
        for flat in building.flats[:SETTLED]:
            asking.post(company.id, "/v1/documents", _settlement(company.name, words, building, flat, today, demo.world.end))


def _lines(words: Words, flat: Flat, account: str, today: date) -> Iterator[dict[str, Any]]:
    """Charges of the last months, and what was paid for all but the newest."""
    month = today.replace(day=1)
    for back in range(MONTHS):
        month = civil.month_before(month)
        common = {"unit": flat.id, "account": account, "period": f"{month:%Y-%m}", "currency": words.currency, "holder": f"{month:%Y-%m}-20"}
        charges = [(service, about * (85 + hashed(flat.id, service, month.isoformat()) % 31) // 100) for service, about in words.services]
        for number, (service, amount) in enumerate(charges):
            yield common | {"id": f"{flat.id}-{month:%Y-%m}-{number}", "service": service, "kind": "charge", "amount": f"{amount}.00"}
        if back:
            paid = sum(amount for _, amount in charges)
            yield common | {"id": f"{flat.id}-{month:%Y-%m}-paid", "service": "", "kind": "payment", "amount": f"{paid}.00"}


def _settlement(company: str, words: Words, building: Building, flat: Flat, today: date, at: int) -> dict[str, Any]:
    """Last year's settlement of a flat."""
    year = today.year - 1
    title = words.settlement.format(year)
    paper = Paper(title, words.locale, at, company)
    paper.page(title)
    paper.paragraph(f"{building.name}\n{flat.label}")
    paper.table([(service, f"{12 * about} {words.currency}") for service, about in words.services], align=("L", "R"))
    return {
        "kind": "settlement", "title": title, "locale": words.locale, "audience": {"unit": flat.id},
        "period": {"from": f"{year}-01-01", "to": f"{year + 1}-01-01"}, "pdf": base64.b64encode(paper.made()).decode(),
    }  # fmt: skip
