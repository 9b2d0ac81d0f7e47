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
#   hold_docker_cache              $docker_cache, a folder for the next two that keeps images from check to check
#   prepare_images FOLDER NAME…    the data of a Docker daemon, with images made on the spot or built
#   start_docker FOLDER            a daemon on it, in a namespace; docker and docker-compose talk to it from then on
#   in_docker COMMAND…             runs COMMAND in the daemon's namespace, where published ports are
#   checkout FOLDER                the tree as it would be cloned

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly deploy
repository=$(cd "$deploy/.." && pwd)
readonly repository
# Debian keeps servers in sbin, which is not on everyone's path. Messages and orders are the same everywhere.
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

# What of an answer fits in a row.
readonly seen_max=160
readonly docker_start_seconds_max=180
# Of processes outside each has 1024.
readonly containers_weight=4096
readonly compose_two_version=v2.40.3
readonly cache=${NAKKU_SERVERS_CACHE:-$HOME/.cache/nakku-servers}

exit_commands=()
docker_lock=9
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
    # No field is empty: what stands between two tabs would be lost.
    rows+=("row"$'\t'"$1"$'\t'"${2:-success}"$'\t'"${3:-success}"$'\t'"$4")
    [[ $4 == ok ]] || failed=$((failed + 1))
    say "$4: $1 → $3"
}

# What matches and some of what is around it, or all of it in one line, cut.
shown() {
    local text=$1 pattern=$2 line
    line=$(grep -Eom1 -- ".{0,$((seen_max / 2))}($pattern).{0,$((seen_max / 3))}" <<<"$text" | head -n 1 || true)
    [[ -n $line ]] || line=$(grep -E -m1 -- "$pattern" <<<"$text" || true)
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

# The tree as it would be cloned, with what is not committed yet and without what git ignores.
checkout() {
    mkdir -p "$1"
    git -C "$repository" ls-files -z --cached --others --exclude-standard |
        (cd "$repository" && tar --null --ignore-failed-read -T - -c 2>/dev/null) | tar -C "$1" -x
}

# new_space NAME: a network namespace with a loopback, and nothing else.
new_space() {
    need ip iproute2
    [[ ! -e /run/netns/$1 ]] ||
        fail "the network namespace $1 is there already: another check runs, or ip netns delete $1"
    ip netns add "$1"
    on_exit ip netns delete "$1"
    ip -n "$1" link set lo up
}

# launch_docker FOLDER [SPACE]: a daemon with all that it has in FOLDER, in a network namespace, where its bridges,
# published ports and firewall rules touch nothing outside and containers have no way out. Without SPACE it has no
# network at all, only builds that take the machine's (docker build --network=host). It listens on FOLDER/socket.
launch_docker() {
    local folder=$1 prefix=() options=()
    need dockerd docker.io
    need iptables iptables
    if [[ -n ${2:-} ]]; then prefix=(nsenter "--net=/run/netns/$2"); else options=(--bridge=none --iptables=false); fi
    mkdir -p "$folder"/{data,exec}
    weigh_containers "/${2:-nakku-images}"
    setsid nohup "${prefix[@]}" dockerd --data-root "$folder/data" --exec-root "$folder/exec" \
        --pidfile "$folder/docker.pid" -H "unix://$folder/socket" --cgroup-parent "/${2:-nakku-images}" \
        "${options[@]}" >"$folder/dockerd.log" 2>&1 </dev/null {docker_lock}>&- &
    echo $! >"$folder/started"
    on_exit stop_docker "$folder"
    until_true "$docker_start_seconds_max" "the Docker daemon in $folder" docker -H "unix://$folder/socket" info ||
        fail "the Docker daemon did not start: $(tail -n 5 "$folder/dockerd.log")"
}

# On a busy machine a group of processes gets as much as one process beside it, however many it has; these get as much
# as a few. (Without systemd the groups are the machine's own, version 1; elsewhere there is nothing to do.)
weigh_containers() {
    local group=/sys/fs/cgroup/cpu$1
    [[ -e /sys/fs/cgroup/cpu/cpu.shares ]] || return 0
    mkdir -p "$group"
    echo "$containers_weight" >"$group/cpu.shares"
    on_exit find "$group" -depth -type d -exec rmdir {} +
}

# Containers go first, so that nothing holds their mounts. May be called again.
stop_docker() {
    local folder=$1 process containers mount
    [[ -e $folder/started ]] || return 0
    process=$(cat "$folder/started")
    containers=$(docker -H "unix://$folder/socket" ps -aq 2>/dev/null || true)
    # shellcheck disable=SC2086
    [[ -z $containers ]] || docker -H "unix://$folder/socket" rm -fv $containers >/dev/null || true
    docker -H "unix://$folder/socket" volume prune -f >/dev/null 2>&1 || true
    kill "$process" 2>/dev/null || true
    for _ in {1..60}; do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.5
    done
    kill -KILL "$process" 2>/dev/null || true
    # Longest first: what is mounted within another mount.
    while read -r mount; do umount -l "$mount"; done < <(
        awk -v folder="$folder/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r
    )
    rm -f "$folder/started"
}

# prepare_images FOLDER NAME…: the data of a Docker daemon with these images in it, and nothing else. FOLDER may have
# been used before, as $docker_cache is: then its images are taken as they are. Those of others are made on the spot;
# nakku:latest and nakku-tools:latest are built from deploy/Dockerfile and deploy/tools. With $nakku_binary that program
# is put into the image instead of building it.
prepare_images() {
    local folder=$1 name made=()
    shift
    (
        exit_commands=()
        trap clear_up EXIT
        launch_docker "$folder"
        export DOCKER_HOST=unix://$folder/socket DOCKER_BUILDKIT=0
        empty_docker
        for name in "$@"; do
            [[ $name == nakku* ]] || made+=("$name")
        done
        say "images made on the spot: ${made[*]}"
        bash "$deploy/images/make" "${made[@]}"
        for name in "$@"; do
            case $name in
                nakku:latest) build_nakku_image ;;
                nakku-tools:latest) build_tools_image ;;
            esac
        done
        stop_docker "$folder"
    )
    for name in "$@"; do
        case $name in
            nakku:latest)
                if [[ -n ${nakku_binary:-} ]]; then
                    remark "nakku:latest: deploy/Dockerfile, target base, and a program that was built outside Docker"
                else
                    remark "nakku:latest: deploy/Dockerfile, built from the sources"
                fi
                ;;
            nakku-tools:latest) remark "nakku-tools:latest: deploy/tools/Dockerfile" ;;
            *) remark "$name: made on the spot by deploy/images/make, since no image can be pulled here" ;;
        esac
    done
}

