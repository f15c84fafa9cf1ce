import csv
import tomllib

import pytest

from submeter.reading import DeviceId
from submeter.store import Assignment, DirectoryError, Occupancy, Registry, Vault, VaultError
from submeter.store.directory import import_directory
from submeter.store.directory_files import FILES

KEY = "00112233445566778899aabbccddeeff"
HOUSE = f"""
[[manager]]
name = "Teplo s.r.o."

[[property]]
id = "b_house"
manager = "Teplo s.r.o."
name = "Lipová 12"
zone = "Europe/Prague"

[[unit]]
id = "u_1"
property = "Lipová 12"
label = "1"

[[unit]]
property = "b_house"
label = "2"
entrance = "A"

[[point]]
id = "m_cold"
unit = "u_1"
quantity = "cold_water"
label = "kitchen"

[[point]]
unit = "2"
quantity = "heat"
registers = ["energy", "power"]
parameters = {{ max_gap = "PT6H", max_rate_per_h = "30" }}

[[point]]
property = "b_house"
quantity = "heat"
label = "main meter"

[[device]]
id = "AAA-12345678-1B-06"
key = "{KEY}"
mode = 5

[[device]]
id = "BBB-00000001-02-04"

[[assignment]]
point = "m_cold"
device = "AAA-12345678-1B-06"
from = 2024-01-01
to = 2024-03-31T10:00:00+02:00
end_value = "812.345"

[[assignment]]
point = "kitchen"
device = "BBB-00000001-02-04"
from = "2024-03-31T08:00:00Z"
start_value = "0.012"

[[occupancy]]
unit = "1"
name = "Nováková"
from = 2024-01-01
"""


@pytest.fixture
def registry(tmp_path):
    """A registry with a vault."""
    with Registry(tmp_path / "registry.sqlite", Vault.create(tmp_path / "master.key")) as opened:
        yield opened


