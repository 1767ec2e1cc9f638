"""The HTTP contract asked for everything it says, by a tool that knows nothing of us.

Schemathesis makes requests of the OpenAPI document, sound ones and broken ones, and checks that no
answer is a 5xx, that status, type and body are what the document says, and that what lacks a header
or uses another method is refused. `HALL_CONTRACT_EXAMPLES` asks for more of each operation.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from affairs.api import document
from tests.integration.affairs_node import NODE_FILE, Hall

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

EXAMPLES = int(os.environ.get("HALL_CONTRACT_EXAMPLES", "3"))
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "unsupported_method",
)
"""Left out: that whatever is sound is accepted. An item that nobody knows is sound, and refused."""


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    made = Hall(tmp_path)
    callers = "[affairs.callers]\nterminal-01 = 5\n"
    made.write("affairs.toml", NODE_FILE.format(content=made.content) + callers)
    async with made.running():
        yield made


def _asks(operation: Any, name: str, asked: dict[str, int], how: dict[str, Any]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        asked[name] += 1
        case.call_and_validate(**how)

    ask()


def test_every_operation_keeps_the_contract_whatever_it_is_asked(hall: Hall) -> None:
    identity = hall.identity("terminal-01")
    schema = schemathesis.openapi.from_dict(document())
    asked: dict[str, int] = {}
    with requests.Session() as session:
        session.trust_env = False
        how = {
            "base_url": hall.url,
            "session": session,
            "cert": (str(identity / "cert.pem"), str(identity / "key.pem")),
            "verify": str(identity / "ca.pem"),
            "checks": [CHECKS.get_one(name) for name in CHECKED],
        }
        for found in schema.get_all_operations():
            operation = found.ok()
            name = f"{operation.method.upper()} {operation.path}"
            asked[name] = 0

            _asks(operation, name, asked, how)
    assert all(asked.values())
    assert len(asked) == sum(len(one) for one in document()["paths"].values())
    log = (hall.folder / "node.log").read_text("utf-8")
    assert "request.crashed" not in log
