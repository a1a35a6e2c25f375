"""`marquee`: the operator's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from apps.marquee import dead_letters
from apps.marquee.upload_options import upload_options
from kit.settings import SettingsError, stop_start


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="marquee", description="Run and maintain Marquee. Settings are MARQUEE_* environment variables."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run everything in this process until Ctrl-C")
    commands.add_parser("migrate", help="make or migrate the databases of embedded mode")
    commands.add_parser("reindex", help="write the search index of embedded mode anew")
    demo = commands.add_parser("demo", help="make sample films and upload them to a running Marquee")
    _connection_options(demo)
    reprocess = commands.add_parser("reprocess", help="make media information and artwork of every video again")
    reprocess.add_argument(
        "--kind",
        action="append",
        choices=("facts", "thumbnail", "posters", "storyboard", "subtitles"),
        help="only this part; may be given more than once",
    )
    reprocess.add_argument("--wait", action="store_true", help="wait until all were requested, and show how far it is")
    _connection_options(reprocess)
    upload = commands.add_parser("upload", help="upload films, going on where an earlier run ended")
    upload_options(upload)
    _connection_options(upload)
    importing = commands.add_parser("import", help="register films where they are, without copying them")
    importing.add_argument(
        "locations",
        nargs="+",
        metavar="LOCATION",
        help="https://host/film.mp4, s3://bucket/key, a file or a folder below MARQUEE_IMPORT_DIR, or - for a list",
    )
    importing.add_argument("--prune", action="store_true", help="put the videos of missing files into the trash")
    importing.add_argument("--rescan", action="store_true", help="process every film again, changed or not")
    importing.add_argument("--json", action="store_true", help="print the report as JSON, for scripts")
    _connection_options(importing)
    letters = commands.add_parser("dead-letters", help="list, show and replay events that were given up")
    for each in dead_letters.add_command(letters):
        _connection_options(each)
    keys = commands.add_parser("keys", help="manage the keys that sign access tokens, and the one of protected films")
    actions = keys.add_subparsers(dest="action", required=True)
    actions.add_parser("rewrap", help="wrap all content keys of protected films by the present master key")
    rotate = actions.add_parser("rotate", help="sign with a new key; logins stay valid")
    rotate.add_argument("--file", type=Path, default=None, help="the key file (default: MARQUEE_SIGNING_KEY_FILE)")
    rotate.add_argument("--compromised", action="store_true", help="the old keys were stolen: refuse them at once")
    chosen = parser.parse_args(arguments)
    try:
        # Imported only when wanted: the server's modules make every other command slow to start.
        if chosen.command in ("serve", "migrate", "reindex"):
            from apps.marquee import embedded  # noqa: PLC0415

            {"serve": embedded.run, "migrate": embedded.migrate, "reindex": embedded.reindex}[chosen.command]()
        elif chosen.command == "keys" and chosen.action == "rewrap":
            from services.stream import rotate as content_keys  # noqa: PLC0415

            content_keys.run()
        elif chosen.command == "keys":
            from services.auth import rotate as rotation  # noqa: PLC0415

            rotation.run(chosen.file, compromised=chosen.compromised)
        else:
            from apps.marquee import client  # noqa: PLC0415

            client.run(chosen)
    except SettingsError as error:
        stop_start(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _connection_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=None, help="address of Marquee (default: MARQUEE_URL, then this machine)")
    parser.add_argument("--login", default=None, help="login (default: MARQUEE_ADMIN_LOGIN, then admin)")
    parser.add_argument(
        "--password", default=None, help="password (default: MARQUEE_ADMIN_PASSWORD; asked for when neither is given)"
    )


if __name__ == "__main__":
    main()
