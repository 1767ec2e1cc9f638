"""How many pixels a millimetre has."""

from __future__ import annotations

import pytest

from hallkit.screens import metrics


def test_the_usual_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics.ENVIRONMENT_KEY, raising=False)
    assert metrics.px_per_mm() == 3.2


def test_a_given_value_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.ENVIRONMENT_KEY, "2.7")
    assert metrics.px_per_mm() == 2.7
    assert metrics.px_per_mm(4.0) == 4.0


@pytest.mark.parametrize("text", ["much", "0.1", "90"])
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(metrics.ENVIRONMENT_KEY, text)
    with pytest.raises(ValueError, match=text):
        metrics.px_per_mm()
