"""Appointments: slots, booking, check-in."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Response

from affairs.http.node import Device, IdempotencyKey, NodeParameter, problems
from hallkit.wire.affairs_api import (
    APPOINTMENTS,
    SLOTS,
    Appointment,
    AppointmentRequest,
    Appointments,
    CheckIn,
    PersonQuery,
    Slots,
    TicketIssued,
)

ROUTES = APIRouter()


@ROUTES.get(
    SLOTS,
    operation_id="listSlots",
    summary="可以预约的时段",
    responses=problems(403, 404, 422, 503),
)
async def _list_slots(
    item: Annotated[str, Query(max_length=64)],
    day: dt.date,
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
) -> Slots:
    return await node.booking.slots(item, day)


@ROUTES.post(
    APPOINTMENTS,
    operation_id="bookAppointment",
    summary="预约",
    status_code=201,
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _book_appointment(
    wanted: AppointmentRequest,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Appointment:
    response.headers["Cache-Control"] = "no-store"
    return await node.booking.book(wanted, device=device, key=key)


@ROUTES.post(
    APPOINTMENTS + "/find",
    operation_id="findAppointments",
    summary="用身份证查本人的预约",
    responses=problems(400, 403, 413, 422, 503),
)
async def _find_appointments(
    who: PersonQuery,
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
    key: IdempotencyKey,  # noqa: ARG001  # changes nothing; the number stands in a body, not a URL
    response: Response,
) -> Appointments:
    response.headers["Cache-Control"] = "no-store"
    return await node.booking.of_person(who.number)


@ROUTES.post(
    APPOINTMENTS + "/check-in",
    operation_id="checkIn",
    summary="预约签到取号",
    status_code=201,
    responses={
        200: {"model": TicketIssued, "description": "同一编号此前已取的号"},
        **problems(400, 403, 404, 409, 413, 422, 503),
    },
)
async def _check_in(
    wanted: CheckIn,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> TicketIssued:
    issued = await node.booking.check_in(wanted, device=device, key=key)
    response.status_code = 200 if issued.again else 201
    response.headers["Cache-Control"] = "no-store"
    return issued


@ROUTES.post(
    APPOINTMENTS + "/cancel",
    operation_id="cancelAppointment",
    summary="取消预约",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _cancel_appointment(
    wanted: CheckIn,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Appointment:
    response.headers["Cache-Control"] = "no-store"
    return await node.booking.cancel(wanted, device=device, key=key)
