"""The laws of the source. Each is a function from a module's text to its offences; the last test breaks every one."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = {"settings", "setting_rules", "sse", "shop", "ai", "api", "web", "migrations", "logs"}

# wsgi, cli -> app -> {api, web} -> {shop, ai} -> sse; settings is a leaf.
MAY_IMPORT: dict[str, set[str]] = {
    "petstore": set(),  # petstore/__init__.py
    "setting_rules": set(),
    "settings": {"setting_rules"},
    "logs": {"settings"},
    "sse": set(),
    "migrations": {"sse"},
    "shop": {"sse"},
    "ai": {"shop", "sse"},
    "api": {"shop", "ai", "sse", "settings"},
    "web": {"shop", "ai", "sse", "settings"},
    "app": PARTS,
    "cli": {"app", "shop", "sse", "settings"},
    "wsgi": {"app"},
    "gunicorn.conf": {"app", "api", "sse", "logs", "settings"},
}
VAGUE_NAMES = {"utils", "helpers", "manager", "misc", "common"}


@dataclass(frozen=True)
class Module:
    """A source file by its path from the root, and what the laws ask about it."""

    path: str
    source: str

    @property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source)))

    @property
    def part(self) -> str:
        """`petstore/sse/feed.py` is of the part sse; `petstore/settings.py` and `app.py` are parts of their own."""
        first, *rest = Path(self.path).with_suffix("").parts
        return rest[0] if first == "petstore" and rest != ["__init__"] else first

    @property
    def imports(self) -> set[str]:
        """Full names of what is imported: `from ..sse import Event` in shop is `petstore.sse.Event`."""
        names = set()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                package = ".".join(Path(self.path).parts[: -node.level]) if node.level else ""
                base = ".".join(filter(None, (package, node.module)))
                names |= {f"{base}.{alias.name}" for alias in node.names}
        return names

    @property
    def names(self) -> set[str]:
        """What is imported, and every dotted name in use, such as `os.environ`."""
        return self.imports | {ast.unparse(node) for node in self.nodes if isinstance(node, ast.Attribute)}


Law = Callable[[Module], Iterator[str]]


def imports_the_wrong_way(module: Module) -> Iterator[str]:
    if module.part not in MAY_IMPORT:
        yield f"the part {module.part!r} has no place in MAY_IMPORT"
    allowed = MAY_IMPORT.get(module.part, set()) | {module.part}
    for name in module.imports:
        first, *rest = name.split(".")
        part = rest[0] if first == "petstore" and rest else first
        if (first == "petstore" or first in MAY_IMPORT) and part not in allowed:
            yield f"imports {name}; of ours, {module.part} may import only {', '.join(sorted(allowed))}"


def goes_past_sse_s_front_door(module: Module) -> Iterator[str]:
    for name in module.imports if module.part in ("shop", "ai") else ():
        inside = ROOT.joinpath(*name.split("."))
        if name.startswith("petstore.sse.") and (name.count(".") > 2 or inside.with_suffix(".py").exists()):
            yield f"imports {name}; only what petstore/sse/__init__.py exports is for others"


def knows_the_web_framework(module: Module) -> Iterator[str]:
    for name in module.imports:
        if name.split(".")[0] in ("flask", "werkzeug") and module.part in ("settings", "sse", "shop", "ai"):
            yield f"imports {name}; only api, web and app know of it"


def reads_the_environment(module: Module) -> Iterator[str]:
    for name in module.names & {"os.environ", "os.environb", "os.getenv", "os.getenvb"}:
        if module.path != "petstore/settings.py":
            yield f"uses {name}; hand it a Settings"


def patches(module: Module) -> Iterator[str]:
    for name in module.names:
        if "monkey.patch_" in name and module.path != "wsgi.py":
            yield f"uses {name}; only wsgi.py patches, before anything else is imported"


def is_too_long(module: Module) -> Iterator[str]:
    limit, limit_of_function = (600, 80) if module.part in ("tests", "bench") else (300, 45)
    if (lines := module.source.count("\n")) > limit:
        yield f"has {lines} lines, over {limit}"
    functions = [node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > limit_of_function:
            yield f"line {function.lineno}: {function.name} has {lines} lines, over {limit_of_function}"


def has_no_docstring(module: Module) -> Iterator[str]:
    if module.source.count("\n") > 3 and not ast.get_docstring(ast.parse(module.source)):
        yield "opens without a docstring"


def has_a_bare_except(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"line {node.lineno}: a bare except also catches Ctrl-C and a greenlet's end"


def has_a_vague_name(module: Module) -> Iterator[str]:
    for word in VAGUE_NAMES.intersection(Path(module.path).with_suffix("").as_posix().replace("/", "_").split("_")):
        yield f"{word!r} doesn't say what is inside"


def assert_none(law: Law, *places: str) -> None:
    paths = sorted(path for place in places for path in ROOT.glob(place) if ".peers" not in path.parts)
    modules = [Module(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]
    offences = [f"{module.path}: {offence}" for module in modules for offence in sorted(law(module))]
    assert not offences, "\n" + "\n".join(offences)


PRODUCT = ("petstore/**/*.py", "app.py", "wsgi.py", "gunicorn.conf.py")
EVERYTHING = (*PRODUCT, "tests/**/*.py", "bench/**/*.py")


def test_imports_point_one_way():
    assert_none(imports_the_wrong_way, *PRODUCT)


def test_whoever_comes_to_the_ai_room_is_told_what_each_module_is():
    room = ROOT / "petstore/ai"
    map_of_it = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    assert [path.stem for path in sorted(room.glob("[a-z]*.py")) if f"`{path.stem}`" not in map_of_it] == []


def test_shop_and_ai_use_only_what_the_core_exports():
    assert_none(goes_past_sse_s_front_door, *PRODUCT)


def test_the_core_and_the_domain_know_nothing_of_flask():
    assert_none(knows_the_web_framework, *PRODUCT)


def test_only_settings_reads_the_environment():
    assert_none(reads_the_environment, *PRODUCT)


def test_only_wsgi_patches():
    assert_none(patches, *PRODUCT)


def test_modules_and_functions_are_short():
    assert_none(is_too_long, *EVERYTHING)


def test_every_module_says_what_it_does():
    assert_none(has_no_docstring, *EVERYTHING)


def test_no_except_is_bare():
    assert_none(has_a_bare_except, *EVERYTHING)


def test_every_file_name_says_what_is_inside():
    assert_none(has_a_vague_name, *EVERYTHING)


@pytest.mark.parametrize(
    ("law", "path", "source"),
    [
        (imports_the_wrong_way, "petstore/sse/feed.py", "from ..shop import Pet"),
        (imports_the_wrong_way, "petstore/shop/orders.py", "import app"),
        (imports_the_wrong_way, "gunicorn.conf.py", "from petstore.shop import Pet"),
        (imports_the_wrong_way, "petstore/warehouse.py", ""),
        (goes_past_sse_s_front_door, "petstore/shop/orders.py", "from ..sse.event import Event"),
        (goes_past_sse_s_front_door, "petstore/ai/advisor.py", "from petstore.sse import event"),
        (knows_the_web_framework, "petstore/shop/orders.py", "from flask import g"),
        (reads_the_environment, "app.py", "import os\nport = os.environ['PORT']"),
        (reads_the_environment, "app.py", "from os import getenv"),
        (patches, "app.py", "from gevent import monkey\nmonkey.patch_all()"),
        (is_too_long, "app.py", "\n" * 301),
        (is_too_long, "petstore/sse/feed.py", "def follow():\n" + "    pass\n" * 45),
        (has_no_docstring, "tests/test_pets.py", "import os\n" * 4),
        (has_a_bare_except, "app.py", "try:\n    pass\nexcept:\n    pass"),
        (has_a_vague_name, "petstore/shop/order_utils.py", ""),
    ],
)
def test_every_law_can_be_broken(law: Law, path: str, source: str):
    assert len(list(law(Module(path, source)))) == 1
