"""The channels that a home has configured. Here: opening them. Not here: sending (`orchestration.alerts.delivery`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.alerts.channels import Channel
from orchestration.alerts.log_channel import LOG_FILE, LogChannel

if TYPE_CHECKING:
    from orchestration.settings import Settings


def open_channels(settings: Settings) -> list[Channel]:
    """The channels of a home: its log file, which always gets everything, and one for each URL.

    Raises:
        ChannelError: a URL that Apprise cannot use, by its position.
    """
    channels: list[Channel] = [LogChannel(settings.home_path / LOG_FILE)]
    urls = settings.alert_urls.get_secret_value()
    if urls:
        from orchestration.alerts.apprise_channel import open_apprise_channels

        channels += open_apprise_channels(urls)
    return channels