@pytest.fixture
def house(tmp_path):
    """Write a directory file and return its path."""

    def write(text=HOUSE, name="house.toml"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def refused(registry, path):
    """What is said about an import that is refused, after checking that it changed nothing."""
    before = registry.units()
    with pytest.raises(DirectoryError) as caught:
        import_directory(registry, path)
    assert registry.units() == before
    return str(caught.value)


@pytest.mark.both_engines
def test_everything_is_there(registry, house):
    """A house described in TOML is in the registry, references by name or id resolved and local dates in the property's zone."""
    report = import_directory(registry, house())
    (manager,) = registry.managers()
    (building,) = registry.properties()
    assert (building.manager, building.year_start, building.finest) == (manager.id, "01-01", "hour")
    first, second = sorted(registry.units(), key=lambda unit: unit.label)  # their order is by id, and one id is made up
    assert (first.id, first.label, second.label, second.entrance) == ("u_1", "1", "2", "A")
    (heat,) = registry.points_of(second.id)
    assert (heat.registers, heat.parameters) == (("energy", "power"), {"max_gap": "PT6H", "max_rate_per_h": "30"})
    assert registry.points_of("u_1")[0].registers == ("volume",)
    assert [point.unit for point in registry.points() if point.label == "main meter"] == [None]
    assert registry.zone_of("m_cold") == "Europe/Prague"
    exchange = 1_711_872_000_000_000
    assert registry.assignments_of("m_cold") == [
        Assignment("m_cold", "AAA-12345678-1B-06", 1_704_063_600_000_000, exchange, None, 812_345_000),
        Assignment("m_cold", "BBB-00000001-02-04", exchange, None, 12_000, None),
    ]
    assert registry.occupancies_of("u_1") == [Occupancy("u_1", 1_704_063_600_000_000, None, "Nováková")]
    assert report.changed == 12
    assert list(report.lines())[-1] == "occupancy: 1 added"


@pytest.mark.both_engines
def test_random_ids_have_sixteen_characters(registry, house):
    """What the file gives no id gets a random one with its prefix."""
    import_directory(registry, house())
    assert {(one.id[:2], len(one.id)) for one in registry.managers()} == {("c_", 18)}
    assert {(one.id[:2], len(one.id)) for one in registry.units() if one.id != "u_1"} == {("u_", 18)}


@pytest.mark.both_engines
def test_second_import_changes_nothing(registry, house):
    """Importing the same file again finds no difference, also where ids were left out, and does not seal keys anew."""
    import_directory(registry, house())
    before = registry._rows("SELECT * FROM devices"), registry.units(), registry.points()
    report = import_directory(registry, house())
    assert report.changed == 0
    assert list(report.lines()) == [
        "manager: 1 unchanged",
        "property: 1 unchanged",
        "unit: 2 unchanged",
        "point: 3 unchanged",
        "device: 2 unchanged",
        "assignment: 2 unchanged",
        "occupancy: 1 unchanged",
    ]
    assert (registry._rows("SELECT * FROM devices"), registry.units(), registry.points()) == before


@pytest.mark.both_engines
def test_a_difference_is_one_line(registry, house):
    """A changed field is told with its name, a changed key without its value."""
    import_directory(registry, house())
    other = KEY[::-1]
    report = import_directory(registry, house(HOUSE.replace('entrance = "A"', 'entrance = "B"').replace(KEY, other)))
    assert [line.split()[0::2] for line in report.differences] == [["unit", "changed"], ["device", "changed"]]
    assert [line.split()[3:] for line in report.differences] == [["entrance"], ["key_sealed"]]
    assert other not in "\n".join(report.lines())
    assert registry.device(DeviceId.parse("AAA-12345678-1B-06")).key == bytes.fromhex(other)


@pytest.mark.both_engines
def test_a_key_left_out_stays(registry, house):
    """A file without keys, as an export for others would be, takes no key away."""
    import_directory(registry, house())
    assert import_directory(registry, house(HOUSE.replace(f'key = "{KEY}"\n', ""))).changed == 0
    assert registry.device(DeviceId.parse("AAA-12345678-1B-06")).key == bytes.fromhex(KEY)


@pytest.mark.both_engines
def test_a_key_that_cannot_be_opened_is_sealed_anew(registry, house, tmp_path):
    """After the master key was lost, a file with the keys makes them readable under the new one."""
    import_directory(registry, house())
    registry.vault = Vault.create(tmp_path / "other.key")
    with pytest.raises(VaultError):
        registry.device(DeviceId.parse("AAA-12345678-1B-06"))
    report = import_directory(registry, house())
    assert [line.split()[3:] for line in report.differences] == [["key_sealed"]]
    assert registry.device(DeviceId.parse("AAA-12345678-1B-06")).key == bytes.fromhex(KEY)


@pytest.mark.both_engines
def test_a_property_has_its_own_year_and_times_to_keep(registry, house):
    """The month in which its year begins, and days for which hours and days are kept, as number or text; 0 is for ever."""
    own = 'year_start = "07-01"\nhours_kept = 0\ndays_kept = "730"'
    import_directory(registry, house(HOUSE.replace('zone = "Europe/Prague"', f'zone = "Europe/Prague"\n{own}')))
    assert registry._rows("SELECT year_start, hours_kept, days_kept FROM properties") == [("07-01", 0, 730)]


@pytest.mark.both_engines
def test_csv_says_the_same_as_toml(registry, house, tmp_path):
    """A folder of CSV files, here with semicolons and a byte order mark, is the same directory as the TOML file."""
    import_directory(registry, house())
    folder = tmp_path / "csv"
    folder.mkdir()
    for kind, tables in tomllib.loads(HOUSE).items():
        columns = sorted({column for table in tables for column in table} - {"parameters"})
        with (folder / FILES[kind]).open("w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL)
            rows.writerow([*columns, *["parameters"] * (kind == "point")])
            for table in tables:
                cells = [" ".join(cell) if isinstance(cell := table.get(column, ""), list) else cell for column in columns]
                rows.writerow([*cells, *['{"max_gap": "PT6H", "max_rate_per_h": "30"}' if "parameters" in table else ""] * (kind == "point")])
    assert import_directory(registry, folder).changed == 0


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('zone = "Europe/Prague"', 'zone = "Prague"', "house.toml: [[property]] 1: zone: 'Prague' is not a time zone"),
        ('label = "1"', 'lable = "1"', "house.toml: [[unit]] 1: lable: unknown field: write some of id, property, label, entrance"),
        ('label = "1"', "", "house.toml: [[unit]] 1: label: is missing"),
        ('property = "Lipová 12"', 'property = "Lipová 13"', "house.toml: [[unit]] 1: property: there is no property 'Lipová 13'"),
        ('label = "2"', 'id = "u_2"\nlabel = "1"', "house.toml: [[occupancy]] 1: unit: several are called '1': write the id"),
        ('"cold_water"', '"water"', "house.toml: [[point]] 1: quantity: write one of cold_water, hot_water, heat"),
        ("max_gap", "maxgap", "house.toml: [[point]] 2: parameters: maxgap is no parameter"),
        ('"30"', "30.5", "house.toml: [[point]] 2: parameters: write decimals as text"),
        ('["energy", "power"]', '["Energy"]', "house.toml: [[point]] 2: registers: write register names"),
        ("AAA-12345678-1B-06", "AAA-1234567-1B-06", "house.toml: [[device]] 1: id: 'AAA-1234567-1B-06' is not a device"),
        ("mode = 5", "mode = 0", "house.toml: [[device]] 1: mode: write 2, 5, 7, ell"),
        ("mode = 5", "mode = 2", "house.toml: [[device]] 1: mode: a key of 16 hex digits is of mode 2"),
        ('"812.345"', "812.345", "house.toml: [[assignment]] 1: end_value: write the index as text"),
        ("2024-03-31T10:00:00+02:00", "2024-03-31T10:00:00", "house.toml: [[assignment]] 1: to: '2024-03-31T10:00:00' is not an instant"),
        ("to = 2024-03-31T10:00:00+02:00", "to = 2023-12-31", "house.toml: [[assignment]] 1: to: is not after from"),
        ("to = 2024-03-31T10:00:00+02:00", "to = 2024-01-01", "house.toml: [[assignment]] 1: to: is not after from"),
        (
            "2024-03-31T10:00:00+02:00",
            "2024-03-31T10:00:01+02:00",
            "house.toml: [[assignment]] 2: from: point m_cold has AAA-12345678-1B-06 until then",
        ),
        (
            'device = "BBB-00000001-02-04"',
            'device = "BBB-00000002-02-04"',
            "house.toml: [[assignment]] 2: device: there is no device BBB-00000002-02-04",
        ),
        ('id = "u_1"\nprop', 'id = "u/1"\nprop', "house.toml: [[unit]] 1: id: write at most 64 letters, digits"),
        ("[[occupancy]]", "[[occupant]]", "house.toml: [[occupant]]: unknown table: write one of manager, property, unit"),
        ("[[occupancy]]", "[occupancy]", "house.toml: occupancy is a list of tables: write [[occupancy]]"),
        ('property = "b_house"\nquantity', "quantity", "house.toml: [[point]] 3: unit: is missing"),
        (
            'unit = "u_1"\nquantity',
            'unit = "u_1"\nproperty = "b_other"\nquantity',
            "house.toml: [[point]] 1: property: there is no property 'b_other'",
        ),
        ('id = "BBB-00000001-02-04"', 'id = "AAA-12345678-1B-06"', "house.toml: [[device]] 2: is there twice, also at house.toml: [[device]] 1"),
        ("[[manager]]", "[[manager", "this is not TOML"),
        ('zone = "Europe/Prague"', 'zone = "UTC"\nyear_start = "02-30"', "house.toml: [[property]] 1: year_start: write the first of a month"),
        ('zone = "Europe/Prague"', 'zone = "UTC"\nhours_kept = true', "house.toml: [[property]] 1: hours_kept: write a whole number of days"),
        ('zone = "Europe/Prague"', 'zone = "UTC"\ndays_kept = -1', "house.toml: [[property]] 1: days_kept: write a whole number of days"),
        ("mode = 5", 'whole = "perhaps"', "house.toml: [[device]] 1: whole: write true or false"),
        (
            "[[occupancy]]",
            '[[degree_days]]\nproperty = "b_house"\nmonth = "2026-13"\nvalue = "1"\n[[occupancy]]',
            'house.toml: [[degree_days]] 1: month: write the month as "2026-01"',
        ),
        (
            'label = "kitchen"',
            'label = "kitchen"\nproperty = "b_two"\n[[property]]\nid = "b_two"\nmanager = "Teplo s.r.o."\nname = "Dubová 3"\nzone = "UTC"',
            "house.toml: [[point]] 1: property: the unit u_1 is in b_house: leave the property out",
        ),
        (
            'name = "Nováková"',
            'name = "Nováková"\nremove = true',
            "house.toml: [[occupancy]] 1: remove: there is no occupancy",
        ),
        (
            'label = "main meter"',
            'label = "main meter"\nregisters = ["power", "volume"]\n[[assignment]]\npoint = "main meter"\ndevice = "BBB-00000001-02-04"\nfrom = 2024-05-01',
            "house.toml: [[assignment]] 1: device: BBB-00000001-02-04 measures volume at m_cold in this time: end that assignment, or name other registers",
        ),
    ],
)
def test_a_mistake_names_its_place(registry, house, old, new, line):
    """A mistake is told with file, entry, field and what to write, and nothing of the file is taken."""
    assert old in HOUSE
    assert line in refused(registry, house(HOUSE.replace(old, new, 1)))


