"""Every case in `tests/README.md` names a test, and every test that it names exists."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent

_ROW = re.compile(r"^\| (?!case \||---)(.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([a-z_/]+\.py)::(?:([A-Za-z]+)::)?(test_[a-z0-9_]+)`")


def defines(path: Path, group: str | None, test: str) -> bool:
    """Say whether a file has this test, in a class of this name where one is named."""
    if not path.exists():
        return False
    body = ast.parse(path.read_text()).body
    if group is not None:
        body = [inner for node in body if isinstance(node, ast.ClassDef) and node.name == group for inner in node.body]
    return any(isinstance(node, ast.FunctionDef) and node.name == test for node in body)


def test_every_case_has_a_test_that_exists():
    rows = _ROW.findall((HERE / "README.md").read_text())
    assert len(rows) > 40
    for case, name in rows:
        match = _TEST.fullmatch(name)
        assert match, f"{case}: {name} names no test"
        assert defines(HERE / match[1], match[2], match[3]), f"{case}: there is no {name}"


def test_a_test_that_does_not_exist_is_missed():
    assert defines(Path(__file__), None, "test_every_case_has_a_test_that_exists")
    assert not defines(Path(__file__), None, "test_every_case")
    assert not defines(Path(__file__), "Nobody", "test_every_case_has_a_test_that_exists")
    assert not defines(HERE / "nowhere.py", None, "test_every_case_has_a_test_that_exists")
