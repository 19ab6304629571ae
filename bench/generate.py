#!/usr/bin/env python3
"""Makes the workload of the side-by-side benchmark from a seed: events, rules, and what the rules' fields mean.

usage: generate.py OUTDIR [--users 200000] [--events 2000000] [--rules 1000] [--seed 7]

Writes, into OUTDIR:
  events.ndjson  one event a line: userId, eventType, timestamp (ms, rising, over 90 days), properties (a category;
                 an amount for a purchase). Low user ids are busier.
  features.json  [{"name", "aggregate", "event", "property"?, "where"?}]: the 47 aggregates a rule can name, each over
                 all of a user's events so far.
  rules.json     [{"id", "name", "rules": {...}}]: leaves {"field", "operator", "value"}, where a field is the name of
                 a feature, under nested {"logic": "AND" | "OR" | "NOT", "conditions": [...]}.

The same arguments give the same bytes. Rules and events are drawn from one stream of random numbers, so another
--rules gives other events too, of the same distribution: compare two engines on one OUTDIR, never across two.

Needs numpy 2 (`bench/flink/run --install` puts it into bench/.cache/venv). A workload of 2,000,000 events takes some
6 seconds and 209 MB.
"""
import argparse
import json
import pathlib

import numpy as np

TYPES = ["page_view", "click", "add_to_cart", "purchase", "login"]
TYPE_SHARES = [0.60, 0.20, 0.10, 0.08, 0.02]
CATEGORIES = [f"cat{i:02d}" for i in range(20)]
OPERATORS = ["gt", "gte", "lt", "lte"]
OPERATOR_SHARES = [0.45, 0.35, 0.1, 0.1]
SCALES = {"count": 12.0, "sum": 300.0, "max": 120.0}  # mean of the values that a feature is compared with
START_MS, SPAN_MS = 1_700_000_000_000, 90 * 86_400_000
BATCH = 200_000  # events drawn at a time; another number gives other events


def make_features():
    spent = {"event": "purchase", "property": "amount"}
    out = [{"name": f"{t}_count", "aggregate": "count", "event": t} for t in TYPES]
    out.append({"name": "totalSpent", "aggregate": "sum", **spent})
    out.append({"name": "maxPurchase", "aggregate": "max", **spent})
    for c in CATEGORIES:
        where = [{"field": "category", "operator": "equals", "value": c}]
        out.append({"name": f"views_{c}", "aggregate": "count", "event": "page_view", "where": where})
        out.append({"name": f"spent_{c}", "aggregate": "sum", **spent, "where": where})
    return out


def make_leaf(rng, features):
    feature = features[int(rng.integers(len(features)))]
    value = float(np.round(rng.exponential(SCALES[feature["aggregate"]]), 2))
    if feature["aggregate"] == "count":
        value = float(int(value) + 1)
    operator = OPERATORS[int(rng.choice(4, p=OPERATOR_SHARES))]
    leaf = {"field": feature["name"], "operator": operator, "value": value}
    return {"logic": "NOT", "conditions": [leaf]} if rng.random() < 0.1 else leaf


def make_rule(i, rng, features):
    leaves = [make_leaf(rng, features) for _ in range(int(rng.integers(2, 5)))]
    # The first leaf is always a lower bound of at least 1, so that no rule holds for everyone.
    field, value = leaves[0].get("field", "page_view_count"), leaves[0].get("value", 1.0)
    leaves[0] = {"field": field, "operator": "gte", "value": max(1.0, value)}
    if len(leaves) >= 3 and rng.random() < 0.5:
        leaves = [leaves[0], {"logic": "OR", "conditions": leaves[1:]}]
    return {"id": f"seg-{i:05d}", "name": f"Segment {i}", "rules": {"logic": "AND", "conditions": leaves}}


def event_lines(start, n, args, rng):
    users = (rng.random(n) ** 2 * args.users).astype(int)
    types = rng.choice(len(TYPES), n, p=TYPE_SHARES)
    categories = rng.integers(0, len(CATEGORIES), n)
    amounts = np.round(rng.lognormal(3.2, 0.9, n), 2)
    step = SPAN_MS / args.events
    for i in range(n):
        kind = TYPES[types[i]]
        amount = f',"amount":{amounts[i]}' if kind == "purchase" else ""
        yield (f'{{"userId":"u{users[i]}","eventType":"{kind}","timestamp":{int(START_MS + (start + i) * step)},'
               f'"properties":{{"category":"{CATEGORIES[categories[i]]}"{amount}}}}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUTDIR")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    features = make_features()
    (args.out / "features.json").write_text(json.dumps(features))
    (args.out / "rules.json").write_text(json.dumps([make_rule(i, rng, features) for i in range(args.rules)]))
    with open(args.out / "events.ndjson", "w", buffering=1 << 20) as f:
        for start in range(0, args.events, BATCH):
            f.writelines(event_lines(start, min(BATCH, args.events - start), args, rng))


if __name__ == "__main__":
    main()
