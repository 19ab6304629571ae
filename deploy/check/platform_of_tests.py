"""A live platform that Prometheus scrapes: the demo on embedded stores, or with Kafka, PostgreSQL and Redis where tests have them."""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]
STARTS_WITHIN = 300


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(url, body=None, method=None):
    """The answer's text; a refusal is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode()


class Platform:
    """Processes that are started together, and end with `with`."""

    def __init__(self, program, directory):
        self.program, self.directory = program, Path(directory)
        self.processes, self.parts = [], {"webhook"}
        self.ports = {name: free_port() for name in ("engine", "ingest", "worker", "segments", "events", "prometheus")}
        self.database, self.jobs = None, {}
        self.stopping = threading.Event()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        if self.database:
            self.psql(f"DROP DATABASE {self.database} WITH (FORCE)")

    def run(self, name, *command):
        log = open(self.directory / f"{name}.log", "w")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def at(self, name, path=""):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def psql(self, statement):
        subprocess.run(["psql", "-q", os.environ["AUDIENCE_TEST_POSTGRES"], "-c", statement], check=True)

    def wait(self, name, path):
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                with urllib.request.urlopen(self.at(name, path), timeout=2):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{name} does not start: {self.last_words(name)}") from None
                time.sleep(0.2)

    def last_words(self, name):
        log = self.directory / f"{name}.log"
        return log.read_text()[-2000:] if log.exists() else "it has no log"

    def settings(self):
        """Flags for the servers that tests have, each under a name of this run."""
        name = f"check{os.getpid()}"
        kafka, postgres, redis = (os.environ.get(f"AUDIENCE_TEST_{it}") for it in ("KAFKA", "POSTGRES", "REDIS"))
        config = self.directory / "audience.toml"
        text = ""
        if kafka:
            self.parts.add("kafka")
            text += f'[kafka]\nbrokers = "{kafka}"\ntopic_prefix = "{name}-"\nwriter = "{name}"\npartitions = 2\n'
        if redis:
            self.parts.add("redis")
            text += f'[redis]\nurl = "{redis}"\nprefix = "{name}"\nwriter = "{name}"\n'
        config.write_text(text)
        flags = ["--config", str(config)]
        if kafka and postgres and redis:
            self.parts.add("segment-api")
            self.database = name
            self.psql(f"CREATE DATABASE {name}")
            flags += ["--postgres", urllib.parse.urlsplit(postgres)._replace(path=f"/{name}").geturl()]
        return flags

    def start(self):
        flags = self.settings()
        jobs = {"audience-engine": "engine"}
        command = ["serve"]
        if "segment-api" in self.parts:
            # Two processes that compute together, and the APIs apart; spans go to a collector that is away.
            hosts = self.directory / "hosts"
            hosts.write_text("".join(f"127.0.0.1:{free_port()}\n" for _ in range(2)))
            command = ["worker", "--process", "0", "--hosts", str(hosts), "--otlp", "http://127.0.0.1:9"]
            self.run("worker", self.program, "worker", "--process", "1", "--hosts", str(hosts), "--listen", self.at("worker")[7:])
            self.run("segments", self.program, "segment-api", "--listen", self.at("segments")[7:], *flags)
            self.run("events", self.program, "ingest-api", "--listen", self.at("events")[7:], *flags[:2])
            jobs |= {"audience-worker": "worker", "audience-segment-api": "segments", "audience-ingest-api": "events"}
        self.run(
            "engine", self.program, *command, "--demo", "--data", str(self.directory / "data"), "--listen",
            self.at("engine")[7:], "--listen-ingest", self.at("ingest")[7:], "--checkpoint-seconds", "5",
            "--webhook-private-targets", "--checkpoints", f"file://{self.directory}/outside", *flags,
        )  # fmt: skip
        self.jobs = jobs
        self.scrape(jobs)
        for name in jobs.values():
            self.wait(name, "/health/ready")
        self.wait("prometheus", "/-/ready")
        threading.Thread(target=self.traffic, daemon=True).start()

    def scrape(self, jobs):
        """Starts Prometheus with the rules of deploy/, at a pace for tests."""
        targets = [
            {"job_name": job, "static_configs": [{"targets": [self.at(name)[7:]]}]} for job, name in jobs.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DEPLOY / "prometheus" / "rules" / "*.yml")],
            "scrape_configs": targets,
        }
        file = self.directory / "prometheus.json"
        file.write_text(json.dumps(config))
        self.run(
            "prometheus", "prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.directory / 'series'}",
            f"--web.listen-address={self.at('prometheus')[7:]}",
        )  # fmt: skip

    def traffic(self):
        """Sends what a day brings: events, refusals, reads, edits, a webhook whose target is away."""
        api, rule = self.at("engine"), {"field": "totalSpent", "operator": "gt", "value": 1000}
        call(f"{api}/api/segments", {"id": "checked", "name": "Checked", "rules": {"conditions": [rule]}})
        call(f"{api}/api/webhooks", {"url": "http://127.0.0.1:9/"})
        reads = self.at("segments" if "segment-api" in self.parts else "engine", "/api/users/checked/segments")
        events = self.at("events" if "kafka" in self.parts and "segment-api" in self.parts else "ingest", "/api/events")
        amount = 0
        while not self.stopping.wait(0.25):
            amount += 1
            try:
                purchase = {"userId": "checked", "eventType": "purchase", "properties": {"amount": amount}}
                for url in (events, self.at("ingest", "/api/events")):
                    call(url, purchase)
                call(reads)
                if amount % 8 == 0:
                    call(f"{api}/api/events", {"eventType": "nobody's"})
                    rule["value"] = 1000 + amount % 16
                    call(f"{api}/api/segments/checked", {"rules": {"conditions": [rule]}}, "PATCH")
            except OSError:
                pass

    def query(self, expression):
        """The series of an expression, now."""
        text = call(self.at("prometheus", "/api/v1/query?") + urllib.parse.urlencode({"query": expression}))
        answer = json.loads(text)
        if answer["status"] != "success":
            raise SystemExit(f"{expression}: {answer['error']}")
        result = answer["data"]["result"]
        return [{"metric": {}, "value": result}] if answer["data"]["resultType"] == "scalar" else result

    def names(self):
        """All metrics that Prometheus has."""
        return set(json.loads(call(self.at("prometheus", "/api/v1/label/__name__/values")))["data"])
