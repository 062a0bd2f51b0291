"""The folder that the broker reads: who is enrolled, what they may publish, whose certificates are refused."""

from pathlib import Path

from access import broker_files
from access.authority import Authority, write_private
from access.enrolment import Enrolment


def write_broker_folder(folder: Path, enrolment: Enrolment, authority: Authority, *, now_ns: int) -> None:
    """Write its three files, each at once; the broker of the stack takes them within two seconds.

    Args:
        folder: where to.
        enrolment: who is enrolled.
        authority: signs the list of what is refused.
        now_ns: the present.

    Raises:
        AuthorityError: they cannot be written.
        RecordsError: the records cannot be read.
    """
    users = enrolment.users()
    # In a folder that the broker's container alone mounts, under another user: so everybody may read them there.
    contents = {
        "acl": broker_files.access_list(users).encode(),
        "passwords": broker_files.passwords(users).encode(),
        "crl": authority.refused(enrolment.withdrawn(now_ns=now_ns)),
    }
    for name, content in contents.items():
        write_private(folder / f"devices.{name}", content, mode=0o644)