# What a check that was cut short has left, but for images.
empty_docker() {
    local containers
    containers=$(docker ps -aq)
    # shellcheck disable=SC2086
    [[ -z $containers ]] || docker rm -fv $containers >/dev/null
    docker volume prune -f >/dev/null
    docker network prune -f >/dev/null
}

# hold_docker_cache: Docker data that is kept from check to check, for its images; one check at a time has it.
hold_docker_cache() {
    docker_cache=$cache/docker
    mkdir -p "$docker_cache"
    exec {docker_lock}>"$docker_cache/lock"
    flock -n "$docker_lock" || { say "waiting for another check to end"; flock "$docker_lock"; }
}

# Built anew with its Dockerfile only.
build_tools_image() {
    local log=$work/tools-build.log name
    name=nakku-tools:$(sha256sum <"$deploy/tools/Dockerfile" | cut -c 1-12)
    if ! docker image inspect "$name" >/dev/null 2>&1; then
        say "building nakku-tools:latest"
        docker build -q --network=host -t "$name" "$deploy/tools" >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2; fail "deploy/tools/Dockerfile could not be built"; }
    fi
    docker tag "$name" nakku-tools:latest
}

build_nakku_image() {
    local log=$work/nakku-build.log context=$work/sources
    bash "$deploy/images/make" debian:bookworm-slim
    say "building nakku:latest"
    if [[ -n ${nakku_binary:-} ]]; then
        context=$work/program
        mkdir -p "$context"
        # As the Dockerfile's own build does.
        strip --strip-debug -o "$context/nakku" "$nakku_binary"
        chmod 755 "$context/nakku"
        docker_build "$log" --target base -f "$deploy/Dockerfile" -t nakku-base:latest "$context"
        printf 'FROM nakku-base:latest\nCOPY nakku /usr/local/bin/nakku\n' >"$context/Dockerfile"
        docker_build "$log" -t nakku:latest "$context"
    else
        checkout "$context"
        bash "$deploy/images/make" rust:1.95-bookworm
        docker_build "$log" --build-arg "OPTIMISATION=${NAKKU_OPTIMISATION:-3}" -f "$deploy/Dockerfile" -t nakku:latest "$context"
    fi
}

docker_build() {
    nice docker build --network=host "${@:2}" >"$1" 2>&1 ||
        { tail -n 30 "$1" >&2; fail "deploy/Dockerfile could not be built"; }
}

# use_docker FOLDER SPACE: docker, docker-compose and in_docker talk to that daemon from now on.
use_docker() {
    export DOCKER_HOST=unix://$1/socket
    export DOCKER_CONFIG=$1/config
    mkdir -p "$DOCKER_CONFIG"
    docker_space=$2
}

# start_docker FOLDER: on what prepare_images made, in a namespace named after the check.
start_docker() {
    new_space "nakku-$check_name"
    launch_docker "$1" "nakku-$check_name"
    use_docker "$1" "nakku-$check_name"
}

in_docker() { nsenter "--net=/run/netns/$docker_space" "$@"; }

# compose_versions: 1.29 as Debian has it, and v2 where $NAKKU_COMPOSE_V2 names its program.
find_compose() {
    compose_one=$(PATH=/usr/bin:$PATH command -v docker-compose) || fail "docker-compose is missing; apt-get install docker-compose"
    [[ $("$compose_one" version --short) == 1.29* ]] || fail "$compose_one is not 1.29"
    compose_two=${NAKKU_COMPOSE_V2:-$cache/bin/docker-compose}
    [[ -x $compose_two ]] || build_compose_two
}

# Its module excludes a version of another one, so that `go install` refuses it: it is built where it lies.
build_compose_two() {
    local folder
    need go golang
    say "building Compose $compose_two_version, once"
    folder=$(go mod download -json "github.com/docker/compose/v2@$compose_two_version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    [[ -n $folder ]] || fail "Compose $compose_two_version could not be fetched"
    mkdir -p "$cache/bin"
    cp -r "$folder" "$work/compose"
    chmod -R u+w "$work/compose"
    (cd "$work/compose" && CGO_ENABLED=0 nice go build -p 1 -trimpath \
        -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$compose_two_version" \
        -o "$compose_two" ./cmd) || fail "Compose $compose_two_version could not be built"
}
