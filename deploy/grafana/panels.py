"""The panels of every dashboard: title, unit, and queries with their legends.

A panel that needs more than `audience serve` on embedded stores says so in `needs`; tests run it where that is there.
`scripts/check-deploy` runs every query against a live platform, so a panel without data does not pass.
"""

from dataclasses import dataclass, field

# Probes and scrapes are no traffic.
TRAFFIC = 'route!~"/health/.*|/metrics|/actuator/.*"'
# The processes that the variables of a dashboard choose.
HERE = 'job=~"$job",instance=~"$instance"'


@dataclass
class Panel:
    """A panel: `kind` is `time`, `stat`, `bars` or `table`."""

    title: str
    unit: str
    queries: list
    kind: str = "time"
    text: str = ""
    needs: str = ""
    width: int = 0
    stack: bool = False
    limits: tuple = ()


@dataclass
class Dashboard:
    """A dashboard: rows of panels, and the variables that its queries use."""

    uid: str
    title: str
    text: str
    rows: list
    variables: tuple = ("job", "instance")
    tags: list = field(default_factory=list)


def rate(metric, labels="", by=""):
    """The sum of a counter's rates, by labels if there are any."""
    labels = f"{{{HERE},{labels}}}" if labels else f"{{{HERE}}}"
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{labels}[$__rate_interval]))"


def gauge(metric, by="", how="max"):
    """A gauge over the chosen processes."""
    return f"{how}{f' by ({by})' if by else ''} ({metric}{{{HERE}}})"


def quantiles(metric, labels="", by=""):
    """Median, 95th and 99th percentile of a histogram."""
    by_le = f"{by}, le" if by else "le"
    inner = rate(f"{metric}_bucket", labels, by_le)
    return [(f"histogram_quantile({q}, {inner})", name) for q, name in ((0.5, "median"), (0.95, "p95"), (0.99, "p99"))]


def stat(title, unit, query, **more):
    """One number."""
    return Panel(title, unit, [(query, "")], kind="stat", **more)


ERRORS = "job:audience_http_errors:rate5m / job:audience_http_requests:rate5m"
CPU = "instance:audience_cpu_used:ratio_rate5m"
MEMORY = "instance:audience_memory_used:ratio"
DISK = "instance:audience_data_free:ratio"
FRONTIER = gauge("audience_frontier_lag_seconds")
SHARES = (0.8, 0.9)

cpu = Panel("CPU used", "percentunit", [(f"{CPU}{{{HERE}}}", "{{job}} {{instance}}")], limits=SHARES)
memory = Panel("Memory used", "percentunit", [(f"{MEMORY}{{{HERE}}}", "{{job}} {{instance}}")], limits=SHARES)
disk = Panel(
    "Data directory",
    "bytes",
    [(gauge("audience_data_free_bytes", "instance"), "free on {{instance}}"), (gauge("audience_data_used_bytes", "instance"), "used on {{instance}}")],
)
accepted = Panel("Events accepted over HTTP", "eps", [(rate("audience_ingest_events_accepted_total", by="job"), "{{job}}")])
computed = Panel("Events computed", "eps", [(rate("audience_engine_events_total"), "events")])
changes = Panel("Membership changes", "cps", [(rate("audience_membership_changes_total", by="change"), "{{change}}")])
frontier = Panel("Age of what memberships reflect", "s", [(FRONTIER, "frontier lag")], limits=(10, 60))
waiting = Panel("Accepted events that wait", "short", [(gauge("audience_source_lag_events", "instance"), "{{instance}}")])
latency = Panel("From event to membership", "s", quantiles("audience_event_to_membership_seconds"))
components = Panel(
    "Parts that are up",
    "short",
    [(gauge("audience_component_up", "job, component", "min"), "{{job}} {{component}}")],
    kind="bars",
    text="1: the part works. 0: it is down; /actuator/health tells why.",
)
alerts = Panel("Alerts that fire", "short", [('sum by (alertname, severity) (ALERTS{alertstate="firing"})', "{{severity}}: {{alertname}}")], kind="bars", text="Each has a page in docs/runbooks.")

