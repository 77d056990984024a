"""Serve JupyterLab to others in the room: ``make serve INTERFACE=192.168.1.20``, never without a password.

Choose the interface by its address or its name, or all of them with ``all-interfaces``. The password is generated
unless the variable ``PASSWORD`` gives one. It is kept in memory only. All other Jupyter settings of this computer are
ignored: those of the user, of the system and of environment variables.
"""

import argparse
import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import sys
from pathlib import Path

import psutil

from labutils.base import console
from labutils.profile import home

EVERYWHERE = "all-interfaces"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without characters that look alike on a board
SHORTEST = 10
COMMON = re.compile(
    "password|passwort|passwd|qwerty|qwertz|azerty|asdf|zxcv|iloveyou|letmein|welcome|willkommen|admin|root|login|"
    "secret|master|dragon|monkey|football|baseball|sunshine|princess|superman|batman|summer|winter|spring|autumn|"
    "student|teacher|school|class|course|lesson|room|jupyter|notebook|python|cyclegan|lab|gan"
)
LOOKALIKE = str.maketrans("@$013457", "asoleast")  # p@ssw0rd


def interfaces():
    """Return ``{name: IPv4 address}`` of this machine."""
    every = psutil.net_if_addrs().items()
    return {name: each.address for name, addresses in every for each in addresses if each.family == socket.AF_INET}


def address_of(interface):
    """Return the address to listen at, for an interface's name, an address, or ``EVERYWHERE`` (0.0.0.0).

    Raises ``ValueError`` for anything else. 0.0.0.0 and ``::`` are refused too, because they are often typed by habit.
    """
    known = interfaces()
    if interface == EVERYWHERE:
        return "0.0.0.0"
    try:
        address = ipaddress.ip_address(known.get(interface, interface))
    except ValueError:
        listed = "".join(f"\n  INTERFACE={name}  ({address})" for name, address in known.items())
        raise ValueError(
            f"{interface!r} is no network of this machine. Choose one by name or address:{listed}"
        ) from None
    if (getattr(address, "ipv4_mapped", None) or address).is_unspecified:
        raise ValueError(
            f"{interface} means every network this machine is in. If you want that, use INTERFACE={EVERYWHERE}"
        )
    return str(address)


def new_password():
    """Make a password of three groups of four letters and digits (59 bits), easy to read from a board."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))


def check_strong(password):
    """Raise ``ValueError`` for a password that is short, or little more than common words and numbers."""
    if len(password) < SHORTEST:
        raise ValueError(f"A password needs at least {SHORTEST} characters; without PASSWORD one is made for you.")
    plain = password.casefold()
    left = [COMMON.sub("", text) for text in (plain, plain.translate(LOOKALIKE))]
    if any(len(set(filter(str.isalpha, text))) < 4 for text in left):
        raise ValueError(
            "This password is little more than common words, numbers or the same letters again: others would guess it. "
            "Add words that nobody expects; without PASSWORD one is made for you."
        )


def tls(certificate, key):
    """Return the server's TLS settings, empty without a certificate. Raises ``ValueError`` if a file is missing."""
    if bool(certificate) != bool(key):
        raise ValueError("TLS needs both CERTIFICATE and KEY.")
    for path in filter(None, (certificate, key)):
        if not Path(path).is_file():
            raise ValueError(f"There is no file {path}.")
    return {"certfile": str(Path(certificate).resolve()), "keyfile": str(Path(key).resolve())} if certificate else {}


def configuration(password, secure):
    """Return the server's settings, with the password as a hash. ``secure``: the settings from ``tls``."""
    from door import Guests, Login
    from jupyter_server.auth import passwd

    cookie = {"samesite": "Lax", "path": "/"} | ({"secure": True} if secure else {})
    shared = json.loads(Path(home("notebooks", "server-settings.json")).read_text())["ServerApp"]["tornado_settings"]
    return {
        "PasswordIdentityProvider": {
            # A slow hash protects a stolen file. Here there is no file, and thirty people may log in at once.
            "hashed_password": passwd(password, "sha256"),
            "password_required": True,
            "allow_password_change": False,
            "token": "",  # the password is the only way in
            "login_handler_class": Login,
            "cookie_options": cookie,
        },
        "ServerApp": {
            "open_browser": False,
            "port_retries": 0,
            "root_dir": str(home()),
            "cookie_secret": secrets.token_bytes(32),  # everyone logs in again after a restart
            "allow_unauthenticated_access": False,
            "authorizer_class": Guests,
            "quit_button": False,
            "tornado_settings": {**shared, "xsrf_cookie_kwargs": cookie},
            **secure,
        },
        "LabApp": {"open_browser": False, "extension_manager": "readonly"},
    }


def isolate():
    """Ignore all other Jupyter settings; return the new folder where this process keeps its own.

    Call it before importing anything of Jupyter, because some variables are read at import.
    """
    for name in list(os.environ):
        if name.upper().startswith(("JUPYTER", "JPY_", "IPYTHON")):
            del os.environ[name]
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    from jupyter_core.paths import jupyter_config_dir

    folder = Path(jupyter_config_dir())  # a temporary folder because of that variable; private to this user
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        os.environ[name] = str(folder / name)
    return folder


def check_free(address, port):
    """Raise ``ValueError`` if the port is in use, or the address is not this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ValueError(f"{address}, port {port}: {error.strerror}. Choose another INTERFACE or PORT.") from None


def board(address, port, password, secure, given):
    """Return the text for the board, and warnings."""
    hosts = [a for a in interfaces().values() if not a.startswith("127.")] if address == "0.0.0.0" else [address]
    scheme = "https" if secure else "http"
    lines = [f"  {scheme}://{f'[{host}]' if ':' in host else host}:{port}/lab" for host in hosts]
    lines.append("  password: the one you gave" if given else f"  password: {password}")
    if not secure and not ipaddress.ip_address(address).is_loopback:
        lines.append("Without CERTIFICATE and KEY others on this network can read everything, including the password.")
    lines.append(
        "Anyone with the password can run any code on this machine, as you. Press Ctrl+C twice to end the server."
    )
    return "\n".join(["For the board:", *lines])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interface", default="", help=f"an interface's name or address, or {EVERYWHERE}")
    parser.add_argument("--port", type=int, default=8888, help="(%(default)s)")
    parser.add_argument("--certificate", help="PEM file, for https")
    parser.add_argument("--key", help="its private key")
    parser.add_argument("--allow-root", action="store_true", help="serve as root, in a container for example")
    arguments = parser.parse_args(argv)
    given = os.environ.pop("PASSWORD", "")
    try:
        if given:
            check_strong(given)
        address = address_of(arguments.interface)
        secure = tls(arguments.certificate, arguments.key)
        check_free(address, arguments.port)
    except ValueError as error:
        sys.exit(str(error))
    password = given or new_password()
    folder = isolate()
    try:
        from jupyterlab.labapp import LabApp
        from traitlets.config import Config

        settings = configuration(password, secure)
        settings["ServerApp"] |= {"ip": address, "port": arguments.port, "allow_root": arguments.allow_root}
        server = LabApp.initialize_server(argv=[], config=Config(settings))
        print(board(address, arguments.port, password, bool(secure), given), flush=True)
        server.start()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    console.escape()
    main()
