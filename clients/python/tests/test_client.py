"""The client and the sender against a running instance."""
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from audience_manager import ApiError, AudienceManager, EventSender, SenderFull, TextBody

from .instance import ROOT, Instance

EVENTS = 4_000
USERS = 10


class WithInstance(unittest.TestCase):
    def setUp(self):
        self.instance = Instance()
        self.addCleanup(self.instance.stop)
        self.client = AudienceManager(self.instance.address)


# The answers that the program adds to every operation, since they come before a route is asked.
ANSWERS_OF_THE_DOOR = {"401": "SignIn", "403": "Forbidden", "414": "AddressTooLong", "431": "HeadTooLong"}


def without_the_door(description):
    """A description without what the program adds of the needs of its routes."""
    for item in description["paths"].values():
        for operation in item.values():
            if not isinstance(operation, dict):
                continue
            operation.pop("security", None)
            operation.pop("x-permission", None)
            answers = operation["responses"]
            for status, name in ANSWERS_OF_THE_DOOR.items():
                if answers.get(status) == {"$ref": f"#/components/responses/{name}"}:
                    del answers[status]
    return description


class Operations(WithInstance):
    def test_operations_have_their_parameters_bodies_and_answers(self):
        client = self.client
        rules = {"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 100}
        segment = client.create_segment({"id": "a/b", "name": "Spenders", "rules": rules}, author="Zoë")
        self.assertEqual((segment["id"], segment["version"], segment["updatedBy"]), ("a/b", 1, "Zoë"))
        client.send_events({"userId": "u 1", "eventType": "purchase", "properties": {"amount": 150}})
        members = []
        for _ in range(100):
            members = client.list_members("a/b", limit=10)["items"]
            if members:
                break
        self.assertEqual(members, ["u 1"])
        self.assertEqual(client.list_members("a/b", format="csv"), "userId\r\nu 1\r\n")
        client.create_segment({"id": "list", "name": "List", "type": "STATIC", "members": []})
        imported = client.add_members("list", TextBody("text/csv", "userId\nx\ny\n"), dry_run=True)
        self.assertEqual(imported["added"], 2)
        self.assertIsNone(client.delete_segment("list", if_match='"1"'))

    def test_a_refusal_is_an_error_with_its_code_and_places(self):
        with self.assertRaises(ApiError) as raised:
            self.client.read_segment("nothing")
        self.assertEqual((raised.exception.status, raised.exception.code), (404, "not_found"))
        with self.assertRaises(ApiError) as raised:
            self.client.preview_segment({"rules": {"event": "x", "operator": "near"}})
        self.assertEqual([fault["pointer"] for fault in raised.exception.errors], ["/rules/operator"])

    def test_the_clients_are_made_of_what_the_program_describes(self):
        sys.path.insert(0, os.environ.get("AUDIENCE_CLIENTS", str(Path(ROOT) / "clients")))
        import generate

        self.assertEqual(without_the_door(generate.description()), without_the_door(self.client.openapi()))

    def test_changes_are_followed(self):
        self.client.create_segment({"id": "seen", "name": "Seen", "rules": {"event": "seen"}})
        found = []

        def follow():
            for event in self.client.follow_changes(segment=["seen"]):
                if event.data and "userId" in event.data:
                    found.append((event.event, event.data["userId"]))
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        # Until the stream is open, a change may come before it.
        for number in range(100):
            self.client.send_events({"userId": f"s{number}", "eventType": "seen"})
            follower.join(0.05)
            if not follower.is_alive():
                break
        self.assertEqual([event for event, _ in found], ["entered"])


class Sender(WithInstance):
    def test_a_server_that_is_killed_in_between_has_everything_once_in_the_end(self):
        retries = []
        sender = EventSender(
            self.instance.address,
            batch_events=40,
            backoff_seconds=0.02,
            max_backoff_seconds=0.2,
            on_retry=lambda *given: retries.append(given),
        )
        sent = set()
        for number in range(EVENTS):
            sent.add(f"m{number}")
            sender.send({"userId": f"u{number % USERS}", "eventType": "e", "messageId": f"m{number}"})
            if number % 1_000 == 500:
                # Some batches are on their way, and one may be on disk without its answer.
                while sender.waiting > 300:
                    time.sleep(0.001)
                self.instance.end(signal.SIGKILL)
                time.sleep(0.15)
                self.instance.run()
        self.assertEqual(sender.close(60), 0)
        self.assertTrue(retries, "the server was never away: this test has tested nothing")
        arrived = []
        for user in range(USERS):
            export = self.client.export_user(f"u{user}")
            self.assertEqual(export["eventCount"], EVENTS / USERS)
            arrived += [event["messageId"] for event in export["events"]]
        self.assertEqual(set(arrived), sent)

    def test_what_is_refused_is_told_and_bounds_are_kept(self):
        refused = []
        sender = EventSender(
            self.instance.address, batch_events=10, flush_seconds=60, max_waiting=3, on_refused=refused.extend
        )
        sender.send({"userId": "r", "eventType": "ok"})
        sender.send({"eventType": "nobody"})
        sender.send({"userId": "r", "eventType": "ok"})
        with self.assertRaises(SenderFull):
            sender.send({"userId": "r", "eventType": "ok"})
        self.assertEqual(sender.close(), 0)
        self.assertEqual([(one.event["eventType"], one.code) for one in refused], [("nobody", "missing_member")])
        self.assertEqual(self.client.read_user("r")["eventCount"], 2)
        with self.assertRaises(ValueError):
            sender.send({"userId": "r", "eventType": "ok"})

    def test_what_waits_when_the_program_ends_is_sent(self):
        script = f"""
from audience_manager import EventSender
sender = EventSender({self.instance.address!r}, flush_seconds=60)
for _ in range(3):
    sender.send({{"userId": "last", "eventType": "e"}})
"""
        subprocess.run([sys.executable, "-c", script], check=True)
        self.assertEqual(self.client.read_user("last")["eventCount"], 3)

    def test_large_events_go_in_several_requests(self):
        with EventSender(self.instance.address, batch_events=10_000, exit_seconds=60) as sender:
            for _ in range(40):
                sender.send({"userId": "large", "eventType": "e", "properties": {"text": "x" * 250 * 1024}})
        self.assertEqual(self.client.read_user("large")["eventCount"], 40)


class Batches(unittest.TestCase):
    def test_a_batch_that_is_too_large_goes_in_halves_and_repeats_keep_their_key(self):
        requests = []

        def send_events(events, *, idempotency_key):
            requests.append((idempotency_key, list(events)))
            if len(events) > 2:
                raise ApiError(413, {})
            if len(requests) == 3:
                raise ConnectionResetError
            return {"accepted": len(events), "rejected": []}

        sender = EventSender("http://nowhere", batch_events=5, backoff_seconds=0.001)
        sender._client.send_events = send_events
        for number in range(5):
            sender.send({"userId": "u", "eventType": f"e{number}"})
        self.assertEqual(sender.close(), 0)
        self.assertEqual([len(events) for _, events in requests], [5, 3, 2, 2, 3, 2, 1])
        self.assertEqual(requests[2], requests[3], "what failed came again as it was")
        self.assertEqual(len({key for key, _ in requests}), 6)
        taken = [events for _, events in requests[3:] if len(events) <= 2]
        names = [event["eventType"] for events in taken for event in events]
        self.assertEqual(names, ["e0", "e1", "e2", "e3", "e4"])


if __name__ == "__main__":
    unittest.main()
