"""A deploy that is ended from outside, at every step of its plan: the stack serves, and the next one goes on."""

import re
import signal

import pytest
from releases import Releases, failed, failures, start


@pytest.fixture(scope="module")
def releases(stack):
    return Releases(stack)


@pytest.fixture(scope="module")
def admin(stack):
    return stack.accept(stack.invite("impatient@example.org", "--admin"))


def end_at_the_first_new_step(stack, known, number):
    """The words of the step, or None when there was none and the deploy came to its end; and all that it said."""
    process = start(stack, "deploy.sh", "--wait")
    said, step = "", None
    for line in process.stdout:
        said += line
        if (found := re.match(r" ?\d+\. (.+)", line)) and found[1] not in known:
            step = found[1]
            process.send_signal(number)
            break
    said += process.communicate(timeout=120)[0]
    assert step or process.returncode == 0, said
    return step, said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_at_every_step(stack, releases, admin, number):
    before = releases.current()
    releases.new()
    loads = releases.fire(stack.token(admin), 50)
    known = []
    while True:
        step, said = end_at_the_first_new_step(stack, known, number)
        if step is None:
            break
        known.append(step)
        if number == signal.SIGTERM:
            assert f"Interrupted while it was at: {step}" in said and re.search("goes on from there|Nothing was changed", said), said
        for path in ("/", "/health/ready"):
            assert stack.request("GET", path)[0] == 200, f"after {step}"
    reports = releases.cease(loads)
    # All there is to a release of the application, in its order. (A slot that was replaced before it was interrupted is watched in the whole.)
    plan = "Ship Try Hold Check Make Bring Put Replace Replace Switch Watch"
    assert " ".join(step.split()[0] for step in known if not step.startswith("Watch app-")) == plan, known
    assert releases.previous() == before and releases.runs(releases.current())
    endings = [act[3] for act in releases.acts()[-len(known) :]]
    assert endings[-1] == "ok" and set(endings[:-1]) == {"interrupted" if number == signal.SIGTERM else "killed"}
    assert failed(reports) == 0, failures(reports)
    releases.check_writes(loads)
