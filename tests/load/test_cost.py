"""Processor time by size of input, in short: `make fuzz-cost` measures all of it."""

import re
from collections.abc import Callable

import pytest
from flask import Flask, Response, request

from benchmarks.load.cost import Cost, Place, base_cost, costs, grows_too_fast, measure, places, to_report

# Ratios of processor time are compared, of the same code in the same process: how fast the machine is cancels out.
SIZES = (5_000, 50_000)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # files of forms that were refused half read
@pytest.mark.parametrize("kind", sorted({place.kind for place in places()}))
def test_no_input_costs_more_than_its_size_explains(app: Flask, kind: str) -> None:
    least = base_cost(app)
    found = list(costs(app, SIZES, kind, step=6))
    assert found
    assert [(cost.place.name, cost.token, cost.faults) for cost in found if cost.faults] == []
    assert [(cost.place.name, cost.token, cost.growth) for cost in found if grows_too_fast(cost, least)] == []


def call(view: Callable[[bytes], object]) -> tuple[Cost, float]:
    """The cost of bodies in an app that calls `view` with them, and of a small request."""
    app = Flask(__name__)

    @app.post("/api/v1/predict")
    def predict() -> Response:
        view(request.get_data())
        return Response("{}", content_type="application/json")

    (place,) = (place for place in places() if place.name == "a whole body")
    return measure(app, place, b"a", (1_000, 10_000)), base_cost(app)


def test_quadratic_regular_expression_would_be_found() -> None:
    assert grows_too_fast(*call(lambda body: re.search(rb"a*b", body)))
    assert not grows_too_fast(*call(lambda body: re.search(rb"ab", body)))


def test_costly_input_and_large_problem_break_the_report() -> None:
    place = Place("JSON", "a body")
    assert not to_report([Cost(place, b"a", (0.001, 0.01, 0.1), ())], 0.001).broken
    assert to_report([Cost(place, b"a", (0.01, 0.11, 1.1), ())], 0.001).broken
    assert to_report([Cost(place, b"a", (0.001, 0.01, 0.9), ())], 0.001).broken
    assert to_report([Cost(place, b"a", (0.001, 0.01, 0.1), ("answered 500",))], 0.001).broken
