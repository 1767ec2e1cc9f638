"""Whether a technician has the machine, in XFS4IoT's words (VendorMode)."""

from __future__ import annotations

from enum import StrEnum


class MaintenancePhase(StrEnum):
    """XFS4IoT VendorMode service."""

    ENTER_PENDING = "enterPending"
    """Wanted: no visit begins, the one under way and its print come to their end."""
    ACTIVE = "active"
    """The machine is the technician's."""
    EXIT_PENDING = "exitPending"
    """No longer wanted: what the technician has under way comes to its end."""
    INACTIVE = "inactive"

    @property
    def closes(self) -> bool:
        """No visit goes on."""
        return self in (MaintenancePhase.ACTIVE, MaintenancePhase.EXIT_PENDING)
