"""Ways are the quickest there are, keep what they promise, and are told in plain sentences."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affairs.hall_map import load_hall_map
from hallkit.guide.routes import (
    Route,
    Routes,
    addresses,
    amenities_of,
    directions,
    machines_with,
    turn,
)
from hallkit.lexicon.words import words
from hallkit.model.hall_map import HallMap
from hallkit.model.plane import Metres
from tests.fakes.hall_map import Edge, hall

SAY = words("zh_CN")
KINDS = ("walk", "walk", "walk", "ramp", "stairs")


@pytest.fixture(scope="module")
def demo() -> HallMap:
    return load_hall_map()


@pytest.fixture(scope="module")
def ways(demo: HallMap) -> Routes:
    return Routes(demo)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[int, Metres]], list[Edge]]:
    """Nodes on a grid and any edges between them, some of them one-way, some with steps."""
    count = draw(st.integers(2, 7))
    spots = draw(
        st.lists(
            st.tuples(st.integers(0, 9), st.integers(0, 9)),
            min_size=count,
            max_size=count,
            unique=True,
        )
    )
    nodes: dict[str, tuple[int, Metres]] = {
        f"n{number}": (1, (float(x), float(y))) for number, (x, y) in enumerate(spots)
    }
    edges: list[Edge] = []
    for a, b in itertools.combinations(nodes, 2):
        if draw(st.booleans()):
            told = {
                "kind": draw(st.sampled_from(KINDS)),
                "seconds": float(draw(st.integers(1, 20))),
                "one_way": draw(st.booleans()),
            }
            edges.append((a, b, told))
    return nodes, edges


def quickest(
    nodes: dict[str, tuple[int, Metres]], edges: list[Edge], *, step_free: bool
) -> dict[tuple[str, str], float]:
    """Floyd and Warshall: every pair by trying every stop between."""
    best = {(a, b): 0.0 if a == b else math.inf for a in nodes for b in nodes}
    for a, b, told in edges:
        if step_free and told["kind"] == "stairs":
            continue
        best[a, b] = min(best[a, b], told["seconds"])
        if not told["one_way"]:
            best[b, a] = min(best[b, a], told["seconds"])
    for via, a, b in itertools.product(nodes, nodes, nodes):
        best[a, b] = min(best[a, b], best[a, via] + best[via, b])
    return best


@settings(max_examples=60, deadline=None)
@given(graphs(), st.booleans())
def test_no_way_is_quicker(
    graph: tuple[dict[str, tuple[int, Metres]], list[Edge]], step_free: bool
) -> None:
    nodes, edges = graph
    small = Routes(hall(nodes, edges))
    best = quickest(nodes, edges, step_free=step_free)
    for (a, b), seconds in best.items():
        found = small.route(a, b, step_free=step_free)
        assert (found is None) == math.isinf(seconds)
        if found is None:
            continue
        assert found.seconds == pytest.approx(seconds)
        stops = [a, *(step.to_id for step in found.steps)]
        assert stops[-1] == b
        assert [step.from_id for step in found.steps] == stops[:-1]
        assert sum(leg.seconds for leg in found.legs) == pytest.approx(seconds)
        if step_free:
            assert not [step for step in found.steps if step.kind == "stairs"]
        assert (b in small.reachable(a, step_free=step_free)) == (found is not None)
    for a, b in best:
        there = b in small.reachable(a, step_free=step_free)
        assert (a in small.reachable(b, step_free=step_free, back=True)) is there


def test_of_equally_quick_ways_the_one_with_fewer_turns_is_taken() -> None:
    nodes: dict[str, tuple[int, Metres]] = {
        f"{x}{y}": (1, (x * 10.0, y * 10.0)) for x in range(4) for y in range(4)
    }
    edges: list[Edge] = [
        (a, b, {})
        for a, b in itertools.combinations(nodes, 2)
        if math.dist(nodes[a][1], nodes[b][1]) == 10
    ]
    found = Routes(hall(nodes, edges)).route("00", "33")
    assert found is not None
    assert found.metres == 60
    assert len(found.legs) == 2


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(0, 20, "ahead"), (350, 10, "ahead"), (0, 90, "right"), (0, 270, "left"), (90, 0, "left")],
)
def test_turns_are_seen_from_who_walks(before: float, after: float, told: str) -> None:
    assert turn(before, after) == told
    assert turn(before, before + 180) == "back"


def test_every_window_and_machine_is_reached_without_a_step_from_each_entrance(
    demo: HallMap, ways: Routes
) -> None:
    goals = [*demo.windows, *demo.machines, *demo.docks, *amenities_of(demo, "restroom")]
    entrances = [door for door in demo.openings if door.properties.is_entrance]
    assert len(entrances) == 3
    for entrance in entrances:
        reached = ways.reachable(entrance.id, step_free=True)
        assert {goal.properties.node_id for goal in goals} <= reached
    for entrance, goal in zip(itertools.cycle(entrances), goals, strict=False):
        found = ways.route(entrance.id, goal.id, step_free=True)
        assert found is not None
        kinds = {step.kind for step in found.steps}
        assert kinds <= {"walk", "ramp", "lift"}
        changes = entrance.properties.level_id != goal.properties.level_id
        assert found.changes_level is changes is ("lift" in kinds)


def test_who_asks_for_it_goes_without_steps(ways: Routes) -> None:
    quick = ways.route("terminal-01", "window-12")
    step_free = ways.route("terminal-01", "window-12", step_free=True)
    assert quick is not None
    assert step_free is not None
    assert quick.seconds < step_free.seconds
    assert "stairs" in {leg.kind for leg in quick.legs}


def test_escalators_run_one_way(ways: Routes) -> None:
    up, down = ways.route("window-3", "window-152"), ways.route("window-152", "window-3")
    assert up is not None
    assert down is not None

    def ridden(found: Route) -> list[str]:
        return [leg.landmark for leg in found.legs if leg.kind == "escalator"]

    assert ridden(up) == ["escalator-up-1"]
    assert ridden(down) == ["escalator-down-2"]


def test_the_nearest_is_nearer_than_every_other(demo: HallMap, ways: Routes) -> None:
    toilets = amenities_of(demo, "restroom", wheelchair=True)
    assert {toilet.properties.level_id for toilet in toilets} == {"level-1", "level-2"}
    for start in ("window-12", "window-73", "terminal-09", "form-26"):
        found = ways.nearest(start, toilets, step_free=True)
        assert found is not None
        every = [ways.route(start, toilet.id, step_free=True) for toilet in toilets]
        assert found.seconds == min(one.seconds for one in every if one is not None)
    printing = machines_with(demo, "ticket_printer", "id_card_reader")
    assert {machine.properties.kind for machine in printing} == {"terminal"}
    assert len(printing) == 18
    near = ways.nearest("form-20", printing)
    assert near is not None
    assert near.to_id == "terminal-18"
    assert ways.nearest("form-20", machines_with(demo, "fax")) is None


def test_a_way_is_told_in_sentences_that_can_be_read_aloud(demo: HallMap, ways: Routes) -> None:
    found = ways.route("terminal-01", "window-12", step_free=True)
    assert found is not None
    assert directions(demo, found, SAY) == [
        "背对1号自助终端，往右走约 6 米",
        "左转，走约 8 米",
        "左转，走约 8 米",
        "乘西无障碍电梯上二楼",
        "出来左转，走约 9 米",
        "右转，走约 12 米",
        "到了，12号窗口在您左手边",
    ]
    told = directions(demo, found, words("en"))
    assert told[3] == "Take West lift up to Floor 2"


def test_who_is_there_is_told_so(demo: HallMap, ways: Routes) -> None:
    found = ways.route("window-12", "window-12")
    assert found is not None
    assert (found.steps, found.metres) == ((), 0)
    assert directions(demo, found, SAY) == ["12号窗口就在这里"]


def test_every_way_of_the_hall_has_words(demo: HallMap, ways: Routes) -> None:
    starts = itertools.cycle(
        ["forecourt", "south-door", "terminal-01", "window-140", "lift-east-2"]
    )
    for start, goal in zip(starts, demo.places, strict=False):
        for step_free in (False, True):
            found = ways.route(start, goal, step_free=step_free)
            assert found is not None
            lines = directions(demo, found, SAY)
            assert 1 <= len(lines) <= 13
            assert all(lines)


def test_an_unknown_place_is_no_way_but_a_mistake(ways: Routes) -> None:
    with pytest.raises(KeyError):
        ways.route("terminal-01", "window-999")


def test_a_department_is_reached_at_its_own_windows(demo: HallMap, ways: Routes) -> None:
    for department in demo.departments:
        found = ways.route("south-door", department.id, step_free=True)
        assert found is not None
        ends = found.steps[-1].to_id
        own = [
            window.properties.node_id
            for window in demo.windows
            if window.properties.department_id == department.id
        ]
        assert ends in own


def test_queues_are_addressed_as_tickets_say_it(demo: HallMap) -> None:
    places = addresses(demo, SAY)
    assert places["market"] == "2楼A区 12-15号窗口"
    assert places["general"] == "1楼 1-4号窗口"
