"""The semantics once more, written from SPEC 2 to 9 alone: slow, plain, sharing nothing with the package but the text of a case.

Strategy: a case (SPEC 10) in, the answer of the conformance command out. Numbers are Fractions, instants seconds since 1970 as Fractions; the civil
grid is found by looking at every quarter of an hour. It exists so that a wrong reading of the specification has to be made twice to go unseen.
"""

import itertools
from bisect import bisect
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

LEVELS = ("hour", "day", "month", "year")
QUARTER = 900
RANKS = ("correction", "manual", "live", "historic", "self", "substitute")
UNITS = {"S": 1, "M": 60, "H": 3600}


def answer(case):
    """``{"id", "rows", "dropped", "pending"}`` after the last batch."""
    register = case["register"]
    zone, start = case["tz"], register.get("year_start", "01-01")
    readings = [Reading(r, zone, n) for n, r in enumerate(r for batch in case["batches"] for r in batch["readings"])]
    kept, dropped = chosen(readings)
    if register.get("kind") == "gauge":
        rows = {level: list(gauge_rows(kept, register, grid(level, zone, start, *reach(kept)))) if kept else [] for level in LEVELS}
        return {"id": case.get("id"), "rows": rows, "dropped": dropped, "pending": False}
    exchanges = [(instant(x["at"]), number(x.get("end")), number(x.get("start"))) for x in case.get("exchanges") or ()]
    walk = Walk(kept, exchanges, register, zone)
    walk.all()
    segments = rated(walk.segments, [(instant(t), Fraction(k)) for t, k in register.get("factors") or ()])
    gap = duration(register.get("max_gap", "PT2H"))
    rows = {
        level: list(counter_rows(segments, gap, grid(level, zone, start, segments[0].t1, segments[-1].t2))) if segments else [] for level in LEVELS
    }
    return {"id": case.get("id"), "rows": rows, "dropped": dropped + walk.dropped, "pending": walk.pending}


# Inputs (2)


def instant(text):
    """Seconds since 1970."""
    return Fraction((datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 10**6)


def number(text):
    """A decimal text as a number, None as it is."""
    return None if text is None else Fraction(text)


def duration(text):
    """Seconds of PTnS, PTnM, PTnH, PnD."""
    return int(text[2:-1]) * UNITS[text[-1]] if text[1] == "T" else int(text[1:-1]) * 86400


class Reading:
    """One reading of 2.2."""

    def __init__(self, given, zone, arrival):
        stored = given.get("stored_date")
        self.src = given.get("src", "live" if stored is None else "historic")
        self.t = instant(given["t"]) if "t" in given else stored_instant(date.fromisoformat(stored), zone)
        self.v = number(given.get("v"))
        self.usable = self.v is not None and given.get("status") not in {"permanent_error", "invalid"}
        self.due, self.dev, self.seq = bool(given.get("due")), given.get("dev"), given.get("seq", 0)
        self.pinned, self.arrival, self.rank = bool(given.get("pinned")), arrival, RANKS.index(self.src)


def stored_instant(day, zone):
    """2.3: the first of a month is its start, any other day its end."""
    return first_instant(zone, day if day.day == 1 else day + timedelta(days=1))


# The grid (3)


@cache
def quarters(zone, year):
    """(instant, local time) of each quarter of an hour of a year and a day around it."""
    begin = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) - 86400
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp()) + 86400
    return [(t, datetime.fromtimestamp(t, UTC).astimezone(ZoneInfo(zone))) for t in range(begin, end, QUARTER)]


@cache
def firsts(zone, year):
    """The first instant of each local date seen in a year."""
    found = {}
    for t, local in quarters(zone, year):
        found.setdefault(local.date(), t)
    return {day: t for day, t in found.items() if day.year == year}


def first_instant(zone, day):
    """The first instant of a local date."""
    return firsts(zone, day.year)[day]