SYSTEM = Dashboard(
    "system-overview",
    "System overview",
    "Whether the platform works, at a glance.",
    [
        ("Now", [
            stat("Processes that answer", "short", f"sum(up{{{HERE}}})"),
            stat("Processes that take work", "short", gauge("audience_ready", how="sum")),
            stat("Alerts", "short", 'count(ALERTS{alertstate="firing",severity=~"critical|warning"}) or vector(0)'),
            stat("Events computed", "eps", rate("audience_engine_events_total")),
            stat("Age of memberships", "s", FRONTIER, limits=(10, 60)),
            stat("Failed requests", "percentunit", f"max({ERRORS})", limits=(0.01, 0.05)),
        ]),
        ("Traffic", [accepted, computed, changes, frontier]),
        ("Resources", [cpu, memory, disk, components]),
        ("Alerts", [alerts]),
    ],
)

ENGINE = Dashboard(
    "engine-overview",
    "Engine overview",
    "Ticks, latency, checkpoints and resources of the engine.",
    [
        ("Work", [computed, Panel("Ticks", "cps", [(rate("audience_engine_ticks_total"), "ticks")]), waiting, frontier]),
        ("Latency", [latency, Panel("From an edit to memberships", "s", quantiles("audience_rule_edit_to_membership_seconds"), text="The last edits; empty in a time without any.")]),
        ("State", [
            Panel("Users", "short", [(gauge("audience_users", how="sum"), "users")]),
            Panel("Age of the checkpoint", "s", [(gauge("audience_checkpoint_age_seconds", "instance"), "{{instance}}")], limits=(300, 600)),
            Panel("Last backup", "dateTimeAsIso", [(f"1000 * {gauge('audience_backup_timestamp_seconds', 'instance')}", "{{instance}}")], text="1970 where none was made.", kind="stat"),
            Panel("Duration of the checkpoint", "s", [(gauge("audience_checkpoint_duration_seconds", "instance"), "{{instance}}")]),
            Panel("Size of the checkpoint", "bytes", [(gauge("audience_checkpoint_size_bytes", "instance"), "{{instance}}")]),
        ]),
        ("Start", [
            Panel("Duration of the last start, by phase", "s", [(gauge("audience_start_phase_duration_seconds", "instance, phase"), "{{instance}} {{phase}}")], kind="bars"),
            Panel("Events brought back by the last start", "short", [(gauge("audience_start_events_done", "instance"), "done on {{instance}}"), (gauge("audience_start_events", "instance"), "to do on {{instance}}")]),
        ]),
        ("Standby", [
            Panel("Followed by a standby", "short", [(gauge("audience_standby_followed", "instance"), "{{instance}}")], text="1 while everything that is given out waits for a standby, and the lease says so."),
            Panel("Age of what the standby lacks", "s", [(gauge("audience_standby_lag_seconds", "instance"), "{{instance}}")], limits=(5, 30)),
            Panel("Events that the standby lacks", "short", [(gauge("audience_standby_lag_events", "instance"), "{{instance}}")]),
        ]),
        ("Resources", [cpu, memory]),
    ],
)

