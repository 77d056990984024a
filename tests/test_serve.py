"""The lab room's server, run on 127.0.0.1, answers only users who have the password."""

import concurrent.futures
import contextlib
import http.cookiejar
import io
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import pytest
from PIL import Image
from test_browser import wait_until

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import door  # noqa: E402
import serve  # noqa: E402


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


PLANTED = {
    "ServerApp": {
        "allow_origin": "*",
        "disable_check_xsrf": True,
        "terminals_enabled": True,
        "max_body_size": 1000,
        "authorizer_class": "jupyter_server.auth.AllowAllAuthorizer",
    },
    "IdentityProvider": {"token": "token-from-a-file"},
    "PasswordIdentityProvider": {"hashed_password": "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"},
}
NAMES = ("jupyter_config", "jupyter_server_config", "jupyter_lab_config")


def hostile(folder):
    """An instructor's environment in which every variable and folder of settings opens the server to others."""
    elsewhere = folder / "elsewhere"
    places = [elsewhere / "path", elsewhere / "dir", elsewhere / ".jupyter", folder / "runs" / "serve"]
    for place in places:
        place.mkdir(parents=True)
        for name in NAMES:
            (place / f"{name}.json").write_text(json.dumps(PLANTED))
            (place / f"{name}.py").write_text(f"open({str(folder / 'executed')!r}, 'w').close()")
    startup = elsewhere / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "first.py").write_text(f"open({str(folder / 'executed')!r}, 'w').close()")
    (folder / "token").write_text("token-from-a-token-file")
    return os.environ | {
        "HOME": str(elsewhere),
        "JUPYTER_CONFIG_PATH": str(places[0]),
        "JUPYTER_CONFIG_DIR": str(places[1]),
        "JUPYTER_TOKEN": "token-from-outside",
        "JUPYTER_TOKEN_FILE": str(folder / "token"),
        "JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS": "yes",
        "JUPYTER_GATEWAY_URL": "http://127.0.0.1:9",
        "JUPYTERLAB_DIR": str(elsewhere),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "IPYTHONDIR": str(elsewhere / "ipython"),
    }


@contextlib.contextmanager
def serving(folder, *options):
    """A server started in a hostile environment: its address, and the password it printed."""
    port = free_port()
    (folder / "temporary").mkdir()
    environment = hostile(folder) | {"LAB_HOME": str(folder), "TMPDIR": str(folder / "temporary")}
    environment.pop("PASSWORD", None)
    command = [sys.executable, TOOLS / "serve.py", "--interface=127.0.0.1", f"--port={port}", "--allow-root", *options]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        said = ""
        while "Ctrl+C" not in said:
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()[-2000:]
            said += line
        wait_until(lambda: listens(port) or process.poll() is not None, 300)
        yield re.search(r"(https?://\S+)/lab", said)[1], re.search(r"password: (\S+)", said)[1]
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(60)
    assert not list((folder / "temporary").iterdir())


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A started server: its address, the password it printed, and the folder of its settings."""
    folder = tmp_path_factory.mktemp("lab")
    with serving(folder) as (address, password):
        yield address, password, folder


class Visitor:
    """A browser: keeps cookies, and sends what a page of the server would."""

    def __init__(self, address, password=None, *handlers):
        self.address, self.jar = address, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), *handlers)
        if password is not None:
            self.open("/login")
            self.logged_in = self.log_in(password)

    def open(self, path, data=None, method=None, **headers):
        """The answer, after redirections; an error's too."""
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            return self.opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            return error

    def status(self, *arguments, **headers):
        return self.open(*arguments, **headers).status

    @property
    def xsrf(self):
        return next(cookie.value for cookie in self.jar if cookie.name == "_xsrf")

    def log_in(self, password, **headers):
        form = urllib.parse.urlencode({"password": password, "_xsrf": self.xsrf}).encode()
        return self.open("/login?next=%2Fapi%2Fcontents", form, **headers)

    def post(self, path, data=b"{}", method="POST"):
        return self.status(path, data, method, **{"X-XSRFToken": self.xsrf, "Content-Type": "application/json"})


