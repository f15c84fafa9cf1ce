"""The words of a statement of consumption, in six languages. A test holds the languages to the same names."""

# ruff: noqa: RUF001 - Russian letters look like others

from typing import Final

__all__ = ["WORDS"]

_NAMES: Final = [
    "title",
    "unit",
    "property",
    "period",
    "until",
    "month",
    "value",
    "bounds",
    "quality",
    "start",
    "end",
    "flags",
    "measured",
    "estimated",
    "incomplete",
    "unknown",
    "none",
    "cold_water",
    "hot_water",
    "heat",
    "cooling",
    "heat_allocation",
    "energy",
    "method",
    "look",
]
_TEXTS: Final = {
    "cs": [
        "Výpis spotřeby", "Jednotka", "Objekt", "Období", "Odečty do", "Měsíc", "Spotřeba", "Meze", "Kvalita", "Stav na začátku", "Stav na konci", "Poznámky",
        "změřeno", "odhad", "neúplné", "není známo", "Za toto období nejsou údaje.", "Studená voda", "Teplá voda", "Teplo", "Chlad", "Rozdělovač nákladů",
        "Energie",
        "Spotřeba je rozdíl odečtů na hranicích měsíců. Kde hranice leží v mezeře mezi odečty, je stav dopočten a označen jako odhad; meze plynou ze sousedních odečtů.",
        "Tyto údaje na portálu:",
    ],
    "sl": [
        "Izpis porabe", "Enota", "Objekt", "Obdobje", "Odčitki do", "Mesec", "Poraba", "Meje", "Kakovost", "Stanje na začetku", "Stanje na koncu", "Opombe",
        "izmerjeno", "ocena", "nepopolno", "ni znano", "Za to obdobje ni podatkov.", "Hladna voda", "Topla voda", "Toplota", "Hlajenje", "Delilnik stroškov",
        "Energija",
        "Poraba je razlika odčitkov na mejah mesecev. Kjer meja leži v vrzeli med odčitki, je stanje izračunano in označeno kot ocena; meje izhajajo iz sosednjih odčitkov.",
        "Ti podatki na portalu:",
    ],
    "nb": [
        "Forbruksoversikt", "Enhet", "Eiendom", "Periode", "Avlesninger til", "Måned", "Forbruk", "Grenser", "Kvalitet", "Stand ved start", "Stand ved slutt", "Merknader",
        "målt", "anslått", "ufullstendig", "ukjent", "Det finnes ingen data for perioden.", "Kaldtvann", "Varmtvann", "Varme", "Kjøling", "Varmefordeler",
        "Energi",
        "Forbruket er forskjellen mellom avlesningene ved månedsskiftene. Der skiftet ligger i et hull mellom avlesninger, er standen beregnet og merket som anslått; grensene følger av nærmeste avlesninger.",
        "Disse dataene på portalen:",
    ],
    "ru": [
        "Выписка о потреблении", "Помещение", "Объект", "Период", "Показания до", "Месяц", "Потребление", "Границы", "Качество", "На начало", "На конец", "Примечания",
        "измерено", "оценка", "неполно", "неизвестно", "За этот период данных нет.", "Холодная вода", "Горячая вода", "Тепло", "Холод", "Распределитель тепла",
        "Энергия",
        "Потребление — разность показаний на границах месяцев. Если граница лежит в промежутке без показаний, значение рассчитано и отмечено как оценка; границы следуют из соседних показаний.",
        "Эти данные на портале:",
    ],
    "en": [
        "Statement of consumption", "Unit", "Property", "Period", "Readings until", "Month", "Consumption", "Bounds", "Quality", "Index at start", "Index at end", "Remarks",
        "measured", "estimated", "incomplete", "unknown", "There are no data of this period.", "Cold water", "Hot water", "Heat", "Cooling", "Heat cost allocator",
        "Energy",
        "Consumption is the difference of the readings at the edges of months. Where an edge lies in a gap between readings, the index is calculated and marked as estimated; the bounds follow from the neighbouring readings.",
        "These data at the portal:",
    ],
    "de": [
        "Verbrauchsaufstellung", "Einheit", "Liegenschaft", "Zeitraum", "Ablesungen bis", "Monat", "Verbrauch", "Grenzen", "Qualität", "Stand am Anfang", "Stand am Ende", "Hinweise",
        "gemessen", "geschätzt", "unvollständig", "unbekannt", "Für diesen Zeitraum gibt es keine Daten.", "Kaltwasser", "Warmwasser", "Wärme", "Kälte", "Heizkostenverteiler",
        "Energie",
        "Der Verbrauch ist die Differenz der Ablesungen an den Monatsgrenzen. Liegt eine Grenze in einer Lücke zwischen Ablesungen, ist der Stand berechnet und als geschätzt bezeichnet; die Grenzen folgen aus den benachbarten Ablesungen.",
        "Diese Daten im Portal:",
    ],
}  # fmt: skip
#: By language and name.
WORDS: Final = {locale: dict(zip(_NAMES, texts, strict=True)) for locale, texts in _TEXTS.items()}
