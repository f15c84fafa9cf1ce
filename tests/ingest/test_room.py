"""When a disk is short of room: both limits of each side, and what lies between them (ingest/INBOX.md 6)."""

import pytest

from submeter.ingest.room import Room

GIB = 1 << 30
BIG, SMALL = 100 * GIB, GIB

#: Size of the disk, free bytes one look after another → whether it is short.
LOOKS = [
    (BIG, [GIB, GIB - 1, GIB, 1_400 << 20], [False, True, True, False]),  # 1 GiB and 1.4 GiB of a big one
    (BIG, [GIB - 1, (1_400 << 20) - 1, 1_400 << 20, GIB, GIB - 1], [True, True, False, False, True]),
    (SMALL, [SMALL // 20, SMALL // 20 - 1, SMALL // 20, SMALL * 7 // 100], [False, True, True, False]),  # 5 % and 7 % of a small one
    (SMALL, [0, SMALL * 7 // 100 - 1, SMALL], [True, True, False]),
]


@pytest.mark.parametrize(("size", "free", "short"), LOOKS)
def test_a_disk_is_short_below_one_limit_and_has_room_from_another(size, free, short):
    """Whichever is less of share and bytes; between the limits it stays what it was."""
    seconds, left = iter(range(100)), iter(free)
    room = Room("disk", lambda _: (size, 0, next(left)), lambda: float(next(seconds)))
    assert [room.short for _ in free] == short


def test_a_disk_is_looked_at_once_a_second():
    """In between the last look holds; how much is free is asked anew."""
    moments, looked = iter([5.0, 5.999, 6.0]), []

    def usage(folder):
        looked.append(folder)
        return BIG, 0, 0 if len(looked) == 1 else BIG

    room = Room("disk", usage, lambda: next(moments))
    assert [room.short, room.short] == [True, True]
    assert (room.short, looked) == (False, ["disk"] * 2)
    assert room.free() == BIG


def test_a_disk_that_cannot_be_asked_is_not_short():
    """The commit will tell; how much is free is not known."""

    def usage(_folder):
        raise OSError("gone")

    room = Room("disk", usage)
    assert (room.short, room.free()) == (False, None)
