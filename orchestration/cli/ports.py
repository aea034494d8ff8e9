"""Whether a port is free, asked before anything is started on it.

The server of the API shares its port with any other one that allows it: two of them on one port would each answer a
part of the requests, of two homes.
"""

from __future__ import annotations

import socket

from orchestration.settings import SettingsError


def require_free(host: str, port: int, option: str) -> None:
    """Refuse an address that cannot be bound.

    Args:
        host: Address or name.
        port: Port; 0 is any free one.
        option: What sets the port, for the message.

    Raises:
        SettingsError: Another process listens there, or it is no address of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        # The library adds the address to the system's words.
        why = (error.strerror or str(error)).partition(" (while ")[0]
        raise SettingsError(
            f"expected a free port, found that {host}:{port} cannot be bound ({why}); choose another with "
            f"{option}"
        ) from error
