"""Certificates of servers, kept until they are about to end."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from access.authority import Authority, write_private

CERTIFICATE, KEY, AUTHORITY = "server.crt", "server.key", "ca.crt"


def renewed(authority: Authority, folder: Path, names: Sequence[str], *, days_left: int) -> bool:
    """Make the certificate of a server where there is none, or none that lasts.

    Args:
        authority: signs it.
        folder: holds the certificate, its key, and what clients are to trust.
        names: host names and addresses that it answers to.
        days_left: a certificate that ends within so many days is made anew.

    Returns:
        Whether one was made.

    Raises:
        AuthorityError: a file cannot be written.
    """
    trusted = folder / AUTHORITY
    same = trusted.exists() and trusted.read_bytes() == authority.certificate
    if same and _lasts(folder / CERTIFICATE, names, days_left) and (folder / KEY).exists():
        return False
    issued = authority.server(names)
    # Each folder is mounted by the one server that it is for, under a user of its own: whoever gets there may read it.
    for name, content in ((KEY, issued.key), (CERTIFICATE, issued.certificate), (AUTHORITY, authority.certificate)):
        write_private(folder / name, content, mode=0o644)
    return True


def _lasts(path: Path, names: Sequence[str], days_left: int) -> bool:
    try:
        held = x509.load_pem_x509_certificate(path.read_bytes())
        alternatives = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    answered = {str(each.value) for each in alternatives}
    return set(names) <= answered and held.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=days_left)
