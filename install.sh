#!/bin/sh
# Installs Berth: on this machine to try it, on a server as the coordinator, on a host as a node. `install.sh help` tells how.
# Nothing runs before the last line has been read, so that half a download does nothing.
set -eu

# A coordinator that hands out this script puts its address, its key and its CA here.
origin_url=''
origin_pin=''
origin_ca=''
# @origin@

prefix=${BERTH_PREFIX:-/opt/berth}
settings=/etc/berth
data=/var/lib/berth
logs=/var/log/berth
state=/run/berth
units=/etc/systemd/system
port=23784

usage() {
  cat <<'USAGE'
install.sh up                      try Berth here: coordinator, agent and a first stack, in the background
install.sh down                    end what `up` started; containers go on unless --purge is given
install.sh test [FILTER…]          install what the tests need and run all of them
install.sh coordinator [OPTION…]   set up this machine as the coordinator; prints the line for hosts
install.sh join [URL] TOKEN [--name NAME] [OPTION…]
                                   make this machine a node (usually through the line that the coordinator prints)
install.sh upgrade                 put in the new version and restart Berth's own processes; containers go on
install.sh uninstall [--purge]     remove Berth; containers go on and data stays unless --purge is given
install.sh start | stop            without systemd: start or stop what is installed here
Options of `coordinator` and `join` go to `berth coordinator` and `berth agent`, and are kept in /etc/berth.
USAGE
}

main() {
  command=${1:-help}
  [ $# -eq 0 ] || shift
  case $command in
    up) up "$@" ;;
    down) down "$@" ;;
    test) run_tests "$@" ;;
    coordinator) install_coordinator "$@" ;;
    join) join_cluster "$@" ;;
    upgrade) upgrade "$@" ;;
    uninstall) uninstall "$@" ;;
    start) each_installed start_part ;;
    stop) each_installed stop_part ;;
    keep) keep "$@" ;;
    help | --help | -h) usage ;;
    *)
      usage >&2
      fail 2 "there is no command '$command'"
      ;;
  esac
}

# --- words -----------------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
doing() { printf '  … %s\n' "$*"; }
done_with() { printf '  ✓ %s\n' "$*"; }
warn() { printf '  ! %s\n' "$*" >&2; }
fail() {
  code=$1
  shift
  printf 'install.sh: %s\n' "$*" >&2
  exit "$code"
}

need_root() {
  [ "$(id -u)" = 0 ] || fail 3 "this needs root; run: sudo $0 $command"
}

has() { command -v "$1" >/dev/null 2>&1; }
has_systemd() { [ -d /run/systemd/system ]; }

# The folder of the checkout or release that this file lies in; fails when it came through a pipe.
source_root() {
  case $0 in
    */install.sh | install.sh) CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P ;;
    *) return 1 ;;
  esac
}

