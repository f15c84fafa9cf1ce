"""Words that residents read: dates, months, numbers, classes of meters and kinds of events, in the languages of messages. Pure, nothing is opened.

Rules: what stands here is for people; programs read ISO dates, UCUM codes and the kinds themselves. Every table has every language of LOCALES.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from submeter.config.texts import LOCALES

__all__ = ["CLASSES", "EVENTS", "amount", "day", "instant", "month"]

_MONTHS: Final = {
    "cs": "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
    "sl": "januar februar marec april maj junij julij avgust september oktober november december",
    "nb": "januar februar mars april mai juni juli august september oktober november desember",
    "ru": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
_DAYS: Final = {
    "cs": "{0.day}. {0.month}. {0.year}",
    "sl": "{0.day}. {0.month}. {0.year}",
    "nb": "{0.day}.{0.month}.{0.year}",
    "ru": "{0:%d.%m.%Y}",
    "en": "{0.day} {1} {0.year}",
    "de": "{0:%d.%m.%Y}",
}
Said = Mapping[str, str]


def _said(*texts: str) -> Said:
    return dict(zip(LOCALES, texts, strict=True))


#: Classes of points, in the order cs, sl, nb, ru, en, de; so are the events.
CLASSES: Final[Mapping[str, Said]] = {
    "cold_water": _said("studená voda", "hladna voda", "kaldt vann", "холодная вода", "cold water", "Kaltwasser"),
    "hot_water": _said("teplá voda", "topla voda", "varmt vann", "горячая вода", "hot water", "Warmwasser"),
    "heat": _said("teplo", "toplota", "varme", "тепло", "heat", "Wärme"),
    "cooling": _said("chlad", "hlajenje", "kjøling", "холод", "cooling", "Kälte"),
    "heat_allocation": _said("rozdělovač topných nákladů", "delilnik stroškov", "varmefordeler", "распределитель тепла", "heat allocator", "Heizkostenverteiler"),
    "energy": _said("elektřina", "elektrika", "strøm", "электроэнергия", "electricity", "Strom"),
}  # fmt: skip
#: Kinds of events that residents see; the others are an operator's business.
EVENTS: Final[Mapping[str, Said]] = {
    "leak": _said("možný únik vody", "morebitno puščanje vode", "mulig vannlekkasje", "возможная утечка воды", "water may be leaking", "Wasser läuft möglicherweise aus"),
    "burst": _said("nezvykle velký průtok", "nenavadno velik pretok", "uvanlig stor vannføring", "необычно большой расход", "far too much flow", "ungewöhnlich großer Durchfluss"),
    "backflow": _said("zpětný průtok", "povratni tok", "tilbakestrømning", "обратный поток", "backflow", "Rückfluss"),
    "dry": _said("v měřidle není voda", "v števcu ni vode", "ikke vann i måleren", "в счётчике нет воды", "no water in the meter", "kein Wasser im Zähler"),
    "tamper": _said("ovlivnění měřidla", "poseg v števec", "inngrep i måleren", "вмешательство в счётчик", "tampering with the meter", "Manipulation am Zähler"),
    "removed": _said("měřidlo bylo sejmuto", "števec je bil odstranjen", "måleren er fjernet", "счётчик снят", "the meter was taken off", "Zähler wurde abgenommen"),
    "silent": _said("měřidlo se neozývá", "števec se ne oglaša", "måleren svarer ikke", "счётчик не отвечает", "the meter is silent", "Zähler meldet sich nicht"),
    "low_battery": _said("slabá baterie", "šibka baterija", "lavt batteri", "разряжена батарея", "low battery", "schwache Batterie"),
    "power_low": _said("slabé napájení", "slabo napajanje", "lav spenning", "низкое питание", "low power", "schwache Versorgung"),
    "sensor_error": _said("porucha čidla", "napaka tipala", "sensorfeil", "неисправность датчика", "sensor fault", "Fühlerfehler"),
    "permanent_error": _said("porucha měřidla", "okvara števca", "feil på måleren", "неисправность счётчика", "meter fault", "Zählerfehler"),
    "exchange": _said("výměna měřidla", "zamenjava števca", "målerbytte", "замена счётчика", "meter exchanged", "Zählerwechsel"),
    "set_day": _said("den odečtu", "dan odčitka", "avlesningsdag", "день снятия показаний", "set day", "Stichtag"),
}  # fmt: skip


def day(locale: str, one: date) -> str:
    """A date as it is read: 3. 1. 2026."""
    return _DAYS[locale].format(one, _MONTHS[locale].split()[one.month - 1])


def month(locale: str, one: date) -> str:
    """A month as it is read: leden 2026."""
    return f"{_MONTHS[locale].split()[one.month - 1]} {one.year}"


def instant(locale: str, local: datetime) -> str:
    """A local time as it is read, to the minute."""
    return f"{day(locale, local.date())} {local:%H:%M}"


def amount(locale: str, number: Decimal, unit: str, decimals: int) -> str:
    """A number with so many decimals at most, and its unit."""
    text = f"{number:.{decimals}f}"
    return f"{text if locale == 'en' else text.replace('.', ',')} {unit}".rstrip()
