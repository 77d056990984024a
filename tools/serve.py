"""JupyterLab for others in the room: ``make serve INTERFACE=192.168.1.20``, never without a password.

The interface is chosen by its address or its name. Every interface at once takes the word ``all-interfaces``.
The password is generated unless the variable ``PASSWORD`` gives one; only its argon2 hash is kept, in a file that
nobody else may read. The instructor's own Jupyter settings are left aside.
"""

import argparse
import ipaddress
import json
import os
import secrets
import socket
import sys
from pathlib import Path

import psutil

from labutils import console
from labutils.profile import home

EVERYWHERE = "all-interfaces"
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike on a board
SHORTEST = 8


def interfaces():
    """``{name: IPv4 address}`` of this machine."""
    every = psutil.net_if_addrs().items()
    return {name: each.address for name, addresses in every for each in addresses if each.family == socket.AF_INET}


def address_of(interface):
    """The address to listen at: of an interface's name, an address itself, or 0.0.0.0 for the word for all of them.

    Raises ``ValueError`` for anything else, and for 0.0.0.0 or ``::`` in numbers, which are easily typed by habit.
    """
    known = interfaces()
    if interface == EVERYWHERE:
        return "0.0.0.0"
    try:
        address = ipaddress.ip_address(known.get(interface, interface))
    except ValueError:
        listed = "".join(f"\n  INTERFACE={name}  ({address})" for name, address in known.items())
        raise ValueError(f"Choose the network to serve, by name or address; {interface!r} is none:{listed}") from None
    if (getattr(address, "ipv4_mapped", None) or address).is_unspecified:
        raise ValueError(
            f"{interface} means every network this machine is in. If that is what you want: INTERFACE={EVERYWHERE}"
        )
    return str(address)


def new_password():
    """Three groups of four letters and digits, 59 bits, easy to read from a board."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))


def configuration(password, certificate=None, key=None):
    """The server's settings; the password only as its hash. Raises ``ValueError`` for what would not be safe."""
    from jupyter_server.auth import passwd

    if len(password) < SHORTEST:
        raise ValueError(f"A password needs at least {SHORTEST} characters; without PASSWORD one is made for you.")
    if bool(certificate) != bool(key):
        raise ValueError("TLS needs both CERTIFICATE and KEY.")
    for path in filter(None, (certificate, key)):
        if not Path(path).is_file():
            raise ValueError(f"There is no file {path}.")
    tls = {"certfile": str(Path(certificate).resolve()), "keyfile": str(Path(key).resolve())} if certificate else {}
    return {
        "PasswordIdentityProvider": {
            "hashed_password": passwd(password),
            "password_required": True,
            "allow_password_change": False,
        },
        "IdentityProvider": {"token": ""},  # the password is the only way in
        "ServerApp": {"open_browser": False, "port_retries": 0, "root_dir": str(home()), **tls},
    }


def check_free(address, port):
    """Raises ``ValueError`` if something listens there, or the address is not this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ValueError(f"{address}, port {port}: {error.strerror}. Another INTERFACE or PORT?") from None


def board(address, port, password, secure, given):
    """What to write on the board, and what to know."""
    hosts = [a for a in interfaces().values() if not a.startswith("127.")] if address == "0.0.0.0" else [address]
    scheme = "https" if secure else "http"
    lines = [f"  {scheme}://{f'[{host}]' if ':' in host else host}:{port}/lab" for host in hosts]
    lines.append("  password: the one you gave" if given else f"  password: {password}")
    if not secure and not ipaddress.ip_address(address).is_loopback:
        lines.append("Without CERTIFICATE and KEY others on this network can read along, the password too.")
    lines.append("Whoever has the password can run any code on this machine, as you. Ctrl+C twice ends it.")
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
    password = given or new_password()
    try:
        address = address_of(arguments.interface)
        settings = configuration(password, arguments.certificate, arguments.key)
        check_free(address, arguments.port)
    except ValueError as error:
        sys.exit(str(error))
    folder = home("runs", "serve")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "jupyter_server_config.json"
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(settings, out, indent=1)
    print(board(address, arguments.port, password, bool(arguments.certificate), given), flush=True)
    os.environ["JUPYTER_CONFIG_DIR"] = str(folder)
    os.environ.pop("JUPYTER_TOKEN", None)
    command = [sys.executable, "-m", "jupyterlab", f"--ip={address}", f"--port={arguments.port}"]
    command += ["--allow-root"] * arguments.allow_root
    os.execv(sys.executable, command)


if __name__ == "__main__":
    console.escape()
    main()