is_checkout() {
  root=$(source_root) || return 1
  case $root in "$prefix"/*) return 1 ;; esac
  [ -f "$root/package-lock.json" ] && [ -d "$root/coordinator" ]
}

need_checkout() {
  is_checkout || fail 2 "'$command' works from a checkout of Berth; this script is not in one"
}

arch_of_machine() {
  case $(uname -m) in
    x86_64 | amd64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail 1 "Berth runs on x86-64 and arm64; this machine is $(uname -m)" ;;
  esac
}

# --- packages of the distribution ------------------------------------------------------------------------------------------

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

# Installs what is missing of the packages named, in one go.
need_packages() {
  missing=''
  for package in "$@"; do is_installed "$package" || missing="$missing $package"; done
  [ -n "$missing" ] || return 0
  has apt-get || fail 1 "these packages are missing and there is no apt-get to install them with:$missing"
  doing "installing from the distribution:$missing"
  mkdir -p "$logs"
  apt_log=$logs/apt.log
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  if ! apt-get install -y --no-install-recommends $missing >"$apt_log" 2>&1 </dev/null; then
    # Often only the lists are old or were never fetched. One source that fails must not stop the others.
    apt-get update >>"$apt_log" 2>&1 </dev/null || true
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >>"$apt_log" 2>&1 </dev/null || {
      tail -n 15 "$apt_log" >&2
      fail 1 "apt-get could not install:$missing (see $apt_log)"
    }
  fi
  done_with "installed:$missing"
}

need_node_modules() {
  # npm writes the second file last, so it is there and newer only after everything was installed.
  installed=$root/node_modules/.package-lock.json
  if [ ! -f "$installed" ] || [ "$root/package-lock.json" -nt "$installed" ]; then
    # npm is Debian's only where nothing else brought one; the runtime itself comes with Berth's packages.
    has npm || need_packages nodejs npm
    doing 'npm ci (packages and the Node.js runtime)'
    (cd "$root" && npm ci --no-audit --no-fund --loglevel=error </dev/null >&2) || fail 1 'npm ci failed'
    touch "$installed"
  fi
  node=$root/node_modules/node-linux-$(arch_of_machine)/bin/node
  [ -x "$node" ] || fail 1 "npm ci brought no Node.js for this machine ($node is missing); were optional packages switched off?"
  done_with "Node $("$node" -p process.versions.node) (from node_modules)"
}

# --- Docker Engine ---------------------------------------------------------------------------------------------------------

engine_answers() { docker version --format '{{.Server.Version}}' 2>/dev/null; }

need_engine() {
  how=running
  if ! has docker || ! has dockerd; then
    # A socket that answers is an Engine, whoever installed it.
    if ! { has docker && engine_answers >/dev/null; }; then
      need_packages docker.io
      how='installed from the distribution'
    fi
  fi
  if ! engine_answers >/dev/null; then
    start_engine
    how="$how, started"
  fi
  done_with "Docker Engine $(engine_answers) ($how)"
}

start_engine() {
  doing 'starting the Docker Engine'
  if has_systemd; then
    systemctl enable --now docker >/dev/null 2>&1 || true
  else
    mkdir -p "$logs" "$state"
    mountpoint -q /sys/fs/cgroup || { need_packages cgroupfs-mount && cgroupfs-mount; }
    remove_stale_pid_file /var/run/docker.pid dockerd
    remove_stale_pid_file /var/run/docker/containerd/containerd.pid containerd
    setsid dockerd >>"$logs/dockerd.log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$state/dockerd.pid"
  fi
  wait_for 60 engine_answers && return
  [ ! -f "$logs/dockerd.log" ] || tail -n 15 "$logs/dockerd.log" >&2
  fail 1 'the Docker Engine does not start; see the lines above, or: journalctl -u docker'
}

# dockerd refuses to start over the pid file of an Engine that died, when its number belongs to another process or a zombie.
remove_stale_pid_file() {
  [ -f "$1" ] || return 0
  pid=$(cat "$1")
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; then return 0; fi
  rm -f "$1"
}

# wait_for SECONDS COMMAND… : until the command succeeds
wait_for() {
  left=$(($1 * 5))
  shift
  while [ "$left" -gt 0 ]; do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
    left=$((left - 1))
  done
  return 1
}

# --- install.sh up ---------------------------------------------------------------------------------------------------------

up() {
  need_root
  need_checkout
  not_beside_services
  say 'Berth on this machine: packages, a Docker Engine if there is none, coordinator, agent and the stack examples/hello.yaml.'
  need_packages ca-certificates curl busybox-static
  need_node_modules
  need_engine
  need_hello_image
  start_up "$@"
  say '  deploying examples/hello.yaml'
  "$root/bin/berth" deploy -f "$root/examples/hello.yaml" --stack hello || fail 1 'the stack hello did not come up'
  link_command
  say ''
  say '  Look around:   berth status · berth ps hello · berth logs -f hello_tick'
  say "  Add a host:    $(join_line "$root/bin/berth")"
  say "  Logs:          $logs/up.log"
  say '  Stop:          ./install.sh down'
}

need_hello_image() {
  if docker image inspect berth/hello:1 >/dev/null 2>&1; then
    done_with 'image berth/hello:1 (is there)'
  else
    sh "$root/examples/hello/make-image.sh" berth/hello:1 >/dev/null
    done_with 'image berth/hello:1 (made from busybox-static)'
  fi
}

up_words='main.ts up\|berth up'

start_up() {
  mkdir -p "$logs" "$state"
  if is_our_process "$state/up.pid" "$up_words"; then
    done_with 'coordinator and agent (running)'
    return
  fi
  # The line for hosts goes there, join token included.
  rm -f "$logs/up.log"
  (umask 077 && : >"$logs/up.log")
  setsid "$root/bin/berth" up "$@" >>"$logs/up.log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$state/up.pid"
  wait_for 60 node_is_ready_or_up_ended || true
  node_is_ready >/dev/null 2>&1 || {
    tail -n 15 "$logs/up.log" >&2
    fail 1 "coordinator and agent did not start; see $logs/up.log"
  }
  grep '✓' "$logs/up.log" || true
}

node_is_ready_or_up_ended() {
  sleep 0.5
  ! is_our_process "$state/up.pid" "$up_words" || node_is_ready
}

node_is_ready() { "$root/bin/berth" nodes --json | grep -q '"status": *"ready"'; }

# Both keep their data in the same folder.
not_beside_services() {
  [ ! -f "$settings/coordinator.env" ] && [ ! -f "$settings/agent.env" ] ||
    fail 2 "Berth is installed here as a service already ($settings); '$command' is for trying it out. See install.sh help"
}

down() {
  need_root
  not_beside_services
  stop_process "$state/up.pid" "$up_words"
  done_with 'coordinator and agent are stopped'
  [ "${1:-}" = --purge ] || { say '  Containers go on. ./install.sh up takes them over again; ./install.sh down --purge removes them.' && return; }
  remove_containers
  rm -rf "$data"
  # `berth up` keeps there how to reach it; a login to another cluster is not ours to remove.
  config=${XDG_CONFIG_HOME:-$HOME/.config}/berth/config.json
  ! grep -qs '//127.0.0.1' "$config" || rm -f "$config"
  unlink_command
  done_with "containers and $data are removed"
}

# berth on everybody's PATH, unless somebody else's is there.
link_command() {
  link=/usr/local/bin/berth
  target=${1:-$root/bin/berth}
  if [ -e "$link" ] && [ ! -h "$link" ]; then
    warn "$link is there and not ours; call $target instead"
  else
    mkdir -p /usr/local/bin
    ln -sfn "$target" "$link"
  fi
}

unlink_command() {
  [ ! -h /usr/local/bin/berth ] || rm -f /usr/local/bin/berth
}

# --- install.sh test -------------------------------------------------------------------------------------------------------

run_tests() {
  need_root
  need_checkout
  say 'Tests: installs what they need (an Engine, an image registry, a bootstrapper for a systemd host), then runs all.'
  # On a host with systemd these packages would start what nobody asked for.
  for service in docker-registry prometheus; do
    ! has_systemd || is_installed "$service" || systemctl mask "$service" >/dev/null 2>&1 || true
  done
  need_packages ca-certificates curl openssl iproute2 iptables docker.io busybox-static docker-registry debootstrap strace podman prometheus
  if apt-cache show docker-compose-v2 >/dev/null 2>&1; then need_packages docker-compose-v2; else need_packages docker-compose; fi
  mountpoint -q /sys/fs/cgroup || { need_packages cgroupfs-mount && cgroupfs-mount; }
  need_node_modules
  cd "$root"
  doing 'cleaning what a killed run may have left'
  "$node" test/engines/reap.ts
  doing 'npm run check (types, format, lint)'
  npm run --silent check || fail 1 'npm run check found something'
  done_with 'types, format and lint'
  doing 'npm test'
  report=$(mktemp)
  result=0
  npm test --silent -- --reporter=default --reporter=json --outputFile.json="$report" "$@" </dev/null || result=$?
  counts=$("$node" -e "$count_tests" "$report" || say '0 passed, 1 failed, 0 skipped')
  rm -f "$report"
  case $counts in
    *' 0 skipped') ;;
    *) warn 'SOME TESTS WERE SKIPPED: this run does not show that they pass' ;;
  esac
  say "$counts"
  case $counts in
    '0 passed,'*) result=1 ;;
  esac
  exit "$result"
}

# shellcheck disable=SC2016
count_tests='
const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"))
const skipped = report.numPendingTests + (report.numTodoTests ?? 0)
// A file that could not be loaded has no tests to fail.
const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"))
console.log(`${report.numPassedTests} passed, ${report.numFailedTests + broken.length} failed, ${skipped} skipped`)
'

# --- releases --------------------------------------------------------------------------------------------------------------

# Unpacks an archive as $prefix/releases/NAME and makes it the current one in one step.
put_release() {
  archive=$1
  name=$2
  release=$prefix/releases/$name
  if [ ! -f "$release/.complete" ]; then
    rm -rf "$release" "$release.new"
    mkdir -p "$release.new"
    tar -xzf "$archive" -C "$release.new" --no-same-owner || fail 1 "cannot unpack Berth to $release"
    touch "$release.new/.complete"
    mv "$release.new" "$release"
  fi
  # mv replaces the link in one step; ln -f would remove it first.
  ln -sfn "releases/$name" "$prefix/current.new"
  mv -fT "$prefix/current.new" "$prefix/current"
  remove_old_releases "$name"
  link_command "$prefix/current/bin/berth"
  done_with "Berth $name in $prefix"
}

# The newest but one stays for going back by hand.
remove_old_releases() {
  # shellcheck disable=SC2012
  ls -1t "$prefix/releases" | grep -vxF "$1" | tail -n +2 | while read -r old; do rm -rf "${prefix:?}/releases/$old"; done
}

release_from_checkout() {
  need_packages ca-certificates curl
  need_node_modules
  work=$(mktemp -d)
  doing 'packing this checkout with its packages and Node.js'
  name=$("$node" "$root/coordinator/installer/release.ts" "$work") || fail 1 'packing failed'
  put_release "$work/berth.tar.gz" "$name"
  rm -rf "$work"
}

release_from_coordinator() {
  arch=$(arch_of_machine)
  work=$(mktemp -d)
  sum=$(fetch "/v1/agent-bundle.sha256?arch=$arch") || fail_fetch $? 'the checksum of the agent'
  case $sum in *[!0-9a-f]* | '') fail 1 "$origin_url answered no checksum" ;; esac
  name=agent-$(printf '%s' "$sum" | cut -c1-12)
  if [ ! -f "$prefix/releases/$name/.complete" ]; then
    doing "downloading the agent and Node.js for $arch from $origin_url"
    fetch "/v1/agent-bundle.tar.gz?arch=$arch" -o "$work/bundle.tar.gz" || fail_fetch $? 'the agent'
    printf '%s  %s\n' "$sum" "$work/bundle.tar.gz" | sha256sum -c --status || fail 1 'the download is damaged; run this again'
  fi
  put_release "$work/bundle.tar.gz" "$name"
  rm -rf "$work"
}

# The coordinator's own key is what is trusted; no public authority signed its certificate.
fetch() {
  path=$1
  shift
  curl -fsS --insecure --pinnedpubkey "$origin_pin" --proto '=https' --connect-timeout 10 --retry 3 "$@" "$origin_url$path"
}

fail_fetch() {
  case $1 in
    90) fail 3 "the server at $origin_url is not the coordinator that made this line (its key differs); get a new line there: berth token join" ;;
    6 | 7 | 28) fail 3 "cannot reach the coordinator at $origin_url; is port $port open to this host?" ;;
    *) fail 1 "cannot download $2 from $origin_url (curl exit code $1)" ;;
  esac
}

# --- install.sh coordinator ------------------------------------------------------------------------------------------------

install_coordinator() {
  need_root
  need_checkout
  say "Sets up the coordinator: Berth in $prefix, its data in $data/coordinator, user berth, service berth-coordinator."
  release_from_checkout
  id berth >/dev/null 2>&1 || useradd --system --home-dir "$data/coordinator" --no-create-home --shell /usr/sbin/nologin berth
  install -d -m 0755 "$settings" "$data"
  install -d -m 0700 -o berth -g berth "$data/coordinator"
  if [ $# -gt 0 ] || [ ! -f "$settings/coordinator.env" ]; then keep_arguments coordinator "$@"; fi
  start_part coordinator
  wait_for_part 30 coordinator coordinator_serves
  done_with "coordinator, $(part_status coordinator)"
  say ''
  say '  Look around:  berth status'
  say '  Add a host, by running this line there:'
  say "  $(join_line "$prefix/current/bin/berth")"
}

# The line that makes a host a node, as the coordinator gives it.
join_line() {
  "$1" token join --json | sed -n 's/^ *"command": "\(.*\)",\{0,1\}$/\1/p'
}

coordinator_serves() {
  [ -f "$data/coordinator/security/operator-token" ] && "$prefix/current/bin/berth" status --json
}

# --- install.sh join -------------------------------------------------------------------------------------------------------

join_cluster() {
  need_root
  token=${BERTH_JOIN_TOKEN:-}
  unset BERTH_JOIN_TOKEN
  while [ $# -gt 0 ]; do
    case $1 in
      BRTH-*) token=$1 ;;
      https://*) origin_url=${1%/} ;;
      *) break ;;
    esac
    shift
  done
  # It is kept in a file that a later upgrade reads as a shell would.
  case ${origin_url#https://} in
    *[!]A-Za-z0-9.:[-]*) fail 2 "this is not the address of a coordinator: one looks like https://10.0.0.5:$port" ;;
  esac
  [ -n "$token" ] || fail 2 'the join token is missing; on the coordinator, `berth token join` prints the whole line'
  printf '%s\n' "$token" | grep -Eqx 'BRTH-1-[0-9a-f]{64}-[0-9a-f]{32}' || fail 2 'this is not a join token: one looks like BRTH-1-… with 64 and 32 hex digits'
  [ -n "$origin_url" ] || fail 2 "the coordinator's address is missing: install.sh join https://ADDRESS:$port TOKEN"
  say "Makes this machine a node of the cluster at $origin_url: Berth in $prefix, its data in $data/agent, service berth-agent."
  check_origin
  for tool in curl tar gzip sha256sum; do has "$tool" || need_packages curl tar gzip coreutils; done
  if [ -d "$prefix/current/coordinator" ]; then
    # The coordinator's own host has all of it, and must not lose the coordinator to an agent's release.
    done_with "Berth in $prefix (with the coordinator)"
  elif [ -n "$origin_pin" ]; then
    release_from_coordinator
  elif is_checkout; then
    release_from_checkout
  else
    fail 2 "the coordinator's key is not known here; use the whole line that 'berth token join' prints there"
  fi
  case " $* " in
    *' --docker '* | *' --docker='*) ;;
    *) [ -n "${DOCKER_HOST:-}" ] || need_engine ;;
  esac
  install -d -m 0755 "$settings" "$data"
  install -d -m 0700 "$data/agent"
  rm -f "$settings/join-token"
  (umask 077 && printf '%s\n' "$token" >"$settings/join-token")
  keep_origin
  keep_arguments agent --coordinator "$origin_url" --join-file "$settings/join-token" "$@"
  start_part agent
  wait_for_part 60 agent agent_has_joined
  done_with "agent, $(part_status agent)"
  say '  This host is a node now. Its containers go on when the agent is upgraded, stopped or removed.'
}

# The token names the CA. What this script was given must be that one, or somebody stands in between.
check_origin() {
  [ -n "$origin_ca" ] && has openssl || return 0
  pin=$(printf '%s\n' "$origin_ca" | openssl x509 -noout -pubkey | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1)
  case $token in
    "BRTH-1-$pin-"*) done_with "the coordinator's CA is the one that the join token names" ;;
    *) fail 3 "the CA of $origin_url is not the one that the join token names: the token is of another cluster, or somebody stands in between" ;;
  esac
}

keep_origin() {
  [ -n "$origin_pin" ] || return 0
  printf "origin_url='%s'\norigin_pin='%s'\n" "$origin_url" "$origin_pin" >"$settings/origin"
}

agent_has_joined() {
  is_running agent && [ -s "$data/agent/identity/identity.json" ]
}

# --- services, with systemd and without ------------------------------------------------------------------------------------

# keep_arguments PART OPTION… : systemd splits the variable at spaces; an option that holds one cannot be kept this way.
keep_arguments() {
  part=$1
  shift
  for argument in "$@"; do
    case $argument in *[[:space:]\"\'\\\$]*) fail 2 "options cannot hold spaces or quotes: $argument" ;; esac
  done
  printf 'BERTH_ARGUMENTS=%s\n' "$*" >"$settings/$part.env"
}

start_part() {
  part=$1
  if has_systemd; then
    install -m 0644 "$prefix/current/$part/install/berth-$part.service" "$units/berth-$part.service"
    systemctl daemon-reload
    systemctl enable --quiet "berth-$part"
    # The counter of restarts begins anew with this version.
    systemctl reset-failed "berth-$part" 2>/dev/null || true
    systemctl restart "berth-$part"
  else
    stop_process "$state/$part.pid" install.sh
    mkdir -p "$state" "$logs"
    # One old log is kept. The whole of it is small: an agent writes about what changes only.
    [ ! -f "$logs/$part.log" ] || mv -f "$logs/$part.log" "$logs/$part.log.1"
    rm -f "$state/$part.restarts"
    setsid sh "$prefix/current/install.sh" keep "$part" >"$logs/$part.log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$state/$part.pid"
    [ "$part" != agent ] || warn 'there is no systemd here: after a reboot, run install.sh start'
  fi
}

stop_part() {
  if has_systemd; then
    systemctl disable --now --quiet "berth-$1" 2>/dev/null || true
  else
    stop_process "$state/$1.pid" install.sh
  fi
}

is_running() {
  if has_systemd; then systemctl is-active --quiet "berth-$1"; else is_our_process "$state/$1.pid" install.sh; fi
}

part_status() {
  if has_systemd; then say "systemctl status berth-$1"; else say "log in $logs/$1.log"; fi
}

# wait_for_part SECONDS PART COMMAND… : until the command succeeds; a part that keeps ending is not waited for
wait_for_part() {
  seconds_left=$1
  waited_part=$2
  shift 2
  while [ "$seconds_left" -gt 0 ]; do
    ! wait_for 1 "$@" || return 0
    [ "$(restarts_of "$waited_part")" -lt 4 ] || break
    seconds_left=$((seconds_left - 1))
  done
  fail_part "$waited_part"
}

restarts_of() {
  if has_systemd; then systemctl show -p NRestarts --value "berth-$1"; else cat "$state/$1.restarts" 2>/dev/null || echo 0; fi
}

fail_part() {
  if has_systemd; then journalctl -u "berth-$1" -n 15 --no-pager -o cat >&2 || true; else tail -n 15 "$logs/$1.log" >&2; fi
  fail 1 "berth-$1 did not come up; its last lines are above"
}

each_installed() {
  need_root
  for part in coordinator agent; do
    [ ! -f "$settings/$part.env" ] || "$1" "$part"
  done
}

# Without systemd: runs a part for ever, starting it again when it ends. Ended by SIGTERM.
keep() {
  part=$1
  child=''
  restarts=0
  # Options are split at spaces, and are no patterns of file names.
  set -f
  trap '[ -z "$child" ] || kill "$child" 2>/dev/null; wait; exit 0' TERM INT
  as=''
  [ "$part" != coordinator ] || as='setpriv --reuid=berth --regid=berth --init-groups'
  while :; do
    kept=$(sed -n 's/^BERTH_ARGUMENTS=//p' "$settings/$part.env")
    # shellcheck disable=SC2086
    $as "$prefix/current/bin/berth" "$part" --data "$data/$part" $kept &
    child=$!
    wait "$child" || true
    child=''
    restarts=$((restarts + 1))
    printf '%s\n' "$restarts" >"$state/$part.restarts"
    sleep 2
  done
}

# is_our_process PIDFILE WORD : the process lives and its command line holds the word, so that a reused number is not taken for it
is_our_process() {
  [ -f "$1" ] || return 1
  pid=$(cat "$1")
  [ -n "$pid" ] && cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ' | grep -q "$2"
}

stop_process() {
  if is_our_process "$1" "$2"; then
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || true
    wait_for 20 process_is_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$1"
}

# A zombie has no command line; the size of the file tells nothing.
process_is_gone() { [ -z "$(cat "/proc/$1/cmdline" 2>/dev/null | tr -d '\0')" ]; }

# --- install.sh upgrade, uninstall -----------------------------------------------------------------------------------------

upgrade() {
  need_root
  [ -f "$settings/coordinator.env" ] || [ -f "$settings/agent.env" ] || fail 2 'Berth is not installed here; see install.sh help'
  say 'Puts in the new version and restarts coordinator and agent. Containers go on.'
  if is_checkout; then
    release_from_checkout
  elif [ -f "$settings/coordinator.env" ]; then
    fail 2 'upgrade a coordinator from a checkout of the new version: ./install.sh upgrade'
  else
    # shellcheck disable=SC1091
    [ -n "$origin_pin" ] || . "$settings/origin"
    release_from_coordinator
  fi
  each_installed start_part
  for part in coordinator agent; do
    [ -f "$settings/$part.env" ] || continue
    # Long enough to end by itself, if the new version cannot start here.
    sleep 2
    case $part in
      coordinator) wait_for_part 30 coordinator coordinator_serves ;;
      agent) wait_for_part 30 agent agent_has_joined ;;
    esac
    done_with "berth-$part runs"
  done
}

uninstall() {
  need_root
  each_installed stop_part
  [ ! -d "$units" ] || rm -f "$units/berth-agent.service" "$units/berth-coordinator.service"
  ! has_systemd || systemctl daemon-reload
  unlink_command
  rm -rf "$prefix" "$settings"
  if [ "${1:-}" = --purge ]; then
    remove_containers
    rm -rf "$data" "$logs" /var/cache/berth /var/cache/berth-agent /var/cache/berth-coordinator
    ! id berth >/dev/null 2>&1 || userdel berth
    done_with 'Berth, its data and its containers are removed'
  else
    done_with "Berth is removed. Containers go on, and $data stays (uninstall --purge removes both)"
  fi
}

remove_containers() {
  has docker || return 0
  ours=$(docker ps -aq --filter label=berth.task)
  # shellcheck disable=SC2086
  [ -z "$ours" ] || docker rm -f -v $ours >/dev/null
}

# Read as one, so that a file replaced meanwhile (by an upgrade) is not read on.
{
  main "$@"
  exit
}
