"""Libraries of others, unmodified, against one instance that is killed while they send: every event is there, whole, once.

Each program beside this file makes all kinds of call of a library, says `sent`, and when it is told to goes on with many
events. The instance is killed by then, and started again. The program ends as programs do, without waiting for more.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The clients' tests start and kill an instance, too.
sys.path.insert(0, str(HERE.parents[1] / "clients" / "python"))
from tests.instance import Instance  # noqa: E402

TOOLS = Path(os.environ["AUDIENCE_LIBRARY_TOOLS"])
TICKS = 60
# From the kill to the next start.
AWAY_SECONDS = 1.0
LIMIT_SECONDS = 90

NODE, PYTHON, GO = ["node"], [sys.executable], []
JAVA = ["java", "-cp", f"{TOOLS / 'java'}/*"]
SEGMENT = {"viewed": 1, "before": 1, "identify": 1, "page": 1, "screen": 1, "group": 1, "order": 1, "tick": TICKS}
POSTHOG = {"viewed": 1, "before": 1, "$pageview": 1, "$screen": 1, "$groupidentify": 1, "order": 1, "tick": TICKS}
# Each library: its command, its folder, the events of its user, and the traits beside those of all.
LIBRARIES = {
    "analytics-node": (NODE + ["segment.js"], "node", SEGMENT, {}),
    "analytics-next": (NODE + ["browser.js"], "node", SEGMENT, {}),
    "analytics-next-chromium": (NODE + ["chromium.js"], "node", SEGMENT, {}),
    "rudder-sdk-node": (NODE + ["rudder.js"], "node", SEGMENT, {}),
    "posthog-node": (NODE + ["posthog.js"], "node", POSTHOG | {"identify": 2}, {"bought": True}),
    "analytics-python": (PYTHON + ["segment_library.py"], "python", SEGMENT, {}),
    "rudder-sdk-python": (PYTHON + ["rudder_library.py"], "python", SEGMENT, {}),
    "posthog-python": (PYTHON + ["posthog_library.py"], "python", POSTHOG | {"identify": 3}, {"bought": True}),
    "analytics-go": (GO + [str(TOOLS / "go" / "sender")], "go", SEGMENT, {}),
    "analytics-java": (JAVA + ["Sender.java"], "java", SEGMENT, {}),
}
TRAITS = {"plan": "pro", "city": "Köln 😀", "address": {"zip": "50667"}}


class LoggedInstance(Instance):
    """An instance with its data and its log in a directory."""

    def __init__(self, directory):
        super().__init__(f"{directory}/data", open(f"{directory}/log", "w", encoding="utf-8"))

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


class Sender:
    """A program that sends with a library."""

    def __init__(self, name, address, directory):
        self.name = name
        command, folder, self.events, traits = LIBRARIES[name]
        self.traits = TRAITS | traits
        given = os.environ | {"AUDIENCE_ADDRESS": address, "AUDIENCE_LIBRARY": name, "PYTHONPATH": f"{TOOLS / 'python'}"}
        if folder == "node":
            # Node looks for libraries beside the program.
            folder = shutil.copytree(HERE / folder, f"{directory}/node-{name}")
            os.symlink(TOOLS / "node" / "node_modules", f"{folder}/node_modules")
        else:
            folder = HERE / folder
        self.errors = open(f"{directory}/{name}", "w+", encoding="utf-8")
        self.child = subprocess.Popen(
            command, cwd=folder, env=given, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
        )

    def wait_for_half(self):
        for line in self.child.stdout:
            if line.strip() == "sent":
                return
        raise RuntimeError(f"{self.name} ended with {self.child.wait()}")

    def go_on(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def said(self):
        self.errors.seek(0)
        return self.errors.read()[-2000:]

    def faults(self, instance):
        """Each thing that is not as it should be."""
        if self.child.wait(timeout=LIMIT_SECONDS) != 0:
            yield f"it ended with {self.child.returncode}"
        user = f"{self.name}-user"
        try:
            profile = instance.ask("GET", f"/api/users/{user}")
            listed = instance.ask("GET", f"/api/users/{user}/events?limit=1000")["items"]
        except urllib.error.HTTPError as error:
            yield f"{user}: {error}"
            return
        # The first event of an id counts.
        events = list({event.get("messageId", index): event for index, event in enumerate(reversed(listed))}.values())
        counts = {}
        for event in events:
            if event["eventType"] != "alias":
                counts[event["eventType"]] = counts.get(event["eventType"], 0) + 1
        if counts != self.events:
            yield f"the events are {counts}, not {self.events}"
        if profile["eventCount"] != sum(self.events.values()):
            yield f"{profile['eventCount']} events count, not {sum(self.events.values())}"
        if any("messageId" not in event for event in events):
            yield "an event has no id"
        if sorted(event["properties"]["n"] for event in events if event["eventType"] == "tick") != list(range(1, TICKS + 1)):
            yield "a tick lacks its number"
        for name, value in self.traits.items():
            if profile["traits"].get(name) != value:
                yield f"the trait {name} is {profile['traits'].get(name)!r}, not {value!r}"
        yield from order_faults([event["properties"] for event in events if event["eventType"] == "order"])
        if any("timestampFault" in event.get("context", {}) for event in events):
            yield "a time could not be read"


def order_faults(orders):
    """Each fault of the properties of the one order."""
    for order in orders:
        whole = order.get("total") == 12.5 and order.get("lines") == [{"sku": "a", "n": 2}]
        if not whole or not str(order.get("at", "")).startswith("2026-01-02T03:04:05.678"):
            yield f"the order has {order}"


def refused(instance):
    """The messages that were refused."""
    items = instance.ask("GET", "/api/events/recent")["items"]
    return [f"refused: {item['fault']} {item['text']}" for item in items if item["outcome"] == "refused"]


def main(names):
    with tempfile.TemporaryDirectory(prefix="audience-libraries-") as directory:
        begun = time.monotonic()
        instance = LoggedInstance(directory)
        senders = [Sender(name, instance.address, directory) for name in names]
        try:
            for sender in senders:
                sender.wait_for_half()
            faults = refused(instance)
            for sender in senders:
                sender.go_on()
            time.sleep(0.1)
            instance.end(signal.SIGKILL)
            time.sleep(AWAY_SECONDS)
            instance.run()
            for sender in senders:
                found = list(sender.faults(instance))
                faults += [f"{sender.name}: {fault}" for fault in found]
                said = f"\n{sender.said()}" if found else ""
                print(f"{'FAULTY' if found else 'whole '} {sender.name}{said}", flush=True)
            faults += refused(instance)
        finally:
            for sender in senders:
                sender.child.kill()
                sender.child.wait()
            instance.end(signal.SIGTERM)
        print(*faults, f"{len(names)} libraries in {time.monotonic() - begun:.0f} s", sep="\n")
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
