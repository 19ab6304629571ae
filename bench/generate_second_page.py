#!/usr/bin/env python3
"""Makes a workload of the second page of the rule language from a seed: orders with lines, cancellations, zones, and rules.

usage: generate_second_page.py OUTDIR [--users 200000] [--events 2000000] [--rules 1000] [--seed 7]

Writes, into OUTDIR:
  events.ndjson  one event a line, in the order of time over 90 days: visits, orders of one to three lines, cancellations of
                 one order in ten, refunds, and each user's `identify` with a zone first. Low user ids are busier.
  rules.json     [{"id", "name", "rules": {...}}] of seven kinds in turn: calendar windows in a zone, the same in the user's
                 zone, lines of orders (`each`), orders not cancelled (`unless`), absence in sequences, measures of the second
                 page, comparisons of two values. A kind has a few tens of measures; rules differ in the numbers that they ask for.

The same arguments give the same bytes. Needs nothing but Python 3; 2,000,000 events take half a minute and 400 MB.
Replay it with: audience replay --events OUTDIR/events.ndjson --rules OUTDIR/rules.json
"""
import argparse
import json
import pathlib
import random

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "UTC"]
KINDS = ["toy", "book", "food", "tool", "garden"]
START_MS, SPAN_MS = 1_700_000_000_000, 90 * 86_400_000


def calendar(rng, zone):
    unit, most = rng.choice([("day", 7), ("week", 4), ("month", 2)])
    first = rng.randint(0, most)
    window = {"calendar": unit, "from": -first, "to": -rng.randint(0, first), "zone": zone}
    if rng.random() < 0.5:
        return {"event": "visit", "within": window, "operator": "gte", "value": rng.randint(1, 20)}
    spent = {"fn": "sum", "of": "total"}
    return {"event": "order", "measure": spent, "within": window, "operator": "gte", "value": rng.randint(10, 500)}


def lines(rng):
    where = {"field": "item.kind", "operator": "eq", "value": rng.choice(KINDS)}
    measure = rng.choice(["count", {"fn": "sum", "of": ["item.price", "item.quantity"]}])
    rule = {"event": "order", "each": "lines", "where": where, "measure": measure}
    return {**rule, "operator": "gte", "value": rng.randint(1, 200)}


def uncancelled(rng):
    measure = rng.choice(["count", {"fn": "sum", "of": "total"}])
    rule = {"event": "order", "measure": measure, "unless": {"event": "cancelled", "same": "order"}}
    if rng.random() < 0.5:
        rule["within"] = rng.choice(["7d", "30d", {"last": "2mo"}])
    return {**rule, "operator": "gte", "value": rng.randint(1, 300)}


def absence(rng):
    wait = {"not": {"event": "order"}, "for": rng.choice(["2h", "1d", "7d"])}
    return {"sequence": [{"event": "visit"}, wait], "within": rng.choice(["1d", "8d", "30d"])}


def measures(rng):
    measure, most = rng.choice([
        ({"fn": "weeks"}, 12), ({"fn": "months"}, 3), ({"fn": "sessions", "gap": "30m"}, 20),
        ({"fn": "median", "of": "total"}, 200), ({"fn": "days", "zone": "user"}, 20),
    ])
    event = "order" if measure["fn"] == "median" else "visit"
    return {"event": event, "measure": measure, "operator": "gte", "value": rng.randint(1, most)}


def compared(rng):
    within = rng.choice([{}, {"within": "30d"}, {"within": {"calendar": "month", "from": 0}}])
    left, right = rng.choice([("refund", "order"), ("cancelled", "order"), ("order", "visit")])
    return {"left": {"event": left, **within}, "operator": rng.choice(["gt", "gte"]), "right": {"event": right, **within}}


RULES = [lambda rng: calendar(rng, rng.choice(ZONES)), lambda rng: calendar(rng, "user"), lines, uncancelled, absence,
         measures, compared]


def user_events(user, events, rng):
    """A user's events as (time, JSON): the zone first, then what they do."""
    name = f'"userId":"u{user}"'
    at = START_MS + rng.randrange(86_400_000)
    yield at, f'{{{name},"eventType":"identify","timestamp":{at},"traits":{{"timezone":"{rng.choice(ZONES)}"}}}}'
    order = 0
    for _ in range(events - 1):
        at, share = START_MS + rng.randrange(SPAN_MS), rng.random()
        if share < 0.8:
            yield at, f'{{{name},"eventType":"visit","timestamp":{at}}}'
            continue
        order += 1
        properties = f'"order":"{user}-{order}"'
        if share < 0.98:
            bought = [(rng.choice(KINDS), rng.randint(1, 90), rng.randint(1, 3)) for _ in range(rng.randint(1, 3))]
            items = ",".join(f'{{"kind":"{kind}","price":{price},"quantity":{count}}}' for kind, price, count in bought)
            total = sum(price * count for _, price, count in bought)
            yield at, (f'{{{name},"eventType":"order","timestamp":{at},"properties":{{{properties},"total":{total},'
                       f'"lines":[{items}]}}}}')
            if rng.random() >= 0.1:
                continue
            at += rng.randrange(3 * 86_400_000)
        kind = "refund" if share >= 0.98 else "cancelled"
        yield at, f'{{{name},"eventType":"{kind}","timestamp":{at},"properties":{{{properties}}}}}'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUTDIR")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    rules = [{"id": f"seg-{i:05d}", "name": f"Segment {i}", "rules": RULES[i % len(RULES)](rng)} for i in range(args.rules)]
    (args.out / "rules.json").write_text(json.dumps(rules))
    counts = [1] * args.users
    for _ in range(args.events - args.users):
        counts[int(rng.random() ** 2 * args.users)] += 1
    events = [event for user, count in enumerate(counts) for event in user_events(user, count, rng)]
    events.sort(key=lambda event: event[0])
    with open(args.out / "events.ndjson", "w", buffering=1 << 20) as file:
        file.writelines(f"{line}\n" for _, line in events[: args.events])


if __name__ == "__main__":
    main()