API = Dashboard(
    "api-overview",
    "API overview",
    "Requests, failures and latency of all APIs.",
    [
        ("Requests", [
            Panel("Requests", "reqps", [(f"job:audience_http_requests:rate5m{{job=~\"$job\"}}", "{{job}}")]),
            Panel("Failed requests", "percentunit", [(ERRORS, "{{job}}")], limits=(0.01, 0.05)),
            Panel("Requests by status", "reqps", [(rate("audience_http_requests_total", TRAFFIC, "status"), "{{status}}")], stack=True),
            Panel("Busiest routes", "reqps", [(f"topk(10, {rate('audience_http_requests_total', TRAFFIC, 'method, route')})", "{{method}} {{route}}")]),
        ]),
        ("Latency", [
            Panel("Latency", "s", quantiles("audience_http_request_duration_seconds", TRAFFIC), limits=(0.2, 0.5)),
            Panel("95th percentile by process", "s", [("job:audience_http_request_duration_seconds:p95_5m{job=~\"$job\"}", "{{job}}")], limits=(0.2, 0.5)),
            Panel("Slowest routes, 95th percentile", "s", [(f"topk(10, histogram_quantile(0.95, {rate('audience_http_request_duration_seconds_bucket', TRAFFIC, 'route, le')}))", "{{route}}")]),
        ]),
        ("Load", [
            Panel("Requests under way", "short", [(gauge("audience_http_requests_in_flight", "job", "sum"), "{{job}}")]),
            Panel("Clients that follow changes", "short", [(gauge("audience_http_streams", "job", "sum"), "{{job}}")]),
            accepted,
            Panel("Events rejected", "eps", [(rate("audience_ingest_events_rejected_total", by="reason"), "{{reason}}")]),
        ]),
        ("Store of memberships", [
            Panel("Reads", "reqps", [(rate("audience_serving_store_reads_total"), "reads"), (rate("audience_serving_store_read_errors_total"), "failed")], needs="segment-api"),
        ]),
    ],
)

KAFKA = Dashboard(
    "kafka-overview",
    "Kafka overview",
    "What the engine reads from Kafka, and writes to it.",
    [
        ("Events in", [
            Panel("Messages read", "mps", [(rate("audience_source_messages_total", by="source"), "{{source}}")], needs="kafka"),
            Panel("Messages that wait", "short", [(gauge("audience_source_lag_messages", "source, partition"), "{{source}} {{partition}}")], needs="kafka"),
            Panel("Time to catch up", "s", [("source:audience_source_catch_up:seconds", "{{source}}")], limits=(30, 60), needs="kafka"),
            Panel("Dead letters, lost messages and faults", "cps", [
                (rate("audience_source_dead_letters_total", by="source"), "dead letters of {{source}}"),
                (rate("audience_source_messages_lost_total", by="source"), "lost from {{source}}"),
                (rate("audience_source_errors_total", by="source"), "faults of {{source}}"),
            ], needs="kafka"),
        ]),
        ("Membership changes out", [
            Panel("Changes written", "cps", [(rate("audience_sink_changes_total", 'sink=~"kafka.*"', "sink"), "{{sink}}")], needs="kafka"),
            Panel("Ticks that wait", "short", [(f'max by (sink) (audience_sink_lag_ticks{{{HERE},sink=~"kafka.*"}})', "{{sink}}")], needs="kafka"),
            Panel("Duration of a transaction", "s", quantiles("audience_sink_write_seconds", 'sink=~"kafka.*"'), needs="kafka"),
            Panel("Faults", "cps", [(rate("audience_sink_errors_total", 'sink=~"kafka.*"', "sink"), "{{sink}}")], needs="kafka"),
        ]),
    ],
)

