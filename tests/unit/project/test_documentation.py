"""Commands, links and citations in the documentation exist."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
MAKE_COMMAND = re.compile(r"(?:^|`|&& |\$ )make ([a-z][a-z-]*)", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z][a-z-]*):.*## ", re.MULTILINE)
CITED_PAGE = re.compile(r"(?<![\w./-])(?!//)[\w./-]+\.md\b(?!\.\w|\()")
CITED_FROM_ELSEWHERE = re.compile(r"\b(?:DOMAIN|ARCHITECTURE|PLATFORM|STYLE)(?:\.md)?,? (?:§|section )?\d")
CITED_SECTIONS = re.compile(
    r"docs/domain\.md, sections? (\d+(?:\.\d+)?)(?:[^\n]{0,20} and (\d+(?:\.\d+)?)\b)?"
)
CONSTANT = re.compile(r"^\| `(\w+)` \| (`(\w+)`|dbt variable|module) \| ([^|]+) \|", re.MULTILINE)
ADR_HEADINGS = ["Context", "Decision", "Consequences", "Measured"]


def _slug(heading: str) -> str:
    """The anchor that the usual Markdown renderers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_slug(h) for h in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.fixture(scope="module")
def pages(committed: Callable[..., list[Path]]) -> list[Path]:
    return committed(".md")


def test_every_link_between_pages_resolves(root: Path, pages: list[Path]) -> None:
    broken = []
    for page in pages:
        for groups in LINK.findall(page.read_text(encoding="utf-8")):
            link = "".join(groups)
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
                broken.append(f"{page.relative_to(root)}: {link}")
    assert not broken, broken


def test_every_make_command_in_the_documentation_is_a_target(root: Path, pages: list[Path]) -> None:
    targets = set(MAKE_TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    documented = {
        (str(page.relative_to(root)), command)
        for page in pages
        for command in MAKE_COMMAND.findall(page.read_text(encoding="utf-8"))
    }
    assert {"run", "ui", "test", "lint", "bench", "clean", "lock", "setup", "help"} <= targets
    assert {command for page, command in documented if page == "README.md"} >= {"run", "ui"}
    unknown = sorted((page, command) for page, command in documented if command not in targets)
    assert not unknown, f"not in the Makefile: {unknown}"


def test_every_page_of_the_documentation_can_be_reached_from_the_readme(
    root: Path, pages: list[Path]
) -> None:
    seen: set[Path] = set()
    waiting = [root / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        if page.suffix == ".md":
            links = ("".join(groups) for groups in LINK.findall(page.read_text(encoding="utf-8")))
            waiting += [
                (page.parent / link.partition("#")[0]).resolve()
                for link in links
                if not re.match(r"[a-z]+:|#", link)
            ]
    unreachable = [
        str(p.relative_to(root)) for p in pages if p.is_relative_to(root / "docs") and p not in seen
    ]
    assert not unreachable, f"no path of links leads to {unreachable}"


def test_every_page_is_in_the_menu_of_the_site(root: Path, pages: list[Path]) -> None:
    """Runbooks and decisions by their index: it is the list of them."""

    def listed(entries: list) -> Iterator[str]:
        for entry in entries:
            if isinstance(entry, str):
                yield entry
            else:
                for value in entry.values():
                    yield from [value] if isinstance(value, str) else listed(value)

    menu = list(listed(tomllib.loads((root / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))
    docs = {str(page.relative_to(root / "docs")) for page in pages if page.is_relative_to(root / "docs")}
    by_index = {page for page in docs if re.match(r"(adr|runbook)/(?!README)", page)}
    assert sorted(menu) == sorted(docs - by_index), "zensical.toml, nav: each page once, and no other"


def test_every_decision_record_has_its_four_sections(root: Path) -> None:
    records = sorted((root / "docs" / "adr").glob("[0-9]*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1)), (
        "numbered without gaps, so that a number names one decision"
    )
    for record in records:
        found = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert found == ADR_HEADINGS, f"{record.name}: expected the headings {ADR_HEADINGS}, found {found}"


def _texts(files: list[Path]) -> Iterator[tuple[Path, str]]:
    for file in files:
        try:
            yield file, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def _is_piece_of_a_path(text: str, cited: re.Match[str]) -> bool:
    """`"page.md"` in code names a file of a folder that is named next to it: no citation."""
    return "/" not in cited[0] and text[cited.start() - 1 : cited.end() + 1] == f'"{cited[0]}"'


def test_no_file_cites_a_page_that_is_not_there(root: Path, committed: Callable[..., list[Path]]) -> None:
    missing = []
    for file, text in _texts(committed()):
        for cited in CITED_PAGE.finditer(text):
            folders = (root, root / "docs", file.parent)
            if not any((folder / cited[0]).exists() for folder in folders) and not _is_piece_of_a_path(
                text, cited
            ):
                missing.append(f"{file.relative_to(root)}: {cited[0]}")
        missing += [f"{file.relative_to(root)}: {words}" for words in CITED_FROM_ELSEWHERE.findall(text)]
    assert not missing, missing


@pytest.mark.parametrize("section", [".md §3", " section 1", " 2", ".md, section 4"])
def test_a_citation_of_a_page_from_elsewhere_is_noticed(section: str) -> None:
    assert CITED_FROM_ELSEWHERE.search("as measured (DOMAIN" + section)


def test_sections_of_the_domain_that_are_cited_exist(
    root: Path, committed: Callable[..., list[Path]]
) -> None:
    page = (root / "docs" / "domain.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\. ", page, re.MULTILINE))
    cited = {
        (str(file.relative_to(root)), section)
        for file, text in _texts(committed(".py", ".sql", ".yml", ".md"))
        for found in CITED_SECTIONS.findall(re.sub(r"\n[ #]*", " ", text))
        for section in filter(None, found)
    }
    assert len(cited) > 20
    assert not {(file, section) for file, section in cited if section not in sections}


def test_the_page_of_constants_agrees_with_the_code(root: Path, committed: Callable[..., list[Path]]) -> None:
    """By name, wherever the code keeps it: a default of a config class, a constant of a module, a variable of dbt."""
    known: dict[tuple[str, str], list[object]] = {}

    def learn(owner: str, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.ClassDef):
                learn(statement.name, statement.body)
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case _:
                    continue
            try:
                known.setdefault((owner, name), []).append(ast.literal_eval(value))
            except ValueError:
                continue

    for file in committed(".py"):
        if file.relative_to(root).parts[0] in {"ml", "lake", "sources"}:
            learn("module", ast.parse(file.read_text(encoding="utf-8")).body)
    variables = yaml.safe_load((root / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    known |= {("dbt variable", name): [value] for name, value in variables.items()}
    documented = CONSTANT.findall((root / "docs" / "constants.md").read_text(encoding="utf-8"))
    assert len(documented) > 50
    wrong = {
        f"{name} of {owner}: {value} on the page, {known.get((inner or owner, name))} in the code"
        for name, owner, inner, value in documented
        if ast.literal_eval(value.strip()) not in known.get((inner or owner, name), [])
    }
    assert not wrong, wrong