@cache
def boundaries(level, zone, year_start, year):
    """All boundaries of a level in a local year."""
    begins = firsts(zone, year)
    days = set(begins.values())
    if level == "hour":
        return sorted({t for t, local in quarters(zone, year) if local.year == year and local.minute == 0} | days)
    if level == "day":
        return sorted(days)
    months = [t for day, t in sorted(begins.items()) if day.day == 1]
    return months if level == "month" else [begins[date(year, int(year_start[:2]), 1)]]


def grid(level, zone, year_start, first, last):
    """Neighbouring boundaries whose buckets may hold anything between two instants."""
    years = range(datetime.fromtimestamp(int(first), UTC).year - 1, datetime.fromtimestamp(int(last), UTC).year + 3)
    bounds = [u for year in years for u in boundaries(level, zone, year_start, year)]
    bounds = bounds[max(bisect(bounds, first) - 2, 0) : bisect(bounds, last) + 2]
    return list(itertools.pairwise(bounds))


def reach(kept):
    """First and last instant."""
    return kept[0].t, kept[-1].t


# From readings to events (4)


def chosen(readings):
    """R, and the reasons of what is dropped."""
    dropped, kept = ["status" for r in readings if not r.usable], []
    for r in sorted((r for r in readings if r.usable), key=lambda r: (r.t, not r.due, r.rank, -r.seq, r.arrival)):
        last = kept[-1] if kept else None
        if last and (last.t, last.dev, last.due) == (r.t, r.dev, r.due):
            dropped.append("duplicate" if last.v == r.v else "conflict")
        else:
            kept.append(r)
    real = [r.t for r in kept if r.src != "substitute"]
    gone = [r for r in kept if real and r.src == "substitute" and not r.pinned and real[0] < r.t < real[-1]]
    return [r for r in kept if r not in gone], dropped + ["superseded"] * len(gone)


# The classifier (5)


class Segment:
    """Known use between two anchors."""

    def __init__(self, t1, v1, t2, v2, flags=(), *, lossy=False, est=False):
        self.t1, self.v1, self.t2, self.v2, self.flags, self.lossy, self.est = t1, v1, t2, v2, frozenset(flags), lossy, est


OPEN = "open"
DUE, SET_DAY, EXCHANGE, OTHER = range(4)


