"""`assay serve` and `assay api keys`: API and dashboard over what was published, and who may ask the API.

Here: options, words, and handing the settings on. Not here: the API (`serving.api`), the dashboard
(`serving.dashboard`), or publishing.
"""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ml.text.times import utc_minute
from orchestration.cli.options import AsJson, Home
from orchestration.cli.ports import require_free
from orchestration.output.terminal import print_json, say
from orchestration.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from serving.api.config import ApiConfig
    from serving.api.keys import KeyFile
    from serving.dashboard.config import DashboardConfig


def serve(
    home: Home = None,
    host: Annotated[
        str | None, typer.Option(help="Address to bind; the default is this machine only [ASSAY_API_HOST].")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind [ASSAY_API_PORT].")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer [ASSAY_API_WORKERS].")] = None,
    api: Annotated[bool, typer.Option(help="Start the API; without it the dashboard alone.")] = True,
    dashboard: Annotated[bool, typer.Option(help="Start the dashboard beside the API.")] = True,
    dashboard_host: Annotated[
        str | None, typer.Option(help="Address of the dashboard [ASSAY_DASHBOARD_HOST].")
    ] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(help="Port of the dashboard [ASSAY_DASHBOARD_PORT].")
    ] = None,
) -> None:
    """Serve the published estimates over HTTP, and as a dashboard, until interrupted."""
    settings = load_settings(
        home=home,
        api_host=host,
        api_port=port,
        api_workers=workers,
        dashboard_host=dashboard_host,
        dashboard_port=dashboard_port,
    )
    from orchestration.home import serving_home
    from serving.api.limiting import LimitError, parse_limit
    from serving.api.server import run
    from serving.store.errors import StoreAddressError, StoreError
    from serving.store.location import open_store

    if not (api or dashboard):
        raise SettingsError("expected one of API and dashboard, found --no-api and --no-dashboard")
    serving_home(settings)
    config = api_config(settings)
    if not api:
        _serve_dashboard(settings, config)
    try:
        for limit in (config.key_limit, config.anonymous_limit):
            parse_limit(limit)
    except LimitError as error:
        raise SettingsError(str(error)) from error
    require_free(config.host, config.port, "--port")
    say(f"Assay API: http://{config.host}:{config.port}/v1 (Ctrl-C stops it) · home {settings.home_path}")
    say(f"described in http://{config.host}:{config.port}/openapi.json")
    if config.anonymous and not _is_this_machine(config.host):
        say("! everybody who reaches this address may read; ASSAY_API_ANONYMOUS=false asks for keys")
    try:
        store = open_store(config.store)
        pointer = store.current().pointer
        store.close()
        say(
            f"version {pointer.version} · market as of {utc_minute(datetime.fromisoformat(pointer.market_time))}"
        )
    except StoreAddressError as error:
        raise SettingsError(str(error)) from error
    except StoreError as error:
        say(f"! nothing can be answered yet: {error}")
    with ExitStack() as beside:
        if dashboard:
            _start_dashboard(settings, config, beside)
        run(config)


def _serve_dashboard(settings: Settings, config: ApiConfig) -> NoReturn:
    """Serve the dashboard alone until it ends, with its exit code."""
    from serving.dashboard.server import Dashboard, DashboardError

    try:
        started = Dashboard(_dashboard_config(settings, config))
    except DashboardError as error:
        raise SettingsError(str(error)) from error
    with started:
        say(f"Assay dashboard: http://{settings.dashboard_host}:{settings.dashboard_port} (Ctrl-C stops it)")
        raise typer.Exit(started.process.wait())


def _dashboard_config(settings: Settings, config: ApiConfig) -> DashboardConfig:
    from serving.dashboard.config import DashboardConfig

    host, port = settings.dashboard_host, settings.dashboard_port
    return DashboardConfig(config.folder, host, port, config.refuse_after_s, config.store_url, config.reasons)


def _start_dashboard(settings: Settings, config: ApiConfig, beside: ExitStack) -> None:
    """Start the dashboard until the API ends; when it cannot be, the API is served without it."""
    from serving.dashboard.server import Dashboard, DashboardError

    host = settings.dashboard_host
    try:
        beside.enter_context(Dashboard(_dashboard_config(settings, config)))
    except DashboardError as error:
        say(f"! no dashboard: {error}")
        return
    say(f"Assay dashboard: http://{host}:{settings.dashboard_port}")
    if not _is_this_machine(host):
        say("! everybody who reaches this address sees the dashboard, which asks for no key")
    elif not config.anonymous:
        say("! the dashboard asks for no key: who uses this machine sees it; --no-dashboard leaves it out")


def api_config(settings: Settings) -> ApiConfig:
    """The settings of the API, from those of the home."""
    from serving.api.config import ApiConfig
    from serving.api.keys import keys_folder
    from serving.explainer.source import ReasonSource
    from serving.store.files import FOLDER

    lake = settings.lake_config()
    # A copy of the published store has none, and opening it would make one.
    has_lake = lake.may_exist
    origins = tuple(origin.strip() for origin in settings.api_cors_origins.split(",") if origin.strip())
    return ApiConfig(
        folder=settings.home_path / FOLDER,
        keys=keys_folder(settings.home_path),
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers,
        anonymous=settings.api_anonymous,
        key_limit=settings.api_key_limit,
        anonymous_limit=settings.api_anonymous_limit,
        limits_url="" if settings.api_limits_url is None else settings.api_limits_url.get_secret_value(),
        cors_origins=origins,
        refuse_after_s=settings.api_refuse_after_h * 3600,
        store_url="" if settings.serving_store is None else settings.serving_store.get_secret_value(),
        reasons=ReasonSource(lake, settings.model_files(lake.home))
        if settings.api_explain and has_lake
        else None,
    )


api = typer.Typer(help="Who may ask the API.", no_args_is_help=True)
keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
api.add_typer(keys, name="keys")


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    limit: Annotated[
        str, typer.Option(help="Its own limit, e.g. 100/second, in place of ASSAY_API_KEY_LIMIT.")
    ] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its digest is kept."""
    from serving.api.limiting import LimitError, parse_limit

    try:
        parse_limit(limit)
    except LimitError as error:
        raise SettingsError(str(error)) from error
    text, key = _key_file(home).create(name, limit)
    if as_json:
        print_json({"id": key.id, "key": text, "name": key.name, "limit": key.limit})
        return
    say(text)
    say(f"id {key.id}. Keep the key now: it is not shown again. Send it as `Authorization: Bearer …`.")


@keys.command("list")
def list_keys(home: Home = None, as_json: AsJson = False) -> None:
    """Show every key that was made, without its text."""
    from ml.text.visible import visible

    rows = [
        {
            "id": key.id,
            "name": key.name,
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
            "limit": key.limit,
        }
        for key in _key_file(home).all()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else "good"
        say(
            f"{row['id']}  {row['created_at']}  {state:<28} {row['limit'] or '—':<14} {visible(str(row['name']))}"
        )
    if not rows:
        say("no keys; `assay api keys create NAME` makes one")


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key.")], home: Home = None
) -> None:
    """Make a key worthless from now on, also for servers that run."""
    from serving.api.keys import KeyFileError

    try:
        key = _key_file(home).revoke(key_id)
    except KeyFileError as error:
        raise SettingsError(str(error)) from error
    say(f"{key.id} is revoked since {key.revoked_at}")


def _key_file(home: Home) -> KeyFile:
    settings = load_settings(home=home)
    from orchestration.home import existing_home
    from serving.api.keys import KeyFile, keys_folder

    return KeyFile(keys_folder(existing_home(settings)))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
