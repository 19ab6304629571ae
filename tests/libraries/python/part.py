"""The two parts of a sender: all kinds of call, and after a word from outside, while the platform is killed, many events."""
import os
from datetime import datetime, timezone

ADDRESS = os.environ["AUDIENCE_ADDRESS"]
NAME = os.environ["AUDIENCE_LIBRARY"]
USER, ANONYMOUS, OLD = (f"{NAME}-{which}" for which in ("user", "anonymous", "old"))
TRAITS = {"plan": "pro", "city": "Köln 😀", "address": {"zip": "50667"}}
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
ORDER = {"total": 12.5, "lines": [{"sku": "a", "n": 2}], "at": AT, "none": None}
TICKS = range(1, 61)


def half():
    """Says that the first part is sent, and waits for the word to go on."""
    print("sent", flush=True)
    input()
