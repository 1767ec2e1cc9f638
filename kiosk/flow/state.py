"""What is known of a visit, and of the world around it."""

from __future__ import annotations

from enum import StrEnum

from hallkit.guide.questions import GuideState
from hallkit.model.base import Value
from hallkit.model.device import DeviceReport
from hallkit.model.identity import IdentityCard
from hallkit.model.ids import VisitId
from hallkit.model.item import Item
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJob
from hallkit.model.ticket import Ticket
from hallkit.wire.affairs_api import ServiceWait
from hallkit.wire.mqtt import SystemDown


class Step(StrEnum):
    """Where a visit stands; one screen each."""

    HOME = "home"
    FIND = "find"
    WHICH = "which"
    """Several kinds of the matter that was tapped: which one."""
    QUESTION = "question"
    ENDED = "ended"
    """An answer led to another item, or to the reason why it is not done here."""
    MATERIALS = "materials"
    MORE = "more"
    """What else can be done with the list: print it, change an answer."""
    CARD = "card"
    IDENTITY = "identity"
    CONFIRM = "confirm"
    TICKET = "ticket"
    REFUSED = "refused"
    STAFF = "staff"
    CLOSED = "closed"
    """The machine had to end the visit: what still matters stands there until nobody
    can be reading it any more, and a ticket comes back when the machine opens."""


class Kind(Value):
    """One of the items that differ in what is done only: 新办, 变更."""

    code: str
    label: str
    plain_name: str


class Found(Value):
    """A search result as the screen shows it: an item, or a matter of which there are kinds."""

    code: str
    """Of the item; of a matter, that of its first kind with `/` behind it."""
    plain_name: str
    task_name: str
    kinds: tuple[Kind, ...] = ()
    """To be asked about; empty for an item."""
    upstream: tuple[str, ...] = ()
    """Systems of other authorities that the item cannot do without."""


class Visit(Value):
    """One citizen at the machine. Personal while it lasts, and gone with its process."""

    id: VisitId
    step: Step = Step.HOME
    started_ms: int | None = None
    """Wall time of the first tap; None while nobody came."""
    taps: int = 0
    query: str = ""
    found: tuple[Found, ...] = ()
    missed: tuple[str, ...] = ()
    """Queries that ended with a person, each of which was counted."""
    matter: Found | None = None
    """The one of the found whose kinds were asked about."""
    item: Item | None = None
    guide: GuideState | None = None
    chosen: tuple[str, ...] = ()
    """Options of a multiple question that are ticked so far."""
    page: int = 0
    card: IdentityCard | None = None
    card_problem: bool = False
    card_left_behind: bool = False
    taking: bool = False
    """The number was asked for and not yet given."""
    refusal: str = ""
    """Code of the fault that kept the number away."""
    ticket: Ticket | None = None
    job: PrintJob | None = None
    lists: int = 0
    """How often the list was sent to the printer."""
    list_job: PrintJob | None = None
    """What became of the last one."""
    came_from: Step = Step.HOME
    """Where `staff` leads back to."""
    seconds_left: int | None = None
    """Counts down when nobody taps; None while somebody does."""
    large_type: bool = False
    over: bool = False

    @property
    def idempotency_key(self) -> str:
        """One number per visit and request, however often it is asked for."""
        return f"{self.id}-ticket"

    @property
    def job_id(self) -> str:
        return f"{self.id}-slip"

    @property
    def list_job_id(self) -> str:
        return f"{self.id}-list-{self.lists}"


class Surroundings(Value):
    """The machine and the hall as they are now."""

    hall_name: str
    now_ms: int
    devices: tuple[DeviceReport, ...] = ()
    waits: tuple[ServiceWait, ...] = ()
    waits_at_ms: int | None = None
    """When the waits were heard; None before the first time."""
    hall_up: bool = False
    """The business node answers."""
    numbers: tuple[str, ...] = ()
    """Services of which the machine has numbers of its own, for the time without the node."""
    systems_down: tuple[SystemDown, ...] = ()
    """Systems of other authorities that don't answer."""
    catalogue_ready: bool = False
    popular: tuple[Found, ...] = ()
    """Items that stand on the first screen."""
    power: PowerPhase = PowerPhase.MAINS
    maintenance: MaintenancePhase = MaintenancePhase.INACTIVE

    @property
    def admits(self) -> bool:
        """A visit may begin."""
        return self.power.admits and self.maintenance is MaintenancePhase.INACTIVE

    @property
    def closes(self) -> bool:
        """The visit under way has to end now."""
        return self.power.ends or self.maintenance.closes

    def device(self, port: str) -> DeviceReport | None:
        return next((device for device in self.devices if device.port == port), None)

    def works(self, port: str) -> bool:
        device = self.device(port)
        return device is not None and device.works

    def down_of(self, upstream: tuple[str, ...]) -> tuple[SystemDown, ...]:
        """Those of these systems that don't answer."""
        return tuple(one for one in self.systems_down if one.system in upstream)

    def wait_of(self, service: str) -> ServiceWait | None:
        return next((wait for wait in self.waits if wait.service == service), None)
