"""What somebody gave is in no text of an error: that may go to the journal."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from hallkit.guide.signing import of_pad
from hallkit.model.chip_card import ApduAnswer, Cardholder, ChipCard
from hallkit.model.identity import IdentityCard, MaskedIdentity
from hallkit.model.scanning import ScannedCode
from hallkit.model.signature import Point, Signature, Stroke
from hallkit.model.ticket import Ticket
from hallkit.wire.affairs_api import Applicant, TicketRequest
from hallkit.wire.agent_bus import CardReadData

TEXT = "3101011990"
NUMBER = 310101199001011234


@pytest.mark.parametrize(
    "model",
    [
        Applicant,
        ApduAnswer,
        CardReadData,
        Cardholder,
        ChipCard,
        IdentityCard,
        MaskedIdentity,
        Point,
        ScannedCode,
        Signature,
        Stroke,
        Ticket,
        TicketRequest,
    ],
)
@pytest.mark.parametrize("given", [NUMBER, [TEXT], {TEXT[:4]: TEXT}])
def test_no_text_of_an_error_holds_what_was_given(model: type[BaseModel], given: Any) -> None:
    for told in (dict.fromkeys(model.model_fields, given), given, TEXT):
        with pytest.raises(ValidationError) as fault:
            model.model_validate(told)
        text = "".join(traceback.format_exception(fault.value)) + repr(fault.value)
        assert TEXT not in text


def test_nor_does_that_of_a_pad() -> None:
    with pytest.raises(ValueError, match="x_mm") as fault:
        of_pad([[[-150.25, 3, 10, 0.6]]], 100, 50)
    assert "150.25" not in str(fault.value)
