"""A person is told everything that is kept of them, and what may go goes when they ask."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path

import pytest

from affairs.cases.office import Office
from affairs.persons import Persons
from affairs.queue.issuing import Queue
from affairs.sealing import Sealer
from affairs.store import Store, metadata
from hallkit.wire.affairs_api import TicketRequest
from hallkit.wire.cases_api import CaseContent, CaseDraft, HoldingsConsent
from launcher.cli import main
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, NAME, NUMBER

CONTENT = CaseContent.model_validate(
    {"item": "food", "answers": {"place": "own"}, "applicant": APPLICANT}
)
PERSONAL = {"tickets", "appointments", "cases", "holdings", "consents", "licences"}
FOR_MINUTES = {"visits", "permits"}
"""Tables in which a keyed digest of a person stands; in the last two while a visit lasts."""


@pytest.fixture
async def person(office: Office, queue: Queue) -> None:
    """Somebody with a number, a draft, a submitted case and a consent."""
    request = TicketRequest.model_validate({"item": ITEM, "applicant": APPLICANT})
    await queue.issue(request, device=DEVICE, key="ticket-01")
    await office.drafts.open(CONTENT, device=DEVICE, key="draft-01")
    case = await office.drafts.open(CONTENT, device=DEVICE, key="case-001")
    draft = CaseDraft(revision=case.revision, content=CONTENT)
    await office.submissions.submit(case.case, draft, device=DEVICE, key="submit-1")
    said = HoldingsConsent(number=NUMBER, consent=True)
    await office.shelf.consent(said, device=DEVICE, key="consent1")


@pytest.mark.usefixtures("person")
async def test_everything_is_told_in_clear(store: Store, sealer: Sealer) -> None:
    persons = Persons(sealer)
    told = await store.transaction(lambda connection: persons.export(connection, NUMBER))
    assert {name: len(rows) for name, rows in told.items()} == {
        "tickets": 1,
        "appointments": 0,
        "cases": 2,
        "holdings": 1,
        "licences": 0,
    }
    assert NAME in json.dumps(told, ensure_ascii=False)
    other = await store.transaction(lambda connection: persons.export(connection, "1" * 18))
    assert not any(other.values())


@pytest.mark.usefixtures("person")
async def test_what_the_office_has_taken_on_stays_and_the_rest_goes(
    store: Store, sealer: Sealer
) -> None:
    persons = Persons(sealer)
    erased = await store.transaction(lambda connection: persons.erase(connection, NUMBER))
    assert erased.gone == {
        "tickets": 1,
        "appointments": 0,
        "cases": 1,
        "holdings": 1,
        "licences": 0,
    }
    assert erased.kept == {
        "tickets": 0,
        "appointments": 0,
        "cases": 1,
        "holdings": 0,
        "licences": 0,
    }
    again = await store.transaction(lambda connection: persons.erase(connection, NUMBER))
    assert not any(again.gone.values())


@pytest.mark.usefixtures("person")
async def test_the_command_tells_and_deletes_beside_the_running_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "data.key"
    key.write_bytes(base64.b64encode(bytes(range(32))))

    async def asked(do: str, number: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{number}\n"))
        told = ["affairs", "person", do, "--state", str(tmp_path), "--data-key", str(key)]
        return await asyncio.to_thread(main, told), capsys.readouterr().out

    code, out = await asked("export", NUMBER)
    assert (code, NAME in out) == (0, True)
    code, out = await asked("erase", NUMBER)
    assert (code, json.loads(out)["kept"]["cases"]) == (0, 1)
    assert await asked("export", "1" * 18) == (
        1,
        json.dumps(
            {"tickets": [], "appointments": [], "cases": [], "holdings": [], "licences": []},
            indent=2,
        )
        + "\n",
    )
    assert (await asked("export", ""))[0] == 2


def test_no_table_with_a_person_in_it_is_forgotten() -> None:
    with_persons = {
        table.name
        for table in metadata.sorted_tables
        if {"applicant_mac", "holder_mac"} & set(table.columns.keys())
    }
    assert with_persons == PERSONAL | FOR_MINUTES, "give affairs/persons.py a keeper for it"
