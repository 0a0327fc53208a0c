"""What the pages in docs/ list is what the code has."""

import re
from pathlib import Path

import pytest

from dagy_console.accounts.search import API_KEYS, IMPERSONATIONS, MEMBERS, SESSIONS
from dagy_console.api import api
from dagy_console.audit.actions import Action
from dagy_console.audit.search import ENTRIES
from dagy_console.core import health, metrics
from dagy_console.core.permissions import ROLE_PERMISSIONS, SUPER_ADMIN_PERMISSIONS, Permission, Role
from dagy_console.customers.search import CUSTOMERS
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.language import Listing
from dagy_console.runs.search import DEPLOYMENTS, FLOWS, RUNS, SCHEDULES, SECRETS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def _rows(page: Path) -> list[list[str]]:
    """The cells of every table row of a page."""
    lines = page.read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_of_roles_is_that_of_the_code() -> None:
    columns = [*(ROLE_PERMISSIONS[role] for role in Role), SUPER_ADMIN_PERMISSIONS]
    told: dict[str, list[bool]] = {}
    for permissions, *marks in (row for row in _rows(DOCS / "security.md") if len(row) == 1 + len(columns)):
        told |= {permission: [mark == "x" for mark in marks] for permission in _codes(permissions)}
    assert told == {permission: [permission in column for column in columns] for permission in Permission}


def test_every_audited_action_is_listed() -> None:
    (table,) = re.findall(r"\| recorded \| actions \|\n(.*?)\n\n", (DOCS / "security.md").read_text(), re.DOTALL)
    assert sorted(_codes(table)) == sorted(Action)


def test_every_endpoint_is_listed() -> None:
    told = {code for row in _rows(DOCS / "api.md") for code in _codes(row[0])}
    methods_and_paths = {
        re.sub(r"\{\w+\}", "{id}", code.split("?")[0])
        for code in told
        if re.match(r"(GET|POST|DELETE|PATCH|PUT) /", code)
    }
    schema = api.get_openapi_schema()
    real = {f"{method.upper()} {path}" for path, methods in schema["paths"].items() for method in methods}
    aliases, not_in_the_schema = {"GET /users/me"}, {"GET /health", "GET /metrics"}
    assert methods_and_paths - not_in_the_schema == {re.sub(r"\{\w+\}", "{id}", path) for path in real - aliases}


@pytest.mark.parametrize(("heading", "listing"), [("Traces", TRACES), ("Audit entries", ENTRIES)])
def test_every_key_of_the_search_language_is_listed(heading: str, listing: Listing) -> None:
    table = (DOCS / "api.md").read_text().split(f"\n{heading}:\n\n")[1].split("\n\n")[0]
    told = {key for line in table.splitlines() for key in re.findall(r"`(\w+):[^`]*`", line.split(" | ")[0])}
    assert told == set(listing.names)


def test_every_key_of_the_other_lists_is_listed() -> None:
    text = (DOCS / "api.md").read_text()
    for listing in (
        GROUPS,
        CUSTOMERS,
        MEMBERS,
        SESSIONS,
        IMPERSONATIONS,
        API_KEYS,
        FLOWS,
        DEPLOYMENTS,
        RUNS,
        SCHEDULES,
        SECRETS,
    ):
        (row,) = re.findall(rf"^\| {listing.plural}[^|]* \| ((?:`\w+:` ?)+)\|$", text, re.MULTILINE)
        assert [code.rstrip(":") for code in _codes(row)] == [key.name for key in listing.keys]


def test_every_health_component_is_listed() -> None:
    text = (DOCS / "operating.md").read_text()
    assert all(f"`{name}`" in text for name in health.names())


def test_every_metric_is_listed() -> None:
    text = (DOCS / "operating.md").read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`(dagy_\w+)", text)) == metrics.names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        if name.startswith("docs/screenshots/"):
            continue
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