class Walk:
    """Walks over the events of one counter."""

    def __init__(self, kept, exchanges, register, zone):
        self.period = register.get("kind") == "period"
        self.resolution = Fraction(register.get("resolution", "0.001"))
        self.modulus, self.rate = number(register.get("modulus")), number(register.get("max_rate_per_h"))
        self.window, self.confirm = duration(register.get("confirm_window", "PT24H")), register.get("confirm_n", 2)
        self.tolerance = Fraction(register["dip_tolerance"]) if "dip_tolerance" in register else 2 * self.resolution
        self.resettable = register.get("resettable", False)
        self.anchor, self.V, self.segments, self.dropped, self.pending = None, Fraction(0), [], [], False
        self.events = [(r.t, DUE if r.due else OTHER, r) for r in kept]
        if kept:
            self.events += [(x[0], EXCHANGE, x) for x in exchanges]
            if self.period and register.get("set_day"):
                self.events += [(t, SET_DAY, None) for t in set_days(register["set_day"], zone, kept[0].t, kept[-1].t)]
        self.events.sort(key=lambda event: event[:2])

    def all(self):
        """Every event until the end, or until nothing can be decided."""
        i = 0
        while i < len(self.events) and not self.pending:
            t, kind, what = self.events[i]
            if kind == SET_DAY:
                self.set_day(t)
            elif kind == EXCHANGE:
                self.exchange(*what)
            else:
                i = self.reading(i, t, what)
                continue
            i += 1

    def emit(self, t, v, total, flags=(), *, lossy=False, est=False):
        if self.anchor and t > self.anchor[0]:
            self.segments.append(Segment(self.anchor[0], self.V, t, total, flags, lossy=lossy, est=est))
        self.anchor, self.V = (t, v), total

    def set_day(self, t):
        if self.anchor[0] == t:
            self.anchor = (t, Fraction(0))
        else:
            self.emit(t, Fraction(0), self.V, ["reset_unknown"], lossy=True)

    def exchange(self, t, end, start):
        if self.anchor is None:
            return
        if end is not None:
            self.emit(t, None, self.V + max(end - self.anchor[1], 0), ["exchange"])
        else:
            self.emit(t, None, self.V, ["exchange", "exchange_unknown"], lossy=True)
        self.anchor = (t, OPEN if start is None else start)

    def plausible(self, step, t1, t2):
        return step < 0 or self.rate is None or step <= self.rate * (t2 - t1) / 3600 + self.resolution

    def ahead(self, i):
        found = []
        for j in range(i + 1, len(self.events)):
            if self.events[j][1] != OTHER:
                break
            found.append(j)
        return found

    def near(self, i):
        return [j for j in self.ahead(i) if self.events[j][0] - self.events[i][0] <= self.window]

    def decided(self, i):
        breaks = any(kind != OTHER for _, kind, _ in self.events[i + 1 :])
        late = any(self.events[j][0] > self.events[i][0] + self.window for j in self.ahead(i))
        return len(self.near(i)) >= self.confirm or breaks or late

    def value(self, j):
        return self.events[j][2].v

    def reading(self, i, t, r):
        """Table 5.3; returns where to go on."""
        v, after = r.v, Fraction(0) if r.due and self.period else r.v
        if self.anchor is None:
            self.anchor = (t, after)
            return i + 1
        a_t, a_v = self.anchor
        if a_v == OPEN:
            self.emit(t, v, self.V, ["exchange", "exchange_unknown"], lossy=True)
            return i + 1
        if t == a_t:
            return i + 1
        d = v - a_v
        if d >= 0 and self.plausible(d, a_t, t):
            self.emit(t, after, self.V + d, est=r.src == "substitute")
            return i + 1
        return self.rising(i, t, v, d) if d >= 0 else self.falling(i, t, v, d)

    def rising(self, i, t, v, d):
        a_t, a_v = self.anchor
        for j in self.near(i):
            if a_v <= self.value(j) < v and self.plausible(self.value(j) - a_v, a_t, self.events[j][0]):
                self.dropped += ["spike"] * (j - i)
                return j
        if not self.decided(i):
            self.pending = True
            return i
        self.emit(t, v, self.V, ["suspect_jump"], lossy=True)
        return i + 1

    def falling(self, i, t, v, d):
        a_t, a_v = self.anchor
        m = self.modulus
        if m is not None and a_v >= Fraction(9, 10) * m and v <= Fraction(1, 10) * m and v + m - a_v >= 0 and self.plausible(v + m - a_v, a_t, t):
            self.emit(t, v, self.V + v + m - a_v, ["rollover"])
            return i + 1
        if -d <= self.tolerance:
            self.dropped.append("dip")
            return i + 1
        for j in self.near(i):
            if self.value(j) >= a_v - self.tolerance and self.plausible(self.value(j) - a_v, a_t, self.events[j][0]):
                if self.resettable and self.climb(i, j):
                    break
                self.dropped += ["glitch"] * (j - i)
                return j
        if not self.decided(i):
            self.pending = True
            return i
        if self.resettable and self.plausible(v, a_t, t):
            self.emit(t, v, self.V + v, ["reset"], lossy=True)
        else:
            self.emit(t, v, self.V, ["suspect_exchange"], lossy=True)
        return i + 1

    def climb(self, i, j):
        steps = [(self.value(k + 1) - self.value(k), self.events[k][0], self.events[k + 1][0]) for k in range(i, j)]
        return all(self.plausible(*step) for step in steps)


def set_days(rule, zone, first, last):
    """Every restart between two instants."""
    years = range(datetime.fromtimestamp(int(first), UTC).year - 1, datetime.fromtimestamp(int(last), UTC).year + 2)
    if rule == "month":
        found = [first_instant(zone, date(year, month, 1)) for year in years for month in range(1, 13)]
    else:
        found = [first_instant(zone, date(year, int(rule[:2]), int(rule[3:])) + timedelta(days=1)) for year in years]
    return [t for t in found if first < t <= last]


# Rating factors (6)


