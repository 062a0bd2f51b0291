"""Where `init` leaves the tokens that it made in the store, one file each, readable by their owner alone."""

import os
from collections.abc import Mapping
from pathlib import Path

from devices.errors import SettingsError


def write_tokens(folder: Path, tokens: Mapping[str, str]) -> list[Path]:
    """Write each token into a file named after its user.

    Args:
        folder: where to write, made if need be.
        tokens: token by user: ingest, rollups, api, grafana.

    Returns:
        The files.

    Raises:
        SettingsError: a file cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, token in tokens.items():
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(token)
            written.append(path)
    except OSError as exc:
        raise SettingsError(f"the tokens cannot be written to {folder}: {exc.strerror}") from exc
    return written


def read_tokens(folder: Path) -> dict[str, str]:
    """The tokens that `write_tokens` left in a folder, by user; none where there is no folder.

    Raises:
        SettingsError: a file cannot be read.
    """
    try:
        return {path.name: path.read_text(encoding="utf-8").strip() for path in folder.glob("*") if path.is_file()}
    except OSError as exc:
        raise SettingsError(f"the tokens in {folder} cannot be read: {exc.strerror}") from exc
