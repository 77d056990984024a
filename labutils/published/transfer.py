"""Copy one file from an address, with a progress bar; give up if it comes too slowly."""

import shutil
import threading
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from labutils.base.background import wait_for

TIMEOUT = 30.0  # seconds without data
SLOWEST = 2_000  # bytes a second, measured over TIMEOUT seconds


def local(url):
    """Return the path of a ``file:`` address."""
    return Path(url2pathname(urlparse(url).path))


def copy(url, file, name, most):
    """Copy ``url`` to the path ``file``, with a progress bar called ``name``.

    Raises ``ValueError`` if more than ``most`` bytes come, ``TimeoutError`` if headers or body come too slowly, and
    what requests raises (an ``OSError``).
    """
    if url.startswith("file:"):
        shutil.copyfile(local(url), file)
        return
    from tqdm.auto import tqdm

    with tqdm(total=most, desc=name, unit="B", unit_scale=True) as bar:
        transfer = _Transfer(url, file, bar)
        transfer.start()
        try:
            before = 0
            while not wait_for(transfer.ended, TIMEOUT):
                came, before = bar.n - before, bar.n
                if came < SLOWEST * TIMEOUT:
                    raise TimeoutError(f"only {came:,} bytes came in {TIMEOUT:g} seconds")
        finally:
            transfer.wanted = False
    if transfer.error:
        raise transfer.error


class _Transfer(threading.Thread):
    """Stream ``url`` to ``file`` in a thread, because http.client reads headers for as long as a server sends any."""

    def __init__(self, url, file, bar):
        super().__init__(daemon=True)
        self.url, self.file, self.bar, self.wanted, self.error = url, file, bar, True, None
        self.ended = threading.Event()

    def run(self):
        import requests

        try:
            with requests.get(
                self.url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
            ) as response:
                response.raise_for_status()
                with open(self.file, "wb") as out:
                    while self.wanted and (chunk := response.raw.read1(1 << 16)):  # whatever has arrived, even one byte
                        out.write(chunk)
                        self.bar.update(len(chunk))
                        if self.bar.n > self.bar.total:
                            raise ValueError(f"more than the expected {self.bar.total:,} bytes came")
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()
