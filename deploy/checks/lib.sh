# shellcheck shell=bash
# What the checks of the deployments share: a table of command, expected and seen, clearing up, waiting, and a Docker
# daemon in a network namespace of its own. Sourced by deploy/checks/NAME, behind `set -euo pipefail`:
#
#   begin NAME                     makes $work, a throw-away folder, and clears up however the check ends
#   on_exit COMMAND…               runs it then, the last one named first
#   expect TITLE PATTERN COMMAND…  a row: runs COMMAND; seen must match PATTERN (an extended regular expression, in
#                                  any line) and the exit code be 0
#   expect_failure TITLE PATTERN COMMAND…  the same, but the exit code must not be 0
#   row TITLE EXPECTED SEEN VERDICT        a row made by hand; VERDICT is ok or FAILED
#   until_true SECONDS WHAT COMMAND…       tries COMMAND every half second; fails naming WHAT
#   section TEXT                   a heading within the table
#   remark TEXT                    a line below the table: what was not checked, which image was made on the spot
#   finish                         prints the table, writes deploy/results/NAME.txt, ends with 0 or 1
#
#   start_docker                   a Docker daemon in a namespace; docker and docker-compose talk to it from then on
#   in_docker COMMAND…             runs COMMAND in the daemon's namespace, where published ports are

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly deploy
repository=$(cd "$deploy/.." && pwd)
readonly repository
# Debian keeps servers in sbin, which is not on everyone's path. Messages and orders are the same everywhere.
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

# What of an answer fits in a row.
readonly seen_max=160
readonly docker_start_seconds_max=60

exit_commands=()
rows=()
remarks=()
failed=0

say() { echo "$(date -u +%H:%M:%S) $*" >&2; }

fail() {
    echo "deploy/check: $*" >&2
    exit 1
}

begin() {
    check_name=$1
    check_started=$SECONDS
    check_date=$(date -u '+%Y-%m-%d %H:%M UTC')
    work=$(mktemp -d "${TMPDIR:-/tmp}/nakku-check-$1.XXXXXX")
    export work
    trap clear_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    on_exit rm -rf --one-file-system "$work"
}

on_exit() {
    local command
    printf -v command '%q ' "$@"
    exit_commands+=("$command")
}

