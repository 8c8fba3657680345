"""Detection of requests whose end was found in the wrong place."""

import pytest

from benchmarks.load import smuggling
from benchmarks.load.smuggling import Exchange


@pytest.mark.parametrize(
    ("responses", "fault"),
    [
        (Exchange((200, 200), ("odd", "smuggled")), "wrong end"),
        (Exchange((200, 200, 200), ("odd", "smuggled", "after")), "wrong end"),
        (Exchange((200,), ("after",)), "wrong end"),
        (Exchange((200, 200, 200), ("odd", "after", "after")), "wrong end"),
        (Exchange((500,), ("odd",)), "server error"),
    ],
)
def test_faults_are_found(responses: Exchange, fault: str) -> None:
    (found,) = smuggling.faults("a name", "gunicorn", responses)
    assert fault in found


@pytest.mark.parametrize(
    "responses",
    [
        Exchange((200, 200), ("odd", "after")),
        Exchange((400,), ("random",)),
        Exchange((501,), ("random",)),
        Exchange((), ()),
    ],
)
def test_refused_and_answered_requests_are_no_faults(responses: Exchange) -> None:
    assert not smuggling.faults("a name", "gunicorn", responses)