@pytest.fixture(scope="module")
def inside(server):
    address, password, _ = server
    return Visitor(address, password)


def test_nothing_without_the_password(server):
    address, _, _ = server
    visitor = Visitor(address, "wrong-password")
    assert visitor.logged_in.status == 401
    for path in (
        "/api/contents",
        "/api/kernels",
        "/api/sessions",
        "/api/contents?token=",
        "/lab/api/settings",
        "/metrics",
    ):
        assert visitor.status(path) in (401, 403) or "login" in visitor.open(path).url
    for path in ("/lab", "/files/README.md", "/lab/tree/README.md"):
        assert "login" in visitor.open(path).url
    for token in ("", "token-from-outside", "token-from-a-file", "token-from-a-token-file"):
        assert visitor.status("/api/contents", Authorization=f"token {token}") == 403
        assert visitor.status(f"/api/contents?token={token}") == 403
    assert Visitor(address, "mypassword").logged_in.status == 401  # the hash in the settings planted


def test_all_with_it(inside):
    assert inside.logged_in.status == 200 and inside.status("/api/contents") == 200 and inside.status("/lab") == 200


def test_no_planted_setting_acts(server, inside):
    _, _, folder = server
    assert inside.status("/api/kernels", b"{}", "POST") == 403  # no XSRF token
    answer = inside.open("/api/contents", Origin="http://elsewhere.example")
    assert answer.headers.get("Access-Control-Allow-Origin") is None
    kernel = Kernel(inside)
    assert kernel.prints("print(6 * 7)") == "42\n"
    kernel.end()
    assert not (folder / "executed").exists()


