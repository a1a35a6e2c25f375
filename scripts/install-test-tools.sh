#!/bin/sh
# Install the programs that the tests run as real servers and real clients, on Debian and its relatives.
#
#   scripts/install-test-tools.sh                 databases, broker, proxy, media tools, browser, fonts
#   scripts/install-test-tools.sh --with-docker   the same, and what a private Docker engine needs
#   scripts/install-test-tools.sh --bench         only what the benchmark runs: proxy, broker, FUSE
#   scripts/install-test-tools.sh --print-mirror  only name the Debian mirror that this machine uses
#
# Running it again installs nothing that is already there. Installing needs root, or sudo without a password.
set -eu

ROOT=$(cd "$(dirname "$0")/.." && pwd)
PLUGINS="$ROOT/.cache/docker/config/cli-plugins"
COMPOSE_SUITE=trixie  # the first Debian release that packages Compose v2 and buildx
POLICY=/usr/sbin/policy-rc.d

say() { printf '==> %s\n' "$*"; }
die() { printf 'install-test-tools: %s\n' "$*" >&2; exit 1; }

# The mirror that this machine already installs Debian from. Third-party, security and backports archives
# are recognised by their signed Release files, or else by the usual last folder of the address.
debian_mirror() {
    mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian|Debian|//p' | sort -u | head -n 1)
    if [ -z "$mirror" ]; then
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep '/debian/*$' | sort -u | head -n 1)
    fi
    printf '%s' "${mirror%/}"
}

with_docker=no
only_bench=no
for argument in "$@"; do
    case $argument in
        --with-docker) with_docker=yes ;;
        --bench) only_bench=yes ;;
        --print-mirror) debian_mirror; exit 0 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) die "unknown argument: $argument (see --help)" ;;
    esac
done

command -v apt-get >/dev/null || die "this needs apt (Debian or a relative of it). Install by hand: RabbitMQ, PostgreSQL, Redis, nginx, ffmpeg, Chromium, the Nanum fonts, curl, wget, aria2, mpv and VLC."

# Asked only when there is something to install: a machine that has everything needs no rights.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        die "packages must be installed: run this as root, or let $(id -un) use sudo without a password."
    fi
}

installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=
# A tool from elsewhere (a newer one, a vendor's package) serves as well as Debian's, so look for the program first.
want_program() {
    if command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; then say "$1: already here"; else missing="$missing $2"; fi
}
want_package() {
    if installed "$1"; then say "$1: already here"; else missing="$missing $1"; fi
}

want_program rabbitmq-server rabbitmq-server
want_program nginx nginx
if [ "$only_bench" = yes ]; then
    want_program fusermount3 fuse3
else
    if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then
        say "postgresql: already here"
    else
        missing="$missing postgresql"
    fi
    want_program redis-server redis-server
    want_program caddy caddy
    want_program ffmpeg ffmpeg
    want_program chromium chromium
    want_package fonts-nanum
    want_program curl curl
    want_program wget wget
    want_program aria2c aria2
    want_program mpv mpv
    want_program cvlc vlc-bin
    want_package vlc-plugin-base
fi

engine_answers=no
if [ "$with_docker" = yes ]; then
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        engine_answers=yes
        say "docker: an engine already answers"
    else
        want_program dockerd docker.io
        want_program docker docker.io
        want_program iptables iptables
    fi
    # For the wrapper of runc, which is tested whichever engine is used.
    want_program jq jq
    # The stand-in base images are made from Debian packages whichever engine is used.
    want_program mmdebstrap mmdebstrap
fi
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
missing=${missing% }

refreshed=no
refresh() {
    if [ "$refreshed" = no ]; then
        say "apt-get update"
        as_root apt-get update -qq
        refreshed=yes
    fi
}

if [ -n "$missing" ]; then
    refresh
    # Debian starts a server as soon as its package is installed. The tests run their own, on their own ports and
    # data, so forbid it, unless the machine already has a rule of its own.
    made_policy=no
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
        made_policy=yes
        trap 'as_root rm -f "$POLICY"' EXIT
        trap 'exit 130' INT TERM
    fi
    say "apt-get install $missing"
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
    if [ "$made_policy" = yes ]; then
        as_root rm -f "$POLICY"
        trap - EXIT
    fi
fi

# --- Compose v2 and buildx -------------------------------------------------------------------------------------

plugin_works() { DOCKER_CONFIG="$ROOT/.cache/docker/config" docker "$1" version >/dev/null 2>&1; }

if [ "$with_docker" = yes ]; then
    if plugin_works compose && plugin_works buildx; then
        say "docker compose, docker buildx: already here"
    else
        refresh
        mirror=$(debian_mirror)
        [ -n "$mirror" ] || die "no Debian mirror in apt's configuration. Install Docker Compose v2 and buildx by hand."
        keyring=/usr/share/keyrings/debian-archive-keyring.gpg
        [ -r "$keyring" ] || die "$keyring is missing: install debian-archive-keyring."
        say "docker compose and buildx out of Debian's $COMPOSE_SUITE, unpacked into $PLUGINS"
        work=$(mktemp -d "${TMPDIR:-/tmp}/marquee-plugins.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked" "$PLUGINS"
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$COMPOSE_SUITE" > "$work/sources.list"
        # Package lists of their own: the other release must not influence the machine's package choice.
        other_release() {
            apt-get -qq \
                -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
                -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status=/dev/null \
                -o APT::Sandbox::User="$(id -un)" \
                -o APT::Update::Post-Invoke-Success::= -o APT::Update::Post-Invoke::= "$@"
        }
        (cd "$work" && other_release update && other_release download docker-compose docker-buildx)
        for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/unpacked"; done
        install -m 755 "$work/unpacked/usr/libexec/docker/cli-plugins/docker-compose" \
            "$work/unpacked/usr/libexec/docker/cli-plugins/docker-buildx" "$PLUGINS/"
        rm -rf "$work"
        trap - EXIT
        plugin_works compose || die "docker compose was unpacked but does not run: $PLUGINS/docker-compose"
        plugin_works buildx || die "docker buildx was unpacked but does not run: $PLUGINS/docker-buildx"
    fi
    [ "$engine_answers" = yes ] || say "no Docker engine answers yet: python -m tests.stacks.docker_engine start"
fi
say "done"
