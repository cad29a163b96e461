#!/usr/bin/env bash
# Makes this machine ready to build gaincell: says what is missing, then installs it if it may.
#
#   setup.sh [--for-tests] [--dry-run]
#
#   --for-tests  also what only the tests and their checks use: the ngspice command, make, admsXml, rustfmt, clippy
#   --dry-run    say what would be done, and do nothing
#
# Exit codes:
#   0  everything is there (with --dry-run: or can be installed here)
#   1  an installation was tried and something is still missing
#   2  the command line is wrong
#   3  something is missing and cannot be installed from here; the commands to run have been printed
#   4  Rust is missing or too old; how to get it has been printed
#
# System packages are installed with apt-get alone, and only as root or by a sudo that asks for no password.
# Presence is judged by the files that the build and the program will open, not by a package manager's records, so
# libraries built by hand count: LIBCLANG_PATH, LD_LIBRARY_PATH, CPATH and GAINCELL_LIBNGSPICE are honoured.
set -euo pipefail
shopt -s nullglob

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# Prefix of the system's folders; the tests of this script point it at an empty one.
root=${GAINCELL_SETUP_ROOT:-}
PATH=$PATH:${HOME:-/root}/.cargo/bin

for_tests=false
dry_run=false
for argument in "$@"; do
    case $argument in
        --for-tests) for_tests=true ;;
        --dry-run) dry_run=true ;;
        --help | -h)
            sed -n '2,/^set -euo/{s/^# \{0,1\}//;/^set -euo/d;p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *)
            printf 'setup.sh: unknown option %s; accepted: --for-tests, --dry-run, --help\n' "$argument" >&2
            exit 2
            ;;
    esac
done

# What is needed: name | what for | Debian and Ubuntu | Fedora | Arch | Nix
needs=(
    "cc|C compiler and headers, to link and to build zstd|gcc libc6-dev|gcc glibc-devel|base-devel|gcc"
    "libngspice|ngspice as a library, with its headers|libngspice0-dev|libngspice-devel|ngspice|libngspice"
    "libclang|reads ngspice's headers at build time|libclang-dev|clang-devel|clang|rustPlatform.bindgenHook"
)
if $for_tests; then
    needs+=(
        "ngspice|the ngspice command, which tests compare with|ngspice|ngspice|ngspice|ngspice"
        "make|runs the Makefile|make|make|base-devel|gnumake"
        "admsXml|reads the exported Verilog-A modules as a compiler does|adms|adms|adms|adms"
    )
fi

# Folders named by a colon-separated variable, then the system's, one a line.
folders() {
    local listed=$1
    shift
    local folder
    while IFS= read -r -d : folder; do
        if [ -n "$folder" ]; then printf '%s\n' "$folder"; fi
    done <<<"$listed:"
    for folder in "$@"; do printf '%s\n' "$folder"; done
}

# Whether one of the folders on standard input has a file of one of the names, which may be patterns. It answers at the
# first find, so it must not stand behind a pipe: the writer would die of it, and pipefail would make that a "no".
any_has() {
    local folder name file
    while IFS= read -r folder; do
        for name in "$@"; do
            # The name is a pattern, the folder is not.
            for file in "$folder"/$name; do
                case $file in *libclang-cpp*) continue ;; esac
                if [ -e "$file" ]; then return 0; fi
            done
        done
    done
    return 1
}

library_folders=(
    "$root"/usr/lib/*-linux-gnu* "$root"/usr/lib64 "$root"/usr/lib "$root"/lib/*-linux-gnu* "$root"/lib64 "$root"/lib
    "$root"/usr/local/lib/*-linux-gnu* "$root"/usr/local/lib64 "$root"/usr/local/lib "$root"/opt/homebrew/lib
)

has_cc() {
    command -v cc >/dev/null || return 1
    # A compiler without the C library's headers is of no use.
    cc -E -x c - >/dev/null 2>&1 <<<$'#include <stdio.h>\n#include <stdbool.h>'
}

has_libngspice() {
    any_has ngspice/sharedspice.h < <(folders "${CPATH:-}:${C_INCLUDE_PATH:-}" \
        "$root"/usr/include "$root"/usr/local/include "$root"/opt/homebrew/include) || return 1
    if [ -n "${GAINCELL_LIBNGSPICE:-}" ]; then
        [ -e "$GAINCELL_LIBNGSPICE" ]
        return
    fi
    any_has libngspice.so libngspice.so.0 libngspice.dylib libngspice.0.dylib \
        < <(folders "${LD_LIBRARY_PATH:-}" "${library_folders[@]}")
}

has_libclang() {
    local llvm
    llvm=("$root"/usr/lib/llvm*/lib "$root"/usr/lib64/llvm*/lib* "$root"/usr/local/llvm*/lib "$root"/opt/homebrew/opt/llvm/lib)
    any_has 'libclang.so' 'libclang-*.so' 'libclang.so.*' 'libclang-*.so.*' 'libclang.dylib' \
        < <(folders "${LIBCLANG_PATH:-}:${LD_LIBRARY_PATH:-}" "${llvm[@]}" "${library_folders[@]}") || return 1
    # libclang without the compiler's own headers cannot read <stdbool.h>; a wrapper that sets this brings its own.
    if [ -n "${BINDGEN_EXTRA_CLANG_ARGS:-}" ]; then return 0; fi
    any_has 'clang/*/include/stdbool.h' < <(folders "${LIBCLANG_PATH:-}" "${llvm[@]}" "${library_folders[@]}")
}

