# What the other scripts share. Sourced, not run.
# shellcheck shell=bash

set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# Rust tools that a user installed for themselves.
case ":$PATH:" in
    *":${CARGO_HOME:-$HOME/.cargo}/bin:"*) ;;
    *) PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" ;;
esac

# CI clones anew for each run. What is compiled and what stages have built is kept in the user's cache folder, as hosted CIs keep one;
# a run is right without.
if [ "${CI:-}" = true ]; then
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/livery
    export CARGO_TARGET_DIR=$CACHE/target LIVERY_STAGES=$CACHE/stages
fi

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$1" >&2
    if [ $# -gt 1 ]; then printf '  fix: %s\n' "$2" >&2; fi
    exit 1
}

# From here on cargo compiles this workspace's crates by clippy's driver, which lints what it compiles, as `cargo clippy` has it do for
# a check; so lint and tests share one build. A plain `cargo build` beside it compiles them once more, not their dependencies.
with_lints() {
    RUSTC_WORKSPACE_WRAPPER=$(command -v clippy-driver)
    CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
    CLIPPY_CONF_DIR=$ROOT
    export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS CLIPPY_CONF_DIR
}

# Where scripts/setup puts the programs of lints/tools.txt, and scripts/lint finds them. Other versions of them are another folder.
lint_tools() { printf '%s/livery/lint-%s' "${XDG_CACHE_HOME:-$HOME/.cache}" "$(sha256sum <"$ROOT/lints/tools.txt" | cut -c 1-12)"; }

PHASES=()
PHASE=
PHASE_BEGAN=$SECONDS

# phase NAME COMMAND...   runs it under a heading, remembers how long it took
phase() {
    PHASE=$1
    PHASE_BEGAN=$SECONDS
    shift
    printf '\n==> %s\n' "$PHASE"
    "$@"
    PHASES+=("$(printf '%-24s %5d s  ok' "$PHASE" $((SECONDS - PHASE_BEGAN)))")
    PHASE=
}

# Prints the phases; to be set as the EXIT trap.
summary() {
    local code=$?
    if [ "$code" -ne 0 ] && [ -n "$PHASE" ]; then
        PHASES+=("$(printf '%-24s %5d s  FAILED (exit code %d)' "$PHASE" $((SECONDS - PHASE_BEGAN)) "$code")")
    fi
    printf '\n==> summary\n'
    if [ ${#PHASES[@]} -gt 0 ]; then printf '%s\n' "${PHASES[@]}"; fi
    printf '%-24s %5d s  %s\n' "all" "$SECONDS" "$([ "$code" -eq 0 ] && echo ok || echo FAILED)"
    return "$code"
}
