"""Signs people in at providers of identities as browsers do it: run.py NAME…

AUDIENCE_PROGRAM is the program, AUDIENCE_PROVIDER_TOOLS the directory with the fetched providers.
"""

import html
import http.cookiejar
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
TOOLS = pathlib.Path(os.environ["AUDIENCE_PROVIDER_TOOLS"])
PROGRAM = os.environ["AUDIENCE_PROGRAM"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing by itself."""

    def redirect_request(self, *_):
        return None


class Browser:
    """A browser with its own cookies, which remembers each address it went to."""

    def __init__(self):
        # As browsers have it: this machine is safe without TLS.
        safe = http.cookiejar.DefaultCookiePolicy(secure_protocols=("https", "http"))
        self.jar = http.cookiejar.CookieJar(safe)
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), Stay)
        self.went = []

    def ask(self, url, form=None, method=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(url, data=data, method=method, headers={"accept": "text/html, */*"})
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        self.went.append(url)
        return answer.status, answer.headers, answer.read().decode(errors="replace")

    def go(self, url, form=None):
        """Goes to an address, and on to where it leads; gives the last address, its status and its text."""
        for _ in range(20):
            status, headers, text = self.ask(url, form)
            if status not in (302, 303):
                return url, status, text
            url, form = urllib.parse.urljoin(url, headers["location"]), None
        raise AssertionError("it goes in circles")


def form_of(url, text, values):
    """The address and the fields of the first form of a page."""
    form = re.search(r"<form[^>]*>.*?</form>", text, re.S)
    assert form, f"no form at {url}: {text[:500]}"
    action = re.search(r'action="([^"]*)"', form.group(0))
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form.group(0)):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name:
            fields[name.group(1)] = html.unescape(value.group(1)) if value else ""
    return urllib.parse.urljoin(url, html.unescape(action.group(1))), {**fields, **values}


class OidcProvider:
    """The certified provider for Node."""

    scopes = "openid email profile groups"

    def __init__(self, work):
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"

    def start(self, secret, back, out):
        command = ["node", "provider.js", str(self.port), secret, back, out]
        self.process = subprocess.Popen(command, cwd=TOOLS / "node", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == b"ready\n", "the provider does not start"

    def sign_in(self, browser, url, name):
        """Fills in its forms until it sends the browser back; gives where that ends."""
        while True:
            url, status, text = browser.go(url)
            if not url.startswith(self.issuer):
                return url, status, text
            url, fields = form_of(url, text, {"login": name, "password": name} if "login" in text else {})
            url, status, text = browser.go(url, fields)
            if not url.startswith(self.issuer):
                return url, status, text

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Keycloak(OidcProvider):
    """Keycloak, with a realm that is imported."""

    scopes = "openid email profile"

    def __init__(self, work):
        super().__init__(work)
        self.issuer = f"http://localhost:{self.port}/realms/staff"
        self.home = work / "keycloak"
        shutil.copytree(TOOLS / "keycloak", self.home, symlinks=True)

    def start(self, secret, back, out):
        text = (HERE / "realm.json").read_text()
        for name, value in (("secret", secret), ("back", back), ("out", out)):
            text = text.replace(f"@{name}@", value)
        (self.home / "data/import").mkdir(parents=True, exist_ok=True)
        (self.home / "data/import/realm.json").write_text(text)
        log = open(self.home / "keycloak.log", "wb")
        command = ["bin/kc.sh", "start-dev", "--import-realm", f"--http-port={self.port}", "--http-host=127.0.0.1"]
        self.process = subprocess.Popen(command, cwd=self.home, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 600
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{self.issuer}/.well-known/openid-configuration", timeout=5)
                return
            except OSError:
                assert self.process.poll() is None, (self.home / "keycloak.log").read_text()[-3000:]
                time.sleep(1)
        raise AssertionError("Keycloak does not start")

    def sign_in(self, browser, url, name):
        url, status, text = browser.go(url)
        if not url.startswith(self.issuer):
            return url, status, text
        url, fields = form_of(url, text, {"username": name, "password": name})
        return browser.go(url, fields)

    def stop(self):
        # kc.sh is replaced by Java, so that this is Java itself.
        super().stop()


class Platform:
    """One instance that knows a provider."""

    def __init__(self, work, provider):
        self.port, self.work, self.provider = free_port(), work, provider
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret = secrets.token_urlsafe(24)
        (work / "secret").write_text(self.secret + "\n")

    def start(self):
        flags = {
            "data": self.work / "data",
            "listen": f"127.0.0.1:{self.port}",
            "listen-ingest": "127.0.0.1:0",
            "auth": "required",
            "public-url": self.url,
            "oidc-issuer": self.provider.issuer,
            "oidc-client-secret-file": self.work / "secret",
            "oidc-label": "Example",
            "oidc-scopes": self.provider.scopes,
            "oidc-roles": "admins=marketing_admin,staff=viewer",
        }
        command = [PROGRAM, "serve", *(f"--{name}={value}" for name, value in flags.items())]
        self.log = open(self.work / "platform.log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/health/ready", timeout=5)
                return
            except OSError:
                assert self.process.poll() is None, self.said()
                time.sleep(0.1)
        raise AssertionError(self.said())

    def said(self):
        return (self.work / "platform.log").read_text()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.said()

    def caller(self, browser):
        status, _, text = browser.ask(f"{self.url}/api/session")
        return json.loads(text) if status == 200 else None


def wanted(outcome, url, browser, platform):
    where = browser.went[-1]
    assert outcome, f"not as wanted, at {where} from {url}:\n{platform.said()[-2000:]}"


def begun(browser, platform):
    """Begins a sign-in without going to the provider; gives the state."""
    _, headers, _ = browser.ask(f"{platform.url}/api/auth/oidc/start")
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(headers["location"]).query))["state"]


def check(provider, platform):
    start = f"{platform.url}/api/auth/oidc/start"
    status, _, text = Browser().ask(f"{platform.url}/api/auth/ways")
    assert json.loads(text)["provider"] == {"label": "Example", "start": "/api/auth/oidc/start"}, text

    ann = Browser()
    url, _, _ = provider.sign_in(ann, start, "ann")
    caller = platform.caller(ann)
    wanted(url == f"{platform.url}/" and caller, url, ann, platform)
    assert (caller["member"]["email"], caller["member"]["role"]) == ("ann@example.org", "marketing_admin"), caller
    assert caller["member"]["provided"] and "key:write" in caller["permissions"], caller
    codes = [part for url in ann.went for part in urllib.parse.urlsplit(url).query.split("&") if part.startswith("code=")]

    # The address by which one came in opens nothing again: neither in the same browser nor in another.
    callback = next(url for url in ann.went if "/api/auth/oidc/callback" in url)
    for browser in (ann, Browser()):
        url, _, _ = browser.go(callback)
        wanted(url.endswith("?signIn=other_browser"), url, browser, platform)

    bob = Browser()
    url, _, _ = provider.sign_in(bob, start, "bob")
    caller = platform.caller(bob)
    wanted(caller and caller["member"]["role"] == "viewer", url, bob, platform)
    assert bob.ask(f"{platform.url}/api/members")[0] == 403

    eve = Browser()
    url, _, _ = provider.sign_in(eve, start, "eve")
    wanted(url.endswith("/?signIn=no_role") and platform.caller(eve) is None, url, eve, platform)

    # Somebody who says no at the provider, and a code that nobody gave.
    nobody = Browser()
    for query, word in (("error=access_denied", "denied"), ("code=guessed", "not_provided")):
        callback = f"{platform.url}/api/auth/oidc/callback?state={begun(nobody, platform)}&{query}"
        url, _, _ = nobody.go(callback)
        wanted(url.endswith(f"?signIn={word}"), url, nobody, platform)

    # Signing out ends the session here, and leads to the provider.
    status, _, text = ann.ask(f"{platform.url}/api/session", method="DELETE")
    out = json.loads(text)["continueAt"]
    assert status == 200 and out.startswith(provider.issuer.split("/realms")[0]), text
    assert platform.caller(ann) is None and ann.go(out)[1] == 200

    # No log has a secret.
    said = platform.said()
    for secret in (platform.secret, *(code.removeprefix("code=") for code in codes)):
        assert secret not in said, "a secret is in the log"


def check_rotation(provider, platform):
    """The provider comes back with other keys: whoever comes next is believed by them."""
    bob = Browser()
    url, _, _ = provider.sign_in(bob, f"{platform.url}/api/auth/oidc/start", "bob")
    wanted(platform.caller(bob), url, bob, platform)


def check_away(platform):
    browser = Browser()
    url, _, _ = browser.go(f"{platform.url}/api/auth/oidc/callback?state={begun(browser, platform)}&code=c")
    wanted(url.endswith("?signIn=provider_away"), url, browser, platform)


def run(name, kind):
    since = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        provider = kind(work)
        platform = Platform(work, provider)
        ends = (platform.secret, f"{platform.url}/api/auth/oidc/callback", f"{platform.url}/")
        platform.start()
        try:
            provider.start(*ends)
            try:
                check(provider, platform)
                if kind is OidcProvider:
                    provider.stop()
                    check_away(platform)
                    provider.start(*ends)
                    check_rotation(provider, platform)
            finally:
                provider.stop()
        finally:
            platform.stop()
    print(f"{name}: signed in and out in {time.monotonic() - since:.1f} s")


KINDS = {"oidc-provider": OidcProvider, "keycloak": Keycloak}
for chosen in sys.argv[1:]:
    run(chosen, KINDS[chosen])
