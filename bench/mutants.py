"""`./run mutants [COUNT [SEED]]`: how many small faults seeded in decoders/ its tests notice (docs/trust.md, G16).

Strategy: places are those of the syntax tree, tables of meters included; a sample of them is drawn by a seed, so that the same call makes the same mutants. Each one is written
into a copy of the tree, and a fork that has the libraries loaded runs tests/decoders against it until a test fails. Real telegrams beside the checkout do not take part: what is
measured are the tests that everyone has. Survivors are printed; those which change nothing are named in docs/trust.md.
Why not a library: docs/decisions/2026-11-28-mutants.md.
"""

import ast
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
#: Left out are tests that start processes: they take long, and see nothing that others do not.
OPTIONS: Final = (
    "-x", "-q", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--deselect=tests/decoders/test_drivers.py::test_adding_a_meter_is_one_file",
    "--ignore=tests/decoders/test_lines.py", "--ignore=tests/decoders/test_corpus.py",
)  # fmt: skip
#: Files that are run first for a mutant of a folder or file, the quickest way to a failure; and those that are run last.
FIRST: Final = {"fast": "test_fast_drivers.py", "meters": "test_drivers.py", "explain": "test_explain_rows.py", "": "test_vectors.py"}
LAST: Final = ("test_any_bytes.py", "test_attacks.py", "test_driver_tables.py", "test_fast.py", "test_docs.py")
#: Loaded once, before the forks.
LOADED: Final = ("cryptography", "duckdb", "hypothesis", "polars", "psycopg", "pyarrow", "pytest", "structlog")
#: Processor seconds until a mutant counts as noticed because it does not end: six times what all tests take.
LIMIT_S: Final = 150
SWAPPED: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}  # fmt: skip
#: A node, and what puts a fault into it.
Fault = tuple[ast.AST, Callable[[], object]]
#: A file, its text with one fault, and what that is.
Mutant = tuple[Path, str, str]


def places(node: ast.AST) -> Iterator[Fault]:
    """Every place of a tree where a fault is put: the node and what puts it; annotations are none."""
    yield from faults(node)
    for name, child in ast.iter_fields(node):
        if name not in {"annotation", "returns"}:
            for one in child if isinstance(child, list) else [child]:
                if isinstance(one, ast.AST):
                    yield from places(one)


def faults(node: ast.AST) -> Iterator[Fault]:
    """The faults that are put into a node, by what it is."""
    match node:
        case ast.Compare(ops=[op]):
            yield node, lambda: setattr(node, "ops", [SWAPPED[type(op)]()])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if not _is_type(node):
            yield node, lambda: setattr(node, "op", SWAPPED[type(op)]())
        case ast.Constant(value=bool() | int() as value):
            yield node, lambda: setattr(node, "value", not value if isinstance(value, bool) else value + (1 if node.col_offset % 2 else -1))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield node, lambda: setattr(node, "value", ast.Constant(None))
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare | ast.BoolOp):
            yield node, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test))
    for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        for number, one in enumerate(body if isinstance(body, list) else ()):
            called = isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)
            if called or isinstance(one, ast.Raise | ast.AugAssign | ast.Continue | ast.Break):
                yield one, lambda body=body, number=number: body.__setitem__(number, ast.Pass())


def _is_type(node: ast.BinOp | ast.BoolOp) -> bool:
    """Whether `A | B` is a type: one of its names is that of a class."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return isinstance(node.op, ast.BitOr) and any(
        one in {"str", "int", "bytes", "date", "datetime"} or (one[0].isupper() and not one.isupper()) for one in names
    )


def mutant(path: Path, number: int) -> Mutant:
    """The file with the fault of this number."""
    written = path.read_text(encoding="utf-8")
    tree = ast.parse(written)
    node, fault = list(places(tree))[number]
    before, line = ast.unparse(node).splitlines()[0], getattr(node, "lineno", 0)
    fault()
    after = ast.unparse(node).splitlines()[0]
    shown = f"{path.relative_to(ROOT)}:{line}: {written.splitlines()[line - 1].strip()}  [{before} → {after if after != before else 'pass'}]"
    return path.relative_to(ROOT), ast.unparse(tree), shown


def sample(count: int, seed: int) -> list[Mutant]:
    """Mutants drawn from all places of decoders/."""
    files = sorted((ROOT / "decoders").rglob("*.py"))
    every = [(path, number) for path in files for number, _ in enumerate(places(ast.parse(path.read_text(encoding="utf-8"))))]
    sys.stdout.write(f"{len(every)} places, {count} drawn with seed {seed}\n")
    return [mutant(*one) for one in random.Random(seed).sample(every, count)]


def noticed(tree: Path, path: Path) -> bool:
    """Whether a test fails, in a process that has the libraries already."""
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        os.dup2(os.open(tree / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        try:
            os._exit(_tested(path))
        finally:
            traceback.print_exc()
            os._exit(9)
    return os.waitpid(pid, 0)[1] != 0


def _tested(path: Path) -> int:
    import pytest
    from hypothesis import Phase, settings

    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None, derandomize=True)
    settings.load_profile("mutants")
    first = next(file for start, file in FIRST.items() if start in path.parts or path.name.startswith(start))
    files = [*Path("tests/decoders").glob("test_*.py"), Path("tests/test_docs.py")]
    files.sort(key=lambda file: (file.name != first, file.name in LAST, file.name))
    return pytest.main([*OPTIONS, *map(str, files)])


def _write(file: Path, text: str, stamp: int) -> None:
    """Write a file with a time of its own: compiled files are known by the second and the size."""
    file.write_text(text, encoding="utf-8")
    os.utime(file, (stamp, stamp))


def main(count: int = 200, seed: int = 1) -> int:
    """Make the mutants one after the other, print those that nothing noticed, and the score; 1 if it is under 85 %."""
    for name in LOADED:
        import_module(name)
    chosen, survivors, started = sample(count, seed), 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree = Path(name) / "tree"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(".*"))
        os.chdir(tree)
        os.environ["PYTHONPATH"] = sys.path[0] = str(tree)
        if noticed(tree, Path("decoders/frame.py")):
            sys.exit(f"mutants: the tests fail without one:\n{(tree / 'said.txt').read_text()}")
        for number, (path, faulty, what) in enumerate(chosen, 1):
            original = (tree / path).read_text(encoding="utf-8")
            _write(tree / path, faulty, number)
            if not noticed(tree, path):
                survivors += 1
                sys.stdout.write(f"{number}. {what}\n")
                sys.stdout.flush()
            _write(tree / path, original, count + 1)
    score = 100 * (count - survivors) / count
    sys.stdout.write(f"{count - survivors} of {count} noticed, {score:.1f} %, in {time.monotonic() - started:.0f} s\n")
    return 0 if score >= 85 else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