@pytest.mark.both_engines
def test_a_broken_key_is_not_repeated(registry, house):
    """A key that cannot be read is refused without being shown."""
    said = refused(registry, house(HOUSE.replace(KEY, KEY[:-1])))
    assert said == "house.toml: [[device]] 1: key: write the key as 32 hex digits, or 16 of mode 2 (this value is not shown)"


@pytest.mark.both_engines
def test_all_mistakes_are_told_at_once(registry, house):
    """Several mistakes are several lines."""
    assert len(refused(registry, house(HOUSE.replace('"cold_water"', '"water"').replace("mode = 5", "mode = 9"))).splitlines()) == 2


@pytest.mark.both_engines
def test_a_mistake_in_csv_names_the_row(registry, house, tmp_path):
    """A CSV mistake names the file and the row as a spreadsheet counts it."""
    import_directory(registry, house())
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "occupancies.csv").write_text("unit,name,from\n\n2,Novák,2024-13-01\n")
    assert refused(registry, folder).startswith("occupancies.csv: row 3: from: ")
    (folder / "occupancies.csv").write_text("unit,name,from\n2,Novák\n")
    assert refused(registry, folder) == "occupancies.csv: row 2: has 2 cells, the first row has 3"


@pytest.mark.both_engines
def test_an_occupancy_overlap_with_an_earlier_import_is_refused(registry, house):
    """A new occupancy may not begin while the stored one still runs."""
    import_directory(registry, house())
    later = '[[occupancy]]\nunit = "u_1"\nname = "Svoboda"\nfrom = 2025-01-01\n'
    assert (
        refused(registry, house(later, "later.toml"))
        == "later.toml: [[occupancy]] 1: from: unit u_1 is occupied until then: end that occupancy first"
    )


