"""What was refused is in the audit, and nobody fills the disk with it: the first five of a kind are rows, further ones a count (portal FLOWS 10: 43)."""

import pytest

from submeter.api.refusals import ROWS, TOGETHER, Refusals
from submeter.store import Registry
from submeter.store.audit import ORIGIN, Origin


class There:
    """Refusals over a registry, with a clock that tests move; `kept` are the rows that were written since the last look."""

    def __init__(self, registry):
        self.now, self.registry, self.seen = 10**15, registry, 0
        self.refusals = Refusals(registry, lambda: self.now)

    def note(self, actor="token:k", action="units", subject="u", reason="not-visible", **more):
        self.refusals.note(actor, action, subject, reason, **more)

    def kept(self):
        rows = self.registry.trail.find(after=self.seen)
        self.seen = rows[-1].id if rows else self.seen
        return [(one.actor, one.action, one.subject, one.detail, one.outcome) for one in rows]


@pytest.fixture
def there(tmp_path):
    """An empty registry, asked from 192.0.2.0/24 at the host of manager m."""
    token = ORIGIN.set(Origin("r_1", "192.0.2.0/24", "m", purpose="self"))
    with Registry(tmp_path / "registry.sqlite") as registry:
        yield There(registry)
    ORIGIN.reset(token)


def test_the_first_five_are_rows(there):
    """Each with its object; the sixth and those after it are not."""
    for number in range(ROWS + 3):
        there.note(subject=f"u{number}")
    assert there.kept() == [("token:k", "units", f"u{number}", "not-visible", "refused") for number in range(ROWS)]


@pytest.mark.parametrize("other", [{"actor": "token:other"}, {"action": "meters"}, {"reason": "forbidden-scope"}, {"outcome": "failed"}])
def test_who_what_why_and_the_outcome_make_a_kind(there, other):
    """Another one has five rows of its own; another object has not."""
    for _ in range(ROWS):
        there.note()
    there.kept()
    there.note(**other)
    there.note(subject="elsewhere")
    assert len(there.kept()) == 1


@pytest.mark.parametrize(
    ("more", "later", "said"),
    [(0, TOGETHER, []), (1, TOGETHER - 1, []), (1, TOGETHER, ["not-visible: 1 more times"]), (7, TOGETHER, ["not-visible: 7 more times"])],
)
def test_the_count_is_written_with_the_next_refusal_of_any_kind(there, more, later, said):
    """Ten minutes after the first one, if there were more than rows; then the kind begins anew."""
    for _ in range(ROWS + more):
        there.note()
    there.kept()
    there.now += later
    there.note(action="another")
    assert [detail for _, action, _, detail, _ in there.kept() if action == "units"] == said
    there.note()
    assert len(there.kept()) == (0 if later < TOGETHER else 1)


def test_strangers_are_known_by_their_network(there):
    """Without a name the /24 is who asked; the tenant is that of the host, or the one that is named."""
    there.note(actor="")
    there.note(actor="", action="login.refused", manager="other")
    assert [one[0] for one in there.kept()] == ["network:192.0.2.0/24"] * 2
    assert [one.manager for one in there.registry.trail.find()] == ["m", "other"]


def test_more_kinds_than_are_told_apart_are_one(there, monkeypatch):
    """Beyond the bound all share five rows, and are counted under nobody's name."""
    monkeypatch.setattr("submeter.api.refusals.MOST", 3)
    for number in range(3 + ROWS + 2):
        there.note(actor=f"token:{number}")
    assert [actor for actor, *_ in there.kept()] == [f"token:{number}" for number in range(3 + ROWS)]
    there.now += TOGETHER
    there.note()
    assert there.kept()[0] == ("anyone", "anything", "", "refused: 2 more times", "refused")
