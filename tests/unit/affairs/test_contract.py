"""The committed contract is the one that the code speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from affairs.api import document
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, PROBLEM_TYPE
from launcher.cli import main

COMMITTED = Path(__file__).parents[3] / "docs" / "contracts" / "affairs-openapi.json"


def test_the_committed_contract_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["affairs", "openapi"]) == 0
    assert capsys.readouterr().out == COMMITTED.read_text(encoding="utf-8"), (
        "make it again: hall affairs openapi > docs/contracts/affairs-openapi.json"
    )


def test_every_operation_keeps_the_rules_of_the_contract() -> None:
    found = document()
    assert found["openapi"].startswith("3.1")
    names = []
    for path, operations in found["paths"].items():
        assert path.startswith("/v1/")
        for method, operation in operations.items():
            names.append(operation["operationId"])
            if method != "get":
                required = {one["name"] for one in operation["parameters"] if one.get("required")}
                assert IDEMPOTENCY_HEADER in required
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == [PROBLEM_TYPE]
    assert sorted(names) == [
        "bookAppointment",
        "callForHelp",
        "cancelAppointment",
        "cancelHelpCall",
        "checkIn",
        "consentToHoldings",
        "endVisit",
        "findAppointments",
        "findCases",
        "findHoldings",
        "findLicences",
        "forgetHoldings",
        "getCase",
        "getCatalogueDelta",
        "getCatalogueManifest",
        "getCatalogueSnapshot",
        "getHealth",
        "getHelpCall",
        "getPermitFile",
        "getRatingsSummary",
        "getTicket",
        "getTicketProgress",
        "getWindow",
        "getWindowCase",
        "giveRating",
        "handOverCase",
        "issueTicket",
        "leaseNumbers",
        "listCalls",
        "listQueueServices",
        "listSlots",
        "makePrintPermit",
        "openCase",
        "orderCase",
        "orderWindow",
        "precheckCase",
        "redeemContinuation",
        "redeemPrintPermit",
        "resumeCase",
        "saveCase",
        "settlePrints",
        "submitCase",
        "takeOfflineRatings",
        "takeOfflineTickets",
        "tellPrintOutcome",
        "withdrawCase",
    ]
