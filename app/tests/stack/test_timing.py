"""The timings that depend on each other, each read where it is set."""

import re

from docker import ROOT, Project


def nginx(directive):
    """The seconds of a directive that is set once."""
    texts = [path.read_text() for path in (ROOT / "nginx").rglob("*.conf")]
    values = [value for text in texts for value in re.findall(rf"^\s*{directive} +(\d+)s;", text, re.MULTILINE)]
    assert len(values) == 1, f"{directive}: {values}"
    return int(values[0])


def app(setting):
    """The default of a setting in seconds."""
    defaults = (ROOT / "app/src/config.rs").read_text().split("impl Default for Server", 1)[1]
    return int(re.search(rf"\b{setting}: (\d+)", defaults).group(1))


def upstream(directive):
    text = (ROOT / "nginx/snippets/upstream.conf").read_text()
    return int(re.search(rf"^\s*{directive} +(\d+)s;", text, re.MULTILINE).group(1))


def test_each_timing_outlasts_the_one_it_must():
    services = Project("timing").config()["services"]
    grace = {services[slot]["stop_grace_period"] for slot in ("app-blue", "app-green")}
    chain = {
        "nginx closes an idle connection": upstream("keepalive_timeout"),
        "the handler's deadline": app("handler_deadline_s"),
        "nginx's patience": nginx("proxy_read_timeout"),
        "a drain": app("drain_s"),
        "the hard exit": app("hard_exit_s"),
        "the engine's KILL": int(*grace and [grace.pop().removesuffix("s")]),
    }
    assert list(chain.values()) == sorted(set(chain.values())), chain
    # The app never closes a connection that nginx may be about to use.
    assert app("keep_alive_s") > upstream("keepalive_timeout") + upstream("keepalive_time")
