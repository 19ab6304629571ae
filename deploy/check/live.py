#!/usr/bin/env python3
"""Runs every query of the dashboards and rules against a Prometheus that scrapes a live platform.

    deploy/check/live.py PROGRAM

Fails for a panel without data, for a query that names a metric that is not there, and for an alert that a healthy platform
raises; docs/metrics.md must have every metric. Panels that need Kafka, Redis or `segment-api` are run where AUDIENCE_TEST_KAFKA, AUDIENCE_TEST_POSTGRES and
AUDIENCE_TEST_REDIS name servers, else they are counted as not run.
"""

import re
import sys
import tempfile
import time

import yaml

import inventory
from platform_of_tests import DEPLOY, Platform

sys.path.insert(0, str(DEPLOY / "grafana"))
from panels import DASHBOARDS  # noqa: E402

# Seconds of traffic before queries are run: several scrapes, and a checkpoint.
WARM_UP = 25
# Seconds within which figures of dashboards and of the API are the same: a scrape lags by one.
FIGURES_WITHIN = 30
METRIC = re.compile(r"\b(?:[a-z]+:)?(?:audience|process)_[a-z0-9_:]+\b|\bALERTS\b|\bup\b")


def metrics(expression):
    """The metrics that an expression names; labels and strings are none."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(METRIC.findall(bare))


def here(expression):
    """A panel's query with the variables of a dashboard that shows everything."""
    return re.sub(r"\$(job|instance|segment)\b", ".*", expression.replace("$__rate_interval", "20s"))


def has_data(series):
    return any(one["value"][1] != "NaN" for one in series)


def check_panels(platform, faults):
    """Runs every panel; returns how many were run, and how many need what is not here."""
    run = left_out = 0
    known = platform.names()
    for board in DASHBOARDS:
        for _, panels in board.rows:
            for panel in panels:
                if panel.needs and panel.needs not in platform.parts:
                    left_out += 1
                    continue
                for query, _ in panel.queries:
                    run += 1
                    place = f"{board.uid}, {panel.title}: {query}"
                    missing = metrics(query) - known
                    if missing:
                        faults.append(f"{place}: there is no {', '.join(sorted(missing))}")
                    elif not has_data(platform.query(here(query))):
                        faults.append(f"{place}: no data")
    return run, left_out


def figures(platform):
    """What dashboards show and what the API says, of the same things: pairs by name."""
    system = platform.ask("/api/system")

    def shown(query, label=""):
        series = platform.query(query)
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in series}

    sizes = {one["id"]: one["size"] for one in platform.ask("/api/segments?limit=100")["items"] if one.get("size") is not None}
    queries = dict(query for panel in panels_of("business", "marketing") for query in [(panel.title, panel.queries[0][0])])
    members = shown(here(queries["Members now"]), "segment")
    return {
        "customers": (shown(queries["Customers"])[""], system["users"]),
        "segments": (shown(queries["Segments"])[""], len(sizes)),
        "members": ({segment: members.get(segment) for segment in sizes}, sizes),
        "mails": (sum(shown(queries["Mails by state"], "state").values()), mails(platform)),
    }


def panels_of(*uids):
    return [panel for board in DASHBOARDS if board.uid in uids for _, panels in board.rows for panel in panels]


def mails(platform):
    """The mails of all campaigns by the API."""
    return sum(sum(one["stats"].values()) for one in platform.ask("/api/campaigns")["items"])


def check_figures(platform, faults):
    """What dashboards show is what the API says, once nothing is sent any more: people of the demo come and go all the while."""
    platform.stopping.set()
    for _ in range(FIGURES_WITHIN):
        time.sleep(1)
        pairs = figures(platform)
        if all(shown == said for shown, said in pairs.values()):
            return len(pairs)
    faults += [f"{name}: dashboards show {shown}, and the API says {said}" for name, (shown, said) in pairs.items() if shown != said]
    return len(pairs)


def check_rules(platform, faults):
    """Every metric of a rule exists, every bound of a latency is a bound of its buckets, and nothing fires."""
    known = platform.names()
    for file in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                missing = {metric for metric in metrics(rule["expr"]) - known if needs(metric) <= platform.parts}
                if missing:
                    faults.append(f"{name}: there is no {', '.join(sorted(missing))}")
    for bound, metric in ((0.5, "audience_http_request_duration_seconds"), (0.2, "audience_http_request_duration_seconds")):
        if not has_data(platform.query(f'{metric}_bucket{{le="{bound}"}}')):
            faults.append(f"{metric} has no bucket at {bound}, and alerts compare with it")
    allowed = {"Watchdog"} | (set() if "segment-api" in platform.parts else {"AudienceDown"})
    for series in platform.query("ALERTS"):
        if series["metric"]["alertname"] not in allowed:
            faults.append(f"a healthy platform raises {series['metric']}")


def needs(metric):
    """The parts without which a metric has no series."""
    if metric.startswith(("audience_source_messages", "audience_source_lag_messages", "audience_source_dead", "source:")):
        return {"kafka"}
    if metric.startswith("audience_tls_"):
        return {"tls"}  # The live platform speaks in the clear.
    return {"redis"} if metric.startswith("audience_sink_") else set()


def main():
    faults = []
    with tempfile.TemporaryDirectory() as directory, Platform(sys.argv[1], directory) as platform:
        platform.back_up()
        time.sleep(WARM_UP)
        run, left_out = check_panels(platform, faults)
        check_rules(platform, faults)
        inventory.check(platform, faults)
        compared = check_figures(platform, faults)
        parts = ", ".join(sorted(platform.parts))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{run} queries run with {parts}; {left_out} panels not run; {compared} figures compared with the API; {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
