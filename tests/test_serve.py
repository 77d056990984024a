"""The lab room's server: the real one answers on 127.0.0.1, and only those who have the password."""

import contextlib
import http.cookiejar
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import serve  # noqa: E402


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def serving(folder, *options):
    """A started server with ``folder`` for its settings: its address, and the password it printed."""
    port = free_port()
    environment = {**os.environ, "LAB_HOME": str(folder), "JUPYTER_TOKEN": "token-from-outside"}
    environment |= {"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
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
        end = time.monotonic() + 300
        while not listens(port):
            assert time.monotonic() < end and process.poll() is None, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield re.search(r"(https?://\S+)/lab", said)[1], re.search(r"password: (\S+)", said)[1]
    finally:
        process.terminate()
        process.wait(60)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A started server: its address, the password it printed, and the folder of its settings."""
    folder = tmp_path_factory.mktemp("lab")
    with serving(folder) as (address, password):
        yield address, password, folder


def answer(url, opener=None, headers=None):
    """The status of a GET, after redirections."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        return (opener or urllib.request.build_opener()).open(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def log_in(address, password, *handlers):
    """An opener that has tried to log in with ``password``."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), *handlers)
    opener.open(f"{address}/login", timeout=60).read()
    xsrf = next(cookie.value for cookie in jar if cookie.name == "_xsrf")
    form = urllib.parse.urlencode({"password": password, "_xsrf": xsrf}).encode()
    try:
        opener.open(f"{address}/login?next=%2Fapi%2Fcontents", form, timeout=60)
    except urllib.error.HTTPError as error:
        assert error.code == 401
    return opener


def test_nothing_without_the_password(server):
    address, _, _ = server
    for path in ("/api/contents", "/api/kernels", "/api/terminals", "/api/contents?token=", "/files/README.md"):
        assert answer(address + path) in (401, 403) or "login" in final(address + path)
    assert "login" in final(f"{address}/lab")
    for token in ("", "token-from-outside"):
        assert answer(f"{address}/api/contents", headers={"Authorization": f"token {token}"}) in (401, 403)
    assert answer(f"{address}/api/contents", log_in(address, "wrong-password")) in (401, 403)


def final(url):
    """Where a request without a password ends."""
    try:
        return urllib.request.urlopen(url, timeout=60).url
    except urllib.error.HTTPError as error:
        return error.url


def test_all_with_it(server):
    address, password, _ = server
    assert answer(f"{address}/api/contents", log_in(address, password)) == 200


def test_the_password_is_kept_as_a_hash_that_others_may_not_read(server):
    _, password, folder = server
    file = folder / "runs" / "serve" / "jupyter_server_config.json"
    assert json.loads(file.read_text())["PasswordIdentityProvider"]["hashed_password"].startswith("argon2:")
    assert password not in file.read_text() and file.stat().st_mode & 0o077 == 0


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


def test_short_passwords_and_half_a_certificate_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 8"):
        serve.configuration("fruit")
    with pytest.raises(ValueError, match="both CERTIFICATE and KEY"):
        serve.configuration("long-enough", certificate=tmp_path / "lab.pem")
    with pytest.raises(ValueError, match="no file .*lab.pem"):
        serve.configuration("long-enough", tmp_path / "lab.pem", tmp_path / "lab.key")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes a certificate, is not installed")
def test_a_certificate_makes_it_https(tmp_path):
    pair = [tmp_path / "lab.pem", tmp_path / "lab.key"]
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=lab -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    with serving(tmp_path, f"--certificate={pair[0]}", f"--key={pair[1]}") as (address, password):
        assert address.startswith("https://")
        trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=pair[0]))
        assert answer(f"{address}/api/contents", log_in(address, password, trusting)) == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            answer(f"{address}/api")
        with pytest.raises(OSError):
            answer(f"{address.replace('https', 'http')}/api")


def test_the_board_says_what_others_can_read():
    text = serve.board("192.0.2.7", 8888, "long-enough", secure=True, given=True)
    assert "https://192.0.2.7:8888/lab" in text and "long-enough" not in text and "read along" not in text
    assert "read along" in serve.board("192.0.2.7", 8888, "long-enough", secure=False, given=True)


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
