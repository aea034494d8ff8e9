"""Modules and files that docstrings and documentation name exist, so that a move cannot leave a stale name behind."""

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

PACKAGES = ("sources", "lake", "ml", "orchestration")
DOTTED_NAME = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`")
IN_PARENTHESES = re.compile(r"\(([^()]*`[^()]*)\)")
QUOTED = re.compile(r"`([\w.]+)`")
PYTHON_FILE = re.compile(r"`{1,2}([\w/]+\.py)`{1,2}")


def _docstrings(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented)]
    # A text below an assignment documents the constant.
    found += [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return [text for text in found if text]


def _names(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Names that statements define, each with the body of what it is; empty for what has none."""
    names: dict[str, list[ast.stmt]] = {}
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names[statement.name] = statement.body if isinstance(statement, ast.ClassDef) else []
            case ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = []
            case ast.Assign():
                targets = [node for target in statement.targets for node in ast.walk(target)]
                names |= {node.id: [] for node in targets if isinstance(node, ast.Name)}
            case ast.Import() | ast.ImportFrom():
                names |= {alias.asname or alias.name: [] for alias in statement.names}
    return names


@cache
def _resolves(root: Path, dotted: str) -> bool:
    """Whether a module, or an attribute of one, has this name; read from the files, nothing is imported."""
    parts = dotted.split(".")
    path = root
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    module = path / "__init__.py"
    if parts and (path / f"{parts[0]}.py").is_file():
        module = path / f"{parts.pop(0)}.py"
    body = ast.parse(module.read_text(encoding="utf-8")).body if module.is_file() else []
    for part in parts:
        names = _names(body)
        if part not in names:
            return False
        body = names[part]
    return True


def _texts(root: Path, committed: Callable[..., list[Path]]) -> list[tuple[Path, str]]:
    """Docstrings of the code, and the pages of the documentation except decisions, which describe their own time."""
    code = [file for file in committed(".py") if file.relative_to(root).parts[0] in (*PACKAGES, "benchmarks")]
    pages = [page for page in committed(".md") if "adr" not in page.relative_to(root).parts]
    return [(file, text) for file in code for text in _docstrings(file)] + [
        (page, page.read_text(encoding="utf-8")) for page in pages
    ]


def test_every_module_that_is_named_exists(root: Path, committed: Callable[..., list[Path]]) -> None:
    named = {
        (str(file.relative_to(root)), name)
        for file, text in _texts(root, committed)
        for name in DOTTED_NAME.findall(text)
        if not name.endswith(".yaml")
    }
    assert len(named) > 50
    missing = sorted((file, name) for file, name in named if not _resolves(root, name))
    assert not missing, f"expected the name of a module or of something in it: {missing}"


def test_a_module_that_a_file_refers_to_is_named_by_its_full_path(
    root: Path, committed: Callable[..., list[Path]]
) -> None:
    """In the first docstring, as in "Not here: the rules (`sources.rules`)", unless it is a name of the file itself."""
    code = [file for file in committed(".py") if file.relative_to(root).parts[0] in (*PACKAGES, "benchmarks")]
    modules = {file.stem for file in code} | {file.parent.name for file in code}
    referred, bare = 0, []
    for file in code:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        own = {
            getattr(node, "id", getattr(node, "arg", getattr(node, "name", None))) for node in ast.walk(tree)
        }
        for reference in IN_PARENTHESES.findall(ast.get_docstring(tree) or ""):
            names = QUOTED.findall(reference)
            referred += len(names)
            bare += [
                f"{file.relative_to(root)}: {name}"
                for name in names
                if name.removesuffix(".py") in modules - own - set(PACKAGES)
            ]
    assert referred > 300
    assert not bare, f"expected a full path such as `ml.models.prior`: {bare}"


def test_every_python_file_that_is_named_exists(root: Path, committed: Callable[..., list[Path]]) -> None:
    """By a path from the text or from the repository; a page may also name a file of a folder that it describes."""
    named = {(file, name) for file, text in _texts(root, committed) for name in PYTHON_FILE.findall(text)}
    assert len(named) > 20
    names = {file.name for file in committed(".py")}
    missing = sorted(
        f"{file.relative_to(root)}: {name}"
        for file, name in named
        if not ((file.parent / name).is_file() or (root / name).is_file())
        and not (file.suffix == ".md" and name in names)
    )
    assert not missing, f"expected a file next to the text or a path from the repository: {missing}"


def test_a_stale_name_is_noticed(root: Path) -> None:
    assert _resolves(root, "lake.connection.Lake.write")
    assert not _resolves(root, "lake.connection.Lake.forget")
    assert not _resolves(root, "lake.gone")
