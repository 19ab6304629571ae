#!/usr/bin/env python3
"""Checks of deploy/ that no tool has: alerts, their pages and tests belong together, and routes lead where they should."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
# Who hears of which labels.
ROUTES = {
    ("severity=critical",): "on-call",
    ("severity=warning",): "team",
    ("severity=info",): "marketing",
    ("severity=none", "alertname=Watchdog"): "watchdog",
}


def load(path):
    return yaml.safe_load(path.read_text())


def alerts():
    groups = load(PROMETHEUS / "rules" / "alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def check_pages(rules):
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    table = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE))
    for name in pages ^ set(rules):
        yield f"{name}: an alert and a page of docs/runbooks belong together"
    for name, rule in rules.items():
        if rule["annotations"].get("runbook") != f"docs/runbooks/{name}.md":
            yield f"{name}: its annotation names another page"
        if table.get(name) != rule["labels"]["severity"]:
            yield f"{name}: docs/runbooks/README.md has another severity"


def check_tests(rules):
    """Each alert has a moment at which it fires, and one at which it does not although its metrics are there."""
    fires, rests = set(), {"Watchdog"}
    for file in (PROMETHEUS / "tests").glob("*.yml"):
        for test in load(file)["tests"]:
            for moment in test["promql_expr_test"]:
                (fires if moment["exp_samples"] else rests).add(test["name"])
    for name in rules:
        if name not in fires:
            yield f"{name}: no test in which it fires"
        if name not in rests:
            yield f"{name}: no test in which it does not fire"


def check_routes():
    for labels, receiver in ROUTES.items():
        command = ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels]
        reached = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if reached != receiver:
            yield f"{', '.join(labels)}: reaches {reached}, not {receiver}"


def check_scrapes():
    """Debian's promtool knows no discovery of pods: it checks the rest of that file."""
    for file in (PROMETHEUS / "compose.yml", PROMETHEUS / "kubernetes.yml"):
        config = load(file)
        for scrape in config["scrape_configs"]:
            if scrape.pop("kubernetes_sd_configs", None):
                scrape["static_configs"] = [{"targets": ["pod:1"]}]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as copy:
            yaml.safe_dump(config, copy)
            copy.flush()
            checked = subprocess.run(["promtool", "check", "config", "--syntax-only", copy.name], capture_output=True, text=True)
            if checked.returncode:
                yield f"{file.name}: {checked.stderr.strip()}"


def main():
    rules = alerts()
    faults = [*check_pages(rules), *check_tests(rules), *check_routes(), *check_scrapes()]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(rules)} alerts, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
