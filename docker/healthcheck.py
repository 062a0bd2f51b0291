# ruff: noqa: INP001  (a script in the image, no package)
"""Health check of the containers: exit status 0 where the address answers. It needs no tool beside Python.

`python docker/healthcheck.py https://127.0.0.1:8000/health /tls/ca.crt`
"""

import ssl
import sys
import urllib.request
from urllib.error import URLError

if __name__ == "__main__":
    address, *trusted = sys.argv[1:]
    context = ssl.create_default_context(cafile=trusted[0] if trusted else None)
    try:
        urllib.request.urlopen(address, timeout=4, context=context).close()  # noqa: S310  # nosec B310
    except (URLError, TimeoutError) as exc:
        sys.exit(f"{address}: {exc}")