FLOW = Dashboard(
    "data-flow",
    "Data flow",
    "The way of an event: accepted, computed, changed, written.",
    [
        ("From left to right", [
            stat("Accepted over HTTP", "eps", rate("audience_ingest_events_accepted_total")),
            stat("Computed", "eps", rate("audience_engine_events_total")),
            stat("Changes", "cps", rate("audience_membership_changes_total")),
            stat("Waiting", "short", gauge("audience_source_lag_events", how="sum")),
            stat("Age of memberships", "s", FRONTIER, limits=(10, 60)),
            stat("Faults of stores", "cps", rate("audience_store_errors_total")),
        ]),
        ("In", [accepted, waiting, Panel("Events rejected", "eps", [(rate("audience_ingest_events_rejected_total", by="reason"), "{{reason}}")])]),
        ("Through", [computed, latency, changes]),
        ("Out", [
            Panel("Written to sinks", "cps", [(rate("audience_sink_changes_total", by="sink"), "{{sink}}")], needs="redis"),
            Panel("Ticks that sinks lag", "short", [(gauge("audience_sink_lag_ticks", "sink"), "{{sink}}")], needs="redis"),
            Panel("Duration of a write", "s", [(f"histogram_quantile(0.95, {rate('audience_sink_write_seconds_bucket', by='sink, le')})", "{{sink}}")], needs="redis"),
            Panel("Faults of sinks", "cps", [(rate("audience_sink_errors_total", by="sink"), "{{sink}}")], needs="redis"),
        ]),
        ("Webhooks", [
            Panel("Lag", "s", [(gauge("audience_webhook_lag_seconds", "webhook"), "{{webhook}}")], needs="webhook"),
            Panel("Attempts that failed", "cps", [(rate("audience_webhook_failures_total", by="webhook"), "{{webhook}}")], needs="webhook"),
        ]),
    ],
)

SIZE = "max by (segment) (audience_segment_size)"

BUSINESS = Dashboard(
    "business",
    "Business",
    "Customers and segments, without anything technical.",
    [
        ("Now", [
            stat("Customers", "short", "max(audience_users)"),
            stat("Segments", "short", f"count({SIZE})"),
            stat("Events in the last hour", "short", "sum(increase(audience_engine_events_total[1h]))"),
            stat("Entered in the last hour", "short", 'sum(increase(audience_membership_changes_total{change="entered"}[1h]))'),
            stat("Left in the last hour", "short", 'sum(increase(audience_membership_changes_total{change="left"}[1h]))'),
        ]),
        ("Growth", [
            Panel("Customers", "short", [("max(audience_users)", "customers")]),
            Panel("Events an hour", "short", [("sum(increase(audience_engine_events_total[1h]))", "events")]),
            Panel("Largest segments", "short", [(f"topk(10, {SIZE})", "{{segment}}")]),
            Panel("Share of all customers", "percentunit", [(f"topk(10, {SIZE} / on () group_left () max(audience_users))", "{{segment}}")], kind="bars"),
        ]),
    ],
    variables=(),
)

MARKETING = Dashboard(
    "marketing",
    "Marketing",
    "Sizes of segments, and how they move.",
    [
        ("Segments", [
            Panel("Members now", "short", [(f'sort_desc(max by (segment) (audience_segment_size{{segment=~"$segment"}}))', "{{segment}}")], kind="bars"),
            Panel("Members over time", "short", [('max by (segment) (audience_segment_size{segment=~"$segment"})', "{{segment}}")]),
            Panel("Growth within a day", "short", [('max by (segment) (delta(audience_segment_size{segment=~"$segment"}[1d]))', "{{segment}}")]),
            Panel("Customers who entered and left, an hour", "short", [("sum by (change) (increase(audience_membership_changes_total[1h]))", "{{change}}")]),
        ]),
        ("Campaigns", [
            Panel("Mails by state", "short", [("max by (state) (audience_mail_sends)", "{{state}}")], text="Each mail has one state; all campaigns together."),
            Panel("Mails that wait", "short", [('sum(max by (state) (audience_mail_sends{state=~"planned|claimed|handing|deferred"}))', "waiting")]),
            Panel("Mails that providers took, an hour", "short", [('sum(clamp_min(max by (state) (delta(audience_mail_sends{state=~"accepted|delivered"}[1h])), 0))', "taken")]),
            Panel("Campaigns that cannot go on", "short", [("max(audience_mail_campaigns_faulty)", "campaigns")], limits=(0.5, 1)),
            Panel("Hand-overs by outcome, a minute", "short", [("sum by (outcome) (rate(audience_mail_hand_overs_total[5m])) * 60", "{{outcome}}")], text="`not_handed` never reached the provider and is tried again; `unknown` is in doubt."),
            Panel("Share that came back or was reported", "percentunit", [('sum(max by (state) (audience_mail_sends{state=~"bounced|complained|rejected"})) / clamp_min(sum(max by (state) (audience_mail_sends{state=~"accepted|delivered|bounced|complained|rejected"})), 1)', "share")], limits=(0.02, 0.05)),
        ]),
        ("Trust in the figures", [
            stat("Sizes reflect events up to … ago", "s", "max(audience_frontier_lag_seconds)", limits=(10, 60)),
            stat("Segments that are faulty", "short", "max(audience_catalogue_faulty_documents)", limits=(0.5, 1)),
        ]),
    ],
    variables=("segment",),
)