clear_up() {
    local code=$? number
    trap - EXIT
    set +e
    for ((number = ${#exit_commands[@]} - 1; number >= 0; number--)); do
        eval "${exit_commands[number]}" >>"${work:-/tmp}/clear-up.log" 2>&1
    done
    exit "$code"
}

need_root() { ((EUID == 0)) || fail "$check_name makes network namespaces, which takes root"; }

# need COMMAND PACKAGE: says at once what is missing.
need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is missing; apt-get install $2"; }

section() { rows+=("section"$'\t'"$*"); say "== $*"; }

remark() { remarks+=("$*"); }

row() {
    rows+=("row"$'\t'"$1"$'\t'"$2"$'\t'"$3"$'\t'"$4")
    [[ $4 == ok ]] || failed=$((failed + 1))
    say "$4: $1 → $3"
}

# The line that matches, or all of it in one line, cut.
shown() {
    local text=$1 pattern=$2 line
    line=$(grep -E -m1 -- "$pattern" <<<"$text" || true)
    [[ -n $line ]] || line=$(tr -s '\n\t ' '   ' <<<"$text")
    line=${line//$'\t'/ }
    line=$(sed 's/^ *//; s/ *$//' <<<"$line")
    ((${#line} <= seen_max)) || line="${line:0:seen_max}…"
    echo "$line"
}

expect() {
    local title=$1 pattern=$2 text code=0 verdict=FAILED
    shift 2
    text=$("$@" 2>&1 </dev/null) || code=$?
    if ((code == 0)) && grep -Eq -- "$pattern" <<<"$text"; then verdict=ok; fi
    text=$(shown "$text" "$pattern")
    ((code == 0)) || text="exit $code: $text"
    row "$title" "$pattern" "$text" "$verdict"
}

expect_failure() {
    local title=$1 pattern=$2 text code=0 verdict=FAILED
    shift 2
    text=$("$@" 2>&1 </dev/null) || code=$?
    if ((code != 0)) && grep -Eq -- "$pattern" <<<"$text"; then verdict=ok; fi
    row "$title" "no success, and: $pattern" "exit $code: $(shown "$text" "$pattern")" "$verdict"
}

until_true() {
    local seconds=$1 what=$2 deadline=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1 </dev/null; do
        if ((SECONDS >= deadline)); then
            say "waited $seconds s in vain for $what"
            return 1
        fi
        sleep 0.5
    done
}

# The table in the order of its rows; a title may be a command of any length, so it has a line of its own.
table() {
    local kind title expected seen verdict entry
    for entry in "${rows[@]}"; do
        IFS=$'\t' read -r kind title expected seen verdict <<<"$entry"
        if [[ $kind == section ]]; then
            printf '\n== %s\n' "$title"
        else
            printf '\n%-7s %s\n        expected  %s\n        seen      %s\n' "$verdict" "$title" "$expected" "$seen"
        fi
    done
}

finish() {
    local count=0 entry result=$deploy/results/$check_name.txt
    for entry in "${rows[@]}"; do [[ $entry != row* ]] || count=$((count + 1)); done
    mkdir -p "$deploy/results"
    {
        echo "deploy/check $check_name, $check_date, $((SECONDS - check_started)) s on $(nproc) cores, $(uname -sm)"
        if ((failed)); then echo "$failed of $count rows FAILED"; else echo "all $count rows as expected"; fi
        table
        if ((${#remarks[@]})); then
            printf '\n== remarks\n'
            printf -- '- %s\n' "${remarks[@]}"
        fi
    } | tee "$result"
    ((failed == 0)) || exit 1
    exit 0
}

# Docker in a network namespace of its own: bridges, published ports and firewall rules touch nothing outside, and
# containers have no way out. The daemon gets a cgroup of its own too, since there may be no systemd here.
start_docker() {
    need dockerd docker.io
    need ip iproute2
    need iptables iptables
    docker_space=nakku-$check_name
    docker_folder=$work/docker
    ! ip netns list | grep -qw "$docker_space" ||
        fail "the network namespace $docker_space is there already: another check runs, or ip netns delete $docker_space"
    ip netns add "$docker_space"
    on_exit ip netns delete "$docker_space"
    ip -n "$docker_space" link set lo up
    mkdir -p "$docker_folder"/{data,exec}
    export DOCKER_HOST=unix://$docker_folder/docker.sock
    export DOCKER_CONFIG=$docker_folder/config
    mkdir -p "$DOCKER_CONFIG"
    nohup nsenter --net="/run/netns/$docker_space" dockerd --data-root "$docker_folder/data" \
        --exec-root "$docker_folder/exec" --pidfile "$docker_folder/docker.pid" -H "$DOCKER_HOST" \
        --live-restore=false --cgroup-parent "/$docker_space" --log-opt max-size=20m \
        >"$work/dockerd.log" 2>&1 </dev/null &
    docker_process=$!
    on_exit stop_docker
    until_true "$docker_start_seconds_max" "the Docker daemon" docker info ||
        fail "the Docker daemon did not start: $(tail -n 5 "$work/dockerd.log")"
}

# Containers go first, so that nothing holds their mounts.
stop_docker() {
    local containers
    containers=$(docker ps -aq)
    # shellcheck disable=SC2086
    [[ -z $containers ]] || docker rm -f $containers
    kill "$docker_process"
    for _ in {1..60}; do
        kill -0 "$docker_process" || break
        sleep 0.5
    done
    kill -KILL "$docker_process"
    awk -v folder="$docker_folder/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mount; do umount -l "$mount"; done
}

in_docker() { nsenter --net="/run/netns/$docker_space" "$@"; }