class Kernel:
    """A kernel of the server, as the page of a notebook talks to it."""

    def __init__(self, visitor):
        import websocket

        started = visitor.open("/api/kernels", b"{}", "POST", **{"X-XSRFToken": visitor.xsrf})
        self.visitor, self.name = visitor, json.loads(started.read())["id"]
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.jar)
        url = f"{visitor.address.replace('http', 'ws')}/api/kernels/{self.name}/channels"
        self.connection = websocket.create_connection(url, cookie=cookies, timeout=120)

    def send(self, kind, content, *buffers):
        """Send on the shell channel, in the form of https://jupyter-client.readthedocs.io for binary messages."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "version": "5.3", "username": "", "session": "1"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        message = json.dumps(message).encode()
        places = [4 * (len(buffers) + 2)]
        for part in (message, *buffers):
            places.append(places[-1] + len(part))
        self.connection.send_binary(
            struct.pack(f">{len(places)}I", len(buffers) + 1, *places[:-1]) + message + b"".join(buffers)
        )
        return header["msg_id"]

    def prints(self, code):
        """What ``code`` prints."""
        asked, printed, busy = self.send("execute_request", {"code": code, "silent": False}), "", True
        while busy:
            answer = self.connection.recv()
            answer = json.loads(answer) if isinstance(answer, str) else {"msg_type": "binary", "parent_header": {}}
            if answer["parent_header"].get("msg_id") == asked:
                printed += answer["content"].get("text", "") if answer["msg_type"] in ("stream", "error") else ""
                busy = answer["content"].get("execution_state") != "idle"
        return printed

    def end(self):
        self.connection.close()
        assert self.visitor.post(f"/api/kernels/{self.name}", None, "DELETE") == 204


def test_no_student_ends_the_class(inside):
    assert inside.post("/api/shutdown") == 403
    assert inside.post("/api/terminals") == 404
    page = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', inside.open("/lab").read().decode(), re.DOTALL)
    page = json.loads(page[1])
    assert not page["quitButton"] and not page["terminalsAvailable"] and not page["extensionManager"]["can_install"]
    assert inside.status("/api/contents") == 200


def test_cookies_go_to_no_other_site(server):
    address, password, _ = server
    visitor = Visitor(address, password)
    assert {cookie.name.split("-")[0] for cookie in visitor.jar} == {"_xsrf", "username"}
    for cookie in visitor.jar:
        assert cookie.get_nonstandard_attr("SameSite") == "Lax"


def test_the_password_is_kept_nowhere(server):
    _, password, folder = server
    for path in folder.rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes()
    (private,) = (folder / "temporary").glob("jupyter-clean-*")
    assert private.stat().st_mode & 0o077 == 0


PANEL = """
import numpy as np
from labutils import models
from labutils.dashboard import TranslatePanel
red = np.full((8, 8, 3), (255, 0, 0), "uint8")
panel = TranslatePanel({"repainted": models.unet_generator(None, filters=2, levels=1)}, {"red": red}).wait()
print(panel.upload.model_id)
"""


def test_an_upload_of_50_mb_arrives_and_a_larger_one_is_answered_in_words(inside):
    picture, kernel = io.BytesIO(), Kernel(inside)
    Image.new("RGB", (60, 40), "teal").save(picture, "PNG")
    model = kernel.prints(PANEL).strip()

    def status_after(name, size):
        file = {"name": name, "type": "image/png", "size": size, "last_modified": 0}
        data = {"method": "update", "state": {"value": [file]}, "buffer_paths": [["value", 0, "content"]]}
        kernel.send("comm_msg", {"comm_id": model, "data": data}, picture.getvalue().ljust(size, b"\0"))
        return kernel.prints("print(panel.wait().status.value, panel.upload.value)").strip()

    assert status_after("telephone.png", 12_000_000) == "ready: telephone.png, repainted ()"
    assert status_after("large.png", 50_000_000) == "ready: large.png, repainted ()"
    assert status_after("huge.png", 120_000_000).startswith(
        "<b>huge.png has 120 MB; the limit is 50 MB. Save it smaller"
    )
    assert status_after("again.png", 50_000_000) == "ready: again.png, repainted ()"
    kernel.end()


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("environment", [".venv", ".venv-current"])
def test_the_limit_is_installed_where_every_server_reads_it(environment):
    command = ["make", "--dry-run", "--always-make", f"{environment}/.done"]
    said = subprocess.run(command, cwd=TOOLS.parent, capture_output=True, text=True, check=True).stdout
    assert f"cp notebooks/server-settings.json {environment}/etc/jupyter/jupyter_server_config.json" in said


def test_a_whole_class_comes_in_at_once(server):
    address, password, _ = server
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        visitors = list(pool.map(lambda _: Visitor(address, password), range(30)))
    assert {visitor.logged_in.status for visitor in visitors} == {200}


def test_who_guesses_has_to_wait_and_who_knows_comes_in(server):
    """Last of all: this address has to wait afterwards."""
    address, password, _ = server
    visitors = [Visitor(address) for _ in range(40)]
    for visitor in visitors:
        visitor.open("/login")
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(
            pool.map(lambda visitor: visitor.log_in("wrong", **{"X-Forwarded-For": f"{id(visitor)}"}), visitors)
        )
    assert {answer.status for answer in answers} == {401, 429}
    assert sum(answer.status == 401 for answer in answers) <= 11  # two, when the clock went on meanwhile
    refused = next(answer for answer in answers if answer.status == 429)
    assert "Try again in" in refused.read().decode() and 1 <= int(refused.headers["Retry-After"]) <= 10
    assert visitors[0].log_in(password).status == 429
    wait_until(lambda: visitors[0].log_in(password).status == 200, 60)  # refused attempts do not extend the wait


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"])
def test_every_network_only_in_words(address):
    with pytest.raises(ValueError, match="INTERFACE=all-interfaces"):
        serve.address_of(address)
    assert serve.address_of("all-interfaces") == "0.0.0.0"


@pytest.mark.parametrize("name", ["", "0", "*", "eth99", "localhost.example"])
def test_what_is_no_interface_gets_the_list(name):
    with pytest.raises(ValueError, match=r"INTERFACE=\w+  \(127\.0\.0\.1\)"):
        serve.address_of(name)


def test_an_interface_by_its_name():
    loopback = next(name for name, address in serve.interfaces().items() if address == "127.0.0.1")
    assert serve.address_of(loopback) == serve.address_of("127.0.0.1") == "127.0.0.1"


def test_two_passwords_are_two():
    first, second = serve.new_password(), serve.new_password()
    assert first != second and re.fullmatch(r"(\w{4}-){2}\w{4}", first)


GUESSED = """fruit password password1234 P@ssw0rd-1234 passwordpassword 1234567890 aaaaaaaaaaaa
    summer2026! Cyclegan-Lab Class-Room-7 qwertyqwerty"""


@pytest.mark.parametrize("password", GUESSED.split())
def test_a_password_that_others_would_guess_is_refused(password):
    with pytest.raises(ValueError, match="at least 10|others would guess it"):
        serve.check_strong(password)


def test_the_given_password_is_looked_at():
    command = [sys.executable, TOOLS / "serve.py", "--interface=127.0.0.1", f"--port={free_port()}", "--allow-root"]
    ended = subprocess.run(command, env=os.environ | {"PASSWORD": "password2026"}, capture_output=True, text=True)
    assert ended.returncode == 1 and "others would guess it" in ended.stderr


@pytest.mark.parametrize("password", ["correct horse", "jupyter-fruit-walk", "k3x9-2fmq-7wtp"])
def test_other_passwords_are_taken(password):
    serve.check_strong(password)


def test_computers_are_told_from_each_other():
    same = door.neighbourhood
    assert same("192.0.2.7") != same("192.0.2.8")
    assert same("2001:db8::1") == same("2001:db8::2") != same("2001:db8:0:1::1")


def test_half_a_certificate_is_refused(tmp_path):
    with pytest.raises(ValueError, match="both CERTIFICATE and KEY"):
        serve.tls(tmp_path / "lab.pem", None)
    with pytest.raises(ValueError, match="no file .*lab.pem"):
        serve.tls(tmp_path / "lab.pem", tmp_path / "lab.key")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes a certificate, is not installed")
def test_a_certificate_makes_it_https(tmp_path):
    pair = [tmp_path / "lab.pem", tmp_path / "lab.key"]
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=lab -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    with serving(tmp_path, f"--certificate={pair[0]}", f"--key={pair[1]}") as (address, password):
        assert address.startswith("https://")
        trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=pair[0]))
        visitor = Visitor(address, password, trusting)
        assert visitor.status("/api/contents") == 200 and all(cookie.secure for cookie in visitor.jar)
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            Visitor(address).open("/api")
        with pytest.raises(OSError):
            Visitor(address.replace("https", "http")).open("/api")


def test_the_board_says_what_others_can_read():
    text = serve.board("192.0.2.7", 8888, "long-enough", secure=True, given=True)
    assert "https://192.0.2.7:8888/lab" in text and "long-enough" not in text and "can read everything" not in text
    assert "can read everything" in serve.board("192.0.2.7", 8888, "long-enough", secure=False, given=True)


def test_a_port_in_use_is_said():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(ValueError, match="PORT"):
            serve.check_free("127.0.0.1", busy.getsockname()[1])


@pytest.mark.parametrize("option", ["--ServerApp.ip=0.0.0.0", "--IdentityProvider.token=", "--ip=0.0.0.0"])
def test_no_option_of_jupyter_gets_past(option, capsys):
    with pytest.raises(SystemExit):
        serve.main(["--interface=127.0.0.1", option])
    assert "unrecognized arguments" in capsys.readouterr().err