has() {
    case $1 in
        cc) has_cc ;;
        libngspice) has_libngspice ;;
        libclang) has_libclang ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# The needs that are not met, as lines of the table above.
unmet() {
    local need
    for need in "${needs[@]}"; do
        if ! has "${need%%|*}"; then printf '%s\n' "$need"; fi
    done
}

# One column of the unmet needs, each word once.
packages() {
    local column=$1 line fields word seen=" "
    while IFS= read -r line; do
        IFS='|' read -r -a fields <<<"$line"
        for word in ${fields[$column]}; do
            case $seen in *" $word "*) continue ;; esac
            seen="$seen$word "
        done
    done <<<"$missing"
    seen=${seen# }
    printf '%s' "${seen% }"
}

# Rust: said before anything is installed, since nothing can be built without it.
rust_wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$here/Cargo.toml")
rust_found=
if command -v cargo >/dev/null && command -v rustc >/dev/null; then
    rust_found=$(cd -- "$here" && rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
fi
rust_is_good=false
if [ -n "$rust_found" ]; then
    wanted_minor=${rust_wanted#*.}
    if [ "${rust_found%%.*}" -gt "${rust_wanted%%.*}" ] || [ "${rust_found#*.}" -ge "${wanted_minor%%.*}" ]; then
        rust_is_good=true
    fi
fi

missing=$(unmet)
if [ -n "$missing" ]; then
    printf 'gaincell needs, and this machine does not have:\n'
    while IFS='|' read -r name purpose _; do printf '  %-11s %s\n' "$name" "$purpose"; done <<<"$missing"
fi

if ! $rust_is_good; then
    if [ -z "$rust_found" ]; then
        printf 'Rust (cargo and rustc) is missing; gaincell needs %s or newer.\n' "$rust_wanted"
    else
        printf 'Rust %s is too old; gaincell needs %s or newer.\n' "$rust_found" "$rust_wanted"
    fi
    if command -v rustup >/dev/null; then
        printf 'To get it:  rustup update stable && rustup default stable\n'
    else
        printf 'To get it, follow https://rustup.rs, then open a new shell. A distribution'\''s Rust will do if it is new enough.\n'
    fi
    exit 4
fi

# The formatter and the linter come with rustup, not with the system's packages.
if $for_tests && command -v rustup >/dev/null; then
    components=
    cargo fmt --version >/dev/null 2>&1 || components="rustfmt"
    cargo clippy --version >/dev/null 2>&1 || components="$components clippy"
    if [ -n "$components" ]; then
        printf 'Will run:  rustup component add %s\n' "${components# }"
        # shellcheck disable=SC2086  # two words are two components
        $dry_run || rustup component add $components || printf 'They stay missing; make test will skip their checks.\n'
    fi
fi

if [ -z "$missing" ]; then
    exit 0
fi

as_root=
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        as_root=yes
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=sudo
    fi
fi

if [ -z "$as_root" ]; then
    nix=$(packages 5)
    printf '\nThey cannot be installed from here (no apt-get as root or by a password-less sudo). Run one of these, then try again:\n'
    printf '  Debian, Ubuntu   sudo apt-get update && sudo apt-get install %s\n' "$(packages 2)"
    printf '  Fedora           sudo dnf install %s\n' "$(packages 3)"
    printf '  Arch             sudo pacman -S --needed %s\n' "$(packages 4)"
    printf '  Nix              nix-shell -p %s\n' "$nix"
    case $nix in
        *libngspice*) printf '                   and in it: export GAINCELL_LIBNGSPICE=$(nix-build --no-out-link "<nixpkgs>" -A libngspice)/lib/libngspice.so\n' ;;
    esac
    printf 'Without ngspice, everything that works from files still builds:  cargo build --no-default-features --features dataset,plot\n'
    exit 3
fi

run_as_root=()
if [ "$as_root" = sudo ]; then run_as_root=(sudo -n); fi
read -r -a debian <<<"$(packages 2)"
update=("${run_as_root[@]}" apt-get update -qq)
install=("${run_as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
    -o DPkg::Lock::Timeout=300 "${debian[@]}")
printf 'Will run:\n  %s\n  %s\n' "${update[*]}" "${install[*]}"
if $dry_run; then
    exit 0
fi
# One broken package source among several does not keep the others from being used.
"${update[@]}" </dev/null || printf 'apt-get update failed; trying with the package lists that are there.\n'
"${install[@]}" </dev/null || true

missing=$(unmet)
if [ -n "$missing" ]; then
    printf 'Still missing after the installation:\n' >&2
    while IFS='|' read -r name purpose _; do printf '  %-11s %s\n' "$name" "$purpose" >&2; done <<<"$missing"
    exit 1
fi
printf 'Everything is there.\n'
