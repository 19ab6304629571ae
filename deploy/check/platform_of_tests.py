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


# Callers sign in, as they do under Compose and Kubernetes. The key of figures is that of Prometheus.
ADMIN = {"email": "admin@example.org", "password": "four plain words here"}
METRICS_KEY = "figures-of-the-live-check"
# A segment of the demo.
CAMPAIGN_TO = "cart-abandoners"


def call(url, body=None, method=None, headers=None):
    """The answer's text; a refusal is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | (headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            if headers is not None and (cookie := answer.headers.get("set-cookie")):
                headers["cookie"] = cookie.partition(";")[0]
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
        self.stopping, self.key = threading.Event(), {}

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
        for file, content in (("password", ADMIN["password"]), ("metrics-key", METRICS_KEY)):
            (self.directory / file).write_text(content)
        # The quotas count, and bound nothing: one caller makes all requests.
        flags = [
            "--config", str(config), "--auth", "required", "--metrics-key-file", str(self.directory / "metrics-key"),
            "--requests-per-minute", "100000", "--key-requests-per-minute", "100000", "--address-requests-per-minute", "100000",
        ]  # fmt: skip
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
            self.run("events", self.program, "ingest-api", "--listen", self.at("events")[7:], *flags)
            jobs |= {"audience-worker": "worker", "audience-segment-api": "segments", "audience-ingest-api": "events"}
        self.run(
            "engine", self.program, *command, "--demo", "--data", str(self.directory / "data"), "--listen",
            self.at("engine")[7:], "--listen-ingest", self.at("ingest")[7:], "--checkpoint-seconds", "5",
            "--admin-email", ADMIN["email"], "--admin-password-file", str(self.directory / "password"),
            "--mail-postal-address", "1 Main Street", "--webhook-private-targets", "--checkpoints", f"file://{self.directory}/outside", *flags,
        )  # fmt: skip
        self.jobs = jobs
        self.scrape(jobs)
        for name in jobs.values():
            self.wait(name, "/health/ready")
        self.wait("prometheus", "/-/ready")
        self.key = self.sign_in()
        self.launch_campaign()
        threading.Thread(target=self.traffic, daemon=True).start()

    def sign_in(self):
        """The headers of a key that may do what the traffic does, made by the admin."""
        session = {}
        call(self.at("engine", "/api/session"), ADMIN, headers=session)
        permissions = [
            "event:send", "segment:read", "segment:write", "segment:activate", "webhook:write", "user:read", "pii:read",
            "system:read", "content:read", "content:write", "content:approve", "campaign:read", "campaign:write", "campaign:launch",
        ]  # fmt: skip
        made = call(self.at("engine", "/api/keys"), {"name": "check", "kind": "server", "permissions": permissions}, headers=session)
        key = {"authorization": f"Bearer {json.loads(made)['key']}"}
        # Others hear of it within five seconds; a refusal is JSON.
        deadline = time.monotonic() + 30
        while any(call(self.at(name, "/metrics"), headers=key).startswith("{") for name in self.jobs.values()):
            if time.monotonic() > deadline:
                raise SystemExit("a process does not know the key of another one")
            time.sleep(0.2)
        return key

    def ask(self, path):
        """The engine's answer."""
        return json.loads(call(self.at("engine", path), headers=self.key))

    def launch_campaign(self):
        """Sends mails to the sandbox, which dashboards count."""
        api, key = self.at("engine"), self.key
        body = "<p>{{ postal_address }} <a href=\"{{ unsubscribe_url }}\">No more</a></p>"
        call(f"{api}/api/contents", {"id": "news", "name": "News", "subject": "News", "body": body}, headers=key)
        call(f"{api}/api/contents/news/approve", {}, headers=key)
        campaign = {"id": "news", "name": "News", "segmentId": CAMPAIGN_TO, "contentId": "news"}
        call(f"{api}/api/campaigns", campaign, headers=key)
        launched = call(f"{api}/api/campaigns/news/launch", method="POST", headers=key)
        if "status" not in launched:
            raise SystemExit(f"the campaign is not launched: {launched}")

    def back_up(self):
        """Makes a backup, whose age a panel shows."""
        place = f"file://{self.directory}/backups"
        command = [self.program, "backup", "create", "--data", str(self.directory / "data"), "--backups", place]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def scrape(self, jobs):
        """Starts Prometheus with the rules of deploy/, at a pace for tests."""
        targets = [
            {
                "job_name": job,
                "static_configs": [{"targets": [self.at(name)[7:]]}],
                "authorization": {"credentials": METRICS_KEY},
            }
            for job, name in jobs.items()
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
        key = self.key
        call(f"{api}/api/segments", {"id": "checked", "name": "Checked", "rules": {"conditions": [rule]}}, headers=key)
        call(f"{api}/api/webhooks", {"url": "http://127.0.0.1:9/"}, headers=key)
        reads = self.at("segments" if "segment-api" in self.parts else "engine", "/api/users/checked/segments")
        events = self.at("events" if "kafka" in self.parts and "segment-api" in self.parts else "ingest", "/api/events")
        amount = 0
        while not self.stopping.wait(0.25):
            amount += 1
            try:
                purchase = {"userId": "checked", "eventType": "purchase", "properties": {"amount": amount}}
                for url in (events, self.at("ingest", "/api/events")):
                    call(url, purchase, headers=key)
                call(reads, headers=key)
                if amount % 8 == 0:
                    if amount % 40 == 0:
                        call(f"{api}/api/events", {"eventType": "nobody's"}, headers=key)
                    rule["value"] = 1000 + amount % 16
                    call(f"{api}/api/segments/checked", {"rules": {"conditions": [rule]}}, "PATCH", key)
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
