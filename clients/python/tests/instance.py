"""An instance of a test's own, which can be killed and started again at the same address."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target")))
PROGRAM = os.environ.get("AUDIENCE_PROGRAM", str(TARGET / "debug" / "audience"))


class Instance:
    """Keeps its data in `data`, or in a directory of its own; its log goes to `log`."""

    def __init__(self, data=None, log=subprocess.DEVNULL):
        self.data, self.log = data or tempfile.mkdtemp(prefix="audience-client-"), log
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        self.address = f"http://127.0.0.1:{self.ports[0]}"
        self.run()

    def run(self):
        listen, ingest = (f"127.0.0.1:{port}" for port in self.ports)
        given = [PROGRAM, "serve", "--data", self.data, "--listen", listen, "--listen-ingest", ingest]
        self.child = subprocess.Popen(given, stdout=subprocess.PIPE, stderr=self.log, text=True)
        for line in self.child.stdout:
            if "ready on" in line:
                return
        raise RuntimeError(f"{PROGRAM} ended with {self.child.wait()}")

    def end(self, number):
        self.child.send_signal(number)
        self.child.wait()
        self.child.stdout.close()

    def stop(self):
        self.end(signal.SIGTERM)
        shutil.rmtree(self.data, ignore_errors=True)
