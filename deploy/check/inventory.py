"""The inventory of all metrics, docs/metrics.md, as the processes of a live platform give them."""

import os
import re
from dataclasses import dataclass, field

from platform_of_tests import DEPLOY, call

PAGE = DEPLOY.parent / "docs" / "metrics.md"
HEAD = """# Metrics

Every process answers `/metrics` in OpenMetrics form, also while it starts: then with the metrics of the process and of its start.
No label carries a user's id. Dashboards and alerts are in [deploy/](../deploy/README.md).

This page is written from running processes: `AUDIENCE_UPDATE=1 scripts/check-deploy --live`, with `scripts/services` running.
For stores of profiles, `audience_sink_lag_events` and `audience_sink_lag_users` appear with their first value alone; all other series
with a fixed set of labels are there at 0 from the start. A process with TLS has `audience_tls_certificate_expires_timestamp_seconds`,
`audience_tls_certificate_fault` and `audience_tls_handshakes_failed_total`. One with [tenants](tenants.md) has
`audience_tenant_ready`, `audience_tenant_events_total` and `audience_tenant_users`, by `tenant`.

| Metric | Kind | Labels | Processes | Meaning |
|---|---|---|---|---|
"""
SAMPLE = re.compile(r"^([a-z0-9_]+)(?:\{(.*)\})? ")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass
class Metric:
    kind: str
    help: str
    labels: set = field(default_factory=set)
    processes: set = field(default_factory=set)


def parse(text):
    """The metrics of one process by name, as they are queried."""
    found, helps, current = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, text_of = line.split(" ", 3)
            helps[name] = text_of.rstrip(".")
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            current = Metric(kind, helps.get(name, ""))
            found[name + ("_total" if kind == "counter" else "")] = current
        elif sample := SAMPLE.match(line):
            labels = re.findall(r'(?:^|,)([a-z_]+)="', sample[2] or "")
            current.labels |= set(labels) - {"le"}
    return found


def gather(platform):
    """The metrics of all processes, with those that have each."""
    metrics = {}
    for process, port in platform.jobs.items():
        for name, metric in parse(call(platform.at(port, "/metrics"), headers=platform.key)).items():
            known = metrics.setdefault(name, metric)
            known.labels |= metric.labels
            known.processes.add(process.removeprefix("audience-"))
    return metrics


def page(metrics, processes):
    rows = []
    for name, metric in sorted(metrics.items()):
        where = "all" if len(metric.processes) == processes else ", ".join(sorted(metric.processes))
        labels = ", ".join(f"`{label}`" for label in sorted(metric.labels))
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {where} | {metric.help} |\n")
    return HEAD + "".join(rows)


def check(platform, faults):
    """Holds the page to the processes, as far as they are all there."""
    metrics = gather(platform)
    if "segment-api" in platform.parts:
        wanted = page(metrics, len(platform.jobs))
        if os.environ.get("AUDIENCE_UPDATE"):
            PAGE.write_text(wanted)
        if PAGE.read_text() != wanted:
            faults.append("docs/metrics.md is not what the processes say; its third paragraph says how to write it")
        return
    text = PAGE.read_text()
    faults.extend(f"docs/metrics.md lacks {name}" for name in metrics if f"| `{name}` |" not in text)
