"""Login and permissions of ``make serve``: limit wrong passwords, and forbid guests to end the server."""

import collections
import ipaddress
import math
import time

from jupyter_server.auth import Authorizer
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.login import LoginFormHandler

WRONG, SECONDS = 10, 10.0  # wrong passwords allowed per address, and within how many seconds


class Login(LoginFormHandler):
    """The login form. After ten wrong passwords in ten seconds an address has to wait."""

    wrong = collections.defaultdict(collections.deque)  # their times, by address

    @allow_unauthenticated
    def post(self):
        now, wrong = time.monotonic(), self.wrong[neighbourhood(self.request.remote_ip)]
        while wrong and now - wrong[0] > SECONDS:
            wrong.popleft()
        if len(wrong) >= WRONG:
            wait = math.ceil(SECONDS - (now - wrong[0]))
            self.set_status(429)
            self.set_header("Retry-After", wait)
            self._render({"error": f"Too many wrong passwords came from your address. Try again in {wait} seconds."})
            return
        super().post()
        if self.get_status() == 401:
            wrong.append(now)


class Guests(Authorizer):
    """Allow everything to a user with the password, except ending the server."""

    def is_authorized(self, handler, user, action, resource):
        return resource != "server"


def neighbourhood(address):
    """Return the network of one computer: an IPv4 address, or the first half of an IPv6 address."""
    address = ipaddress.ip_address(address)
    return ipaddress.ip_network((address, 32 if address.version == 4 else 64), strict=False)
