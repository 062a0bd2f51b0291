# ruff: noqa: INP001  (a script in the image, no package)
"""Health check of the containers: exit status 0 where the address answers. It needs no tool beside Python.

`python docker/healthcheck.py http://127.0.0.1:8000/health`
"""

import sys
import urllib.request
from urllib.error import URLError

if __name__ == "__main__":
    try:
        urllib.request.urlopen(sys.argv[1], timeout=4).close()  # noqa: S310  # nosec B310
    except (URLError, TimeoutError) as exc:
        sys.exit(f"{sys.argv[1]}: {exc}")