OPERATIONS = Dashboard(
    "operations",
    "Operations",
    "For whoever is on call: what fires, what is about to, and what was restarted.",
    [
        ("Alerts", [alerts, components]),
        ("Durability", [
            Panel("Free on the data disk", "percentunit", [(f"{DISK}{{{HERE}}}", "{{instance}}")]),
            Panel("Age of the checkpoint", "s", [(gauge("audience_checkpoint_age_seconds", "instance"), "{{instance}}")], limits=(300, 600)),
            Panel("Oldest event outside the history", "s", [(gauge("audience_history_oldest_seconds", "instance"), "{{instance}}")], limits=(120, 300)),
            Panel("Faults of stores, checkpoints and history", "cps", [
                (rate("audience_store_errors_total"), "stores"),
                (rate("audience_checkpoint_errors_total"), "checkpoints"),
                (rate("audience_history_errors_total"), "history"),
            ]),
        ]),
        ("Backups", [
            Panel("Age of the last backup", "s", [(f"time() - ({gauge('audience_backup_timestamp_seconds', 'instance')} > 0)", "{{instance}}")], text="Empty where none was made.", limits=(93600, 180000)),
            Panel("Checkpoints passed over by starts", "short", [(gauge("audience_checkpoints_passed_over_total", "instance"), "{{instance}}")]),
            Panel("Since the audit log was found changed", "s", [(f"time() - ({gauge('audience_audit_fault_timestamp_seconds', 'instance')} > 0)", "{{instance}}")], text="Empty where it never was."),
        ]),
        ("At the door", [
            Panel("Requests beyond a quota", "reqps", [(rate("audience_quota_refused_total", by="job, quota"), "{{job}} {{quota}}")]),
            Panel("Quotas that each process counted for itself", "cps", [(rate("audience_quota_store_errors_total", by="job"), "{{job}}")], text="Redis did not answer."),
            Panel("Requests refused", "reqps", [(rate("audience_auth_refused_total", by="reason"), "{{reason}}")]),
            Panel("Attempts to sign in", "cps", [(rate("audience_auth_sign_ins_total", by="outcome"), "{{outcome}}")]),
            Panel("Requests for tokens", "cps", [(rate("audience_auth_tokens_total", by="outcome"), "{{outcome}}")]),
        ]),
        ("Processes", [
            Panel("Uptime", "s", [(f"time() - process_start_time_seconds{{{HERE}}}", "{{job}} {{instance}}")]),
            Panel("Restarts by the supervisor", "short", [(gauge("audience_worker_restarts_total", "job, instance"), "{{job}} {{instance}}")]),
            Panel("Open files", "percentunit", [(f"process_open_fds{{{HERE}}} / process_max_fds", "{{job}} {{instance}}")], limits=SHARES),
            Panel("Version", "short", [(gauge("audience_build_info", "job, version, commit", "sum"), "{{job}} {{version}} {{commit}}")], kind="bars"),
        ]),
        ("Resources", [cpu, memory]),
    ],
)

DASHBOARDS = [SYSTEM, KAFKA, ENGINE, API, FLOW, BUSINESS, OPERATIONS, MARKETING]
