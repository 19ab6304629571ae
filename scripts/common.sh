# shellcheck shell=bash
# Shared by the scripts; sourced, never run. Sets:
#   root    the repository
#   target  cargo's target directory: CARGO_TARGET_DIR, or target/ in the repository
#   built_program  the program that build_program makes

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/target
if [ -n "${CARGO_TARGET_DIR:-}" ]; then
    # Made absolute, because the scripts build from the root, wherever they were called.
    target=$(realpath -m -- "$CARGO_TARGET_DIR")
    export CARGO_TARGET_DIR=$target
fi

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# apt_install PACKAGE…: installs, and says so. Does nothing without arguments.
apt_install() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "missing, and there is no apt-get here to install it: $*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q)
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root, and there is no sudo: as root, run: apt-get install $*"
        apt=(sudo "${apt[@]}")
    fi
    say "installing what is missing: $*"
    "${apt[@]}" update || die "apt-get update failed"
    "${apt[@]}" install -y --no-install-recommends "$@" \
        || die "apt-get could not install: $*"
}

# Installs the build's needs besides Rust: a C and a C++ compiler, a linker, pkg-config; for librdkafka OpenSSL and zlib.
ensure_build_tools() {
    local missing=()
    if ! command -v cc >/dev/null || ! command -v make >/dev/null; then missing+=(build-essential); fi
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    [ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
    [ -e /usr/include/zlib.h ] || missing+=(zlib1g-dev)
    apt_install "${missing[@]}"
}

# Installs the needs of the browser tests: Node, npm, and a Chromium with a font.
ensure_browser_tools() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v "${AUDIENCE_CHROMIUM:-/usr/bin/chromium}" >/dev/null || missing+=(chromium fonts-liberation)
    apt_install "${missing[@]}"
}

# Installs the needs of the tests of mails: Postfix's smtp-sink, and a Python that checks DKIM.
ensure_mail_peers() {
    local missing=()
    [ -x /usr/sbin/smtp-sink ] || missing+=(postfix)
    if ! "${AUDIENCE_TEST_PYTHON:-python3}" -c 'import dkim, nacl' 2>/dev/null; then
        export AUDIENCE_TEST_PYTHON=/usr/bin/python3
        "$AUDIENCE_TEST_PYTHON" -c 'import dkim, nacl' 2>/dev/null || missing+=(python3-dkim python3-nacl)
    fi
    apt_install "${missing[@]}"
}

# Rust is not installed by us: which toolchain a machine has is its owner's choice.
# To be called outside of a subshell, since it may set PATH.
ensure_rust() {
    command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    local needed found
    needed=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
    command -v cargo >/dev/null || die "there is no cargo: install Rust ${needed:-(stable)} or later, see https://rustup.rs"
    found=$(cargo --version) || die "cargo does not run: see the message above"
    found=${found#cargo }
    found=${found%% *}
    if [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" != "$needed" ]; then
        die "Rust $found is too old, $needed or later is needed: rustup update stable"
    fi
}

# build_program: builds the program with the profile that compiles soonest, and leaves it at $built_program.
built_program=$target/serve/audience
build_program() {
    say "building (the first time takes some minutes)"
    (cd "$root" && cargo build --profile serve --locked -p audience --no-default-features --bin audience) || die "the program does not build"
}

# ensure_component NAME COMMAND…: a part of the toolchain that minimal installations leave out.
ensure_component() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then return 0; fi
    command -v rustup >/dev/null || die "$name is missing, and there is no rustup to add it"
    say "installing what is missing: the $name component"
    rustup component add "$name" || die "rustup could not add $name"
}
