"""Makes the secrets of an installation: a `.env` with random values, from `.env.example`. Nothing has a default."""

import re
import secrets
from pathlib import Path

from devices.errors import SettingsError

_SECRET = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]*(?:PASSWORD|TOKEN|KEY))=\s*$")
_BITS_BYTES = 24  # 192 bits


def write_secrets(example: Path, target: Path) -> list[str]:
    """Copy `example` to `target`, filling each empty password, token and key with a random value.

    Args:
        example: a file of `NAME=value` lines.
        target: where to write; readable by its owner alone.

    Returns:
        The names that were given a value.

    Raises:
        SettingsError: `target` exists, or a file cannot be read or written.
    """
    try:
        lines = example.read_text(encoding="utf-8").splitlines()
        with target.open("x", encoding="utf-8") as file:
            target.chmod(0o600)
            made = []
            for line in lines:
                match = _SECRET.match(line)
                if match:
                    made.append(match["name"])
                file.write(f"{match['name']}={secrets.token_urlsafe(_BITS_BYTES)}\n" if match else f"{line}\n")
    except FileExistsError as exc:
        raise SettingsError(f"{target} exists; it is left as it is. Remove it first to make new secrets") from exc
    except OSError as exc:
        raise SettingsError(f"{exc.filename}: {exc.strerror}") from exc
    return made