@pytest.mark.both_engines
def test_a_device_may_serve_two_points_by_different_registers(registry, house):
    """A heat meter with a pulse input is a device at two points at once, each with registers of its own."""
    both = '[[assignment]]\npoint = "main meter"\ndevice = "BBB-00000001-02-04"\nfrom = 2024-05-01\n'
    import_directory(registry, house(HOUSE + both))
    assert len([one for one in registry.assignments() if one.device == "BBB-00000001-02-04"]) == 2


@pytest.mark.both_engines
def test_nothing_to_read(registry, tmp_path):
    """A path that does not exist, what is not text, and a folder without one of the files, are told as such."""
    assert "there is no such file or folder" in refused(registry, tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes('name = "Lipová"'.encode("latin-1"))
    assert f"{tmp_path / 'latin.toml'}: cannot be read: 'utf-8' codec" in refused(registry, tmp_path / "latin.toml")
    (tmp_path / "empty").mkdir()
    assert "holds none of managers.csv" in refused(registry, tmp_path / "empty")


@pytest.mark.both_engines
def test_one_key_for_two_devices_is_a_warning(registry, house):
    """The import says which devices share a key, without showing it."""
    report = import_directory(registry, house(HOUSE.replace('id = "BBB-00000001-02-04"', f'id = "BBB-00000001-02-04"\nkey = "{KEY.upper()}"')))
    assert report.warnings == ["one key serves 2 devices: AAA-12345678-1B-06, BBB-00000001-02-04; whoever has one of them reads all"]


@pytest.mark.both_engines
def test_keys_need_a_vault(house, tmp_path):
    """Without a master key a directory with keys is refused, one without is not."""
    with Registry(tmp_path / "other.sqlite") as registry:
        with pytest.raises(VaultError, match="--new-master-key"):
            import_directory(registry, house())
        assert registry.managers() == []
        assert import_directory(registry, house(HOUSE.replace(f'key = "{KEY}"', ""))).changed == 12


@pytest.mark.both_engines
@pytest.mark.sqlite_alone("it reads the bytes of the file")
def test_keys_are_never_in_clear_in_the_files(registry, house, tmp_path):
    """No file of the registry holds a key's bytes, hex or base64, nor the master key."""
    import_directory(registry, house())
    key, master = bytes.fromhex(KEY), (tmp_path / "master.key").read_text().strip()
    for file in tmp_path.glob("registry.sqlite*"):
        content = file.read_bytes()
        assert key not in content
        assert KEY.encode() not in content.lower()
        assert bytes.fromhex(master) not in content
        assert master.encode() not in content
    assert b"AAA-12345678-1B-06" in b"".join(file.read_bytes() for file in tmp_path.glob("registry.sqlite*"))


@pytest.mark.both_engines
def test_the_import_is_in_the_audit(registry, house):
    """An import leaves a line in the audit, a refused one does not."""
    import_directory(registry, house())
    refused(registry, house(HOUSE.replace("mode = 5", "mode = 9")))
    assert [(entry.action, entry.subject, entry.detail) for entry in registry.audit()] == [("directory.import", "house.toml", "12 differences")]


@pytest.mark.both_engines
def test_local_midnight_that_does_not_exist(registry, house):
    """A local date begins at its first instant, also where the clock skips midnight."""
    text = HOUSE.replace("Europe/Prague", "America/Santiago").replace('name = "Nováková"\nfrom = 2024-01-01', 'name = "Nováková"\nfrom = 2024-09-08')
    import_directory(registry, house(text))
    assert registry.occupancies_of("u_1")[0].since == 1_725_768_000_000_000