def rated(segments, factors):
    """Segments cut at each factor, times the factor, summed anew."""
    if not factors:
        return segments
    found, total = [], Fraction(0)
    for one in segments:
        cuts = [one.t1, *(t for t, _ in factors if one.t1 < t < one.t2), one.t2]
        for t1, t2 in itertools.pairwise(cuts):
            k = ([k for t, k in factors if t <= t1] or [factors[0][1]])[-1]
            use = (one.v2 - one.v1) * (t2 - t1) / (one.t2 - one.t1) * k
            found.append(Segment(t1, total, t2, total + use, one.flags, lossy=one.lossy, est=one.est or len(cuts) > 2))
            total += use
    return found


# Rows (7, 8, 9)


def r6(x):
    """Half-even to six places."""
    return Fraction(round(x * 10**6), 10**6)


def text(x, places=6):
    """A decimal text of 8; None as it is."""
    if x is None:
        return None
    whole = round(x * 10**places)
    sign, whole = "-" * (whole < 0), abs(whole)
    digits = f"{whole // 10**places}.{whole % 10**places:0{places}d}".rstrip("0").rstrip(".")
    return sign + digits


def iso(t):
    """An instant of 8."""
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def index(segments, u):
    """B, V-, V+ at an instant, not rounded."""
    if u <= segments[0].t1:
        return (segments[0].v1,) * 3
    for one in segments:
        if one.t1 < u < one.t2:
            return one.v1 + (one.v2 - one.v1) * (u - one.t1) / (one.t2 - one.t1), one.v1, one.v2
        if u == one.t2:
            return (one.v2,) * 3
    return (segments[-1].v2,) * 3


def counter_rows(segments, gap, buckets):
    """Rows of one level."""
    first, last = segments[0].t1, segments[-1].t2
    for s, e in buckets:
        if not (e > first and s < last):
            continue
        over = [one for one in segments if one.t1 < e and one.t2 > s]
        (b0, low0, high0), (b1, low1, high1) = index(segments, s), index(segments, e)
        lossy = any(one.lossy for one in over)
        heard = sum(min(one.t2, e) - max(one.t1, s) for one in over if not one.lossy and not one.est and one.t2 - one.t1 <= gap)
        row = {
            "start": iso(s), "end": iso(e), "value": text(r6(b1) - r6(b0)), "lo": text(max(Fraction(0), r6(low1) - r6(high0))),
            "hi": None if lossy else text(r6(high1) - r6(low0)), "coverage": text(Fraction(heard) / (e - s), 4),
            "quality": quality(segments, s, e, gap, lossy=lossy),
        }  # fmt: skip
        flags = sorted({flag for one in over for flag in one.flags})
        yield row | ({"flags": flags} if flags else {})


def quality(segments, s, e, gap, *, lossy):
    """The word that applies first."""
    if s < segments[0].t1 or e > segments[-1].t2 or lossy:
        return "incomplete"
    split = any(one.t1 < u < one.t2 and (one.est or one.t2 - one.t1 > gap) for one in segments for u in (s, e))
    touched = any(one.est and (one.t2 in {s, e} or one.t1 == s) for one in segments)
    return "estimated" if split or touched else "measured"


def gauge_rows(kept, register, buckets):
    """Rows of one level."""
    gap, hold = duration(register.get("max_gap", "PT2H")), register.get("mode") == "hold"
    pairs = [(a, b) for a, b in itertools.pairwise(kept) if 0 < b.t - a.t <= gap]
    for s, e in buckets:
        inside = [r.v for r in kept if s <= r.t < e]
        covered = integral = Fraction(0)
        for a, b in pairs:
            t1, t2 = max(a.t, s), min(b.t, e)
            if t1 < t2:
                left, right = (a.v if hold else a.v + (b.v - a.v) * (t - a.t) / (b.t - a.t) for t in (t1, t2))
                covered += t2 - t1
                integral += (left + right) / 2 * (t2 - t1)
        if inside or covered:
            yield {
                "start": iso(s), "end": iso(e), "mean": text(integral / covered) if covered else None, "min": text(min(inside, default=None)),
                "max": text(max(inside, default=None)), "n": len(inside), "coverage": text(covered / (e - s), 4),
            }  # fmt: skip
