"""好差评: what machines say for whoever was served, and what boards are told."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from affairs.http.node import IdempotencyKey, Node, NodeParameter, problems
from affairs.problems import ProblemCode, Refused
from affairs.ratings.giving import Rater
from affairs.server import PEER
from hallkit.wire.ratings_api import (
    OFFLINE_RATINGS,
    RATINGS,
    RATINGS_SUMMARY,
    OfflineRatings,
    OfflineRatingsTaken,
    RatingGiven,
    RatingRequest,
    RatingsSummary,
)

ROUTES = APIRouter()


async def _rater(request: Request) -> Rater:
    """A machine of the hall, or a device that stands at a window."""
    node = cast("Node", request.app.state.node)
    peer: str = request.scope.get("extensions", {}).get(PEER, "")
    if peer in node.devices:
        return Rater(peer)
    if peer in node.callers:
        return Rater(peer, node.callers[peer])
    raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)


OwnRater = Annotated[Rater, Depends(_rater)]


@ROUTES.post(
    RATINGS,
    operation_id="giveRating",
    summary="评价",
    status_code=201,
    responses={
        200: {"model": RatingGiven, "description": "同一编号此前已给的评价"},
        **problems(400, 403, 404, 409, 413, 422, 503),
    },
)
async def _give_rating(
    wanted: RatingRequest,
    node: NodeParameter,
    rater: OwnRater,
    key: IdempotencyKey,
    response: Response,
) -> RatingGiven:
    given = await node.ratings.give(wanted, rater=rater, key=key)
    response.status_code = 200 if given.again else 201
    response.headers["Cache-Control"] = "no-store"
    return given


@ROUTES.post(
    OFFLINE_RATINGS,
    operation_id="takeOfflineRatings",
    summary="交回本机存下的评价",
    responses=problems(400, 403, 413, 422, 503),
)
async def _take_offline_ratings(
    given: OfflineRatings,
    node: NodeParameter,
    rater: OwnRater,
    key: IdempotencyKey,  # noqa: ARG001  # each rating's own id says whether it was told before
    response: Response,
) -> OfflineRatingsTaken:
    response.headers["Cache-Control"] = "no-store"
    return await node.ratings.take(given, rater=rater)


@ROUTES.get(
    RATINGS_SUMMARY,
    operation_id="getRatingsSummary",
    summary="一天的评价汇总",
    responses=problems(422, 503),
)
async def _get_ratings_summary(
    node: NodeParameter,
    day: Annotated[dt.date | None, Query(description="不写就是今天")] = None,
) -> RatingsSummary:
    return await node.satisfaction.of_day(day)
