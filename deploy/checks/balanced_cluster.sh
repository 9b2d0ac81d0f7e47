# shellcheck shell=bash
# The servers, nodes and balancers of deploy/check balanced, as processes in a namespace of their own in which every
# "server" is an address of 127.0.0.0/8 with the documented ports. Sourced by it, behind lib.sh.

# The project's own servers for tests; another version of them may be tried.
readonly servers=${check_servers:-$deploy/servers/run}
readonly balancers=(nginx haproxy)
readonly gateways=(gateway-1 gateway-2 gateway-3)
# Two processor cores carry no thirteen service nodes: two groups of services, two nodes each, so that every service
# has an owner that can go.
declare -A roles=(
    [gateway-1]=gateway [gateway-2]=gateway [gateway-3]=gateway
    [people-1]=user,cart,order,payment [people-2]=user,cart,order,payment
    [goods-1]=product,inventory,delivery,notification,location,analytics
    [goods-2]=product,inventory,delivery,notification,location,analytics
    [goods-3]=product,inventory,delivery,notification,location,analytics
)
declare -A address=(
    [gateway-1]=127.0.2.1 [gateway-2]=127.0.2.2 [gateway-3]=127.0.2.3
    [people-1]=127.0.2.11 [people-2]=127.0.2.12 [goods-1]=127.0.2.21 [goods-2]=127.0.2.22 [goods-3]=127.0.2.23
    [nginx]=127.0.3.1 [haproxy]=127.0.3.2 [mysql-server]=127.0.1.1
)
# In the order in which they are started, stopped and upgraded.
readonly nodes=(goods-1 people-1 goods-2 people-2 gateway-1 gateway-2 gateway-3)
readonly lease_ms=6000
readonly start_seconds_max=90
readonly stop_seconds_max=90

declare -A pid=()
starts_repeated=0

# A private network, private mounts, and the end of all processes with this one: nothing is left behind however it ends.
enter_namespaces() {
    [[ -z ${check_inside:-} ]] || return 0
    export check_inside=1
    exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
}

prepare_namespaces() {
    local name
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -p /run/secrets /run/nakku /run/lock
    {
        echo "127.0.0.1 localhost"
        for name in "${!address[@]}"; do echo "${address[$name]} $name"; done
    } >"$work/hosts"
    mount --bind "$work/hosts" /etc/hosts
}

# make_certificate NAME SUBJECT_ALTERNATIVE_NAMES: $work/tls/NAME.pem and .key, signed by $work/tls/ca.pem.
make_certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$work/tls/$1.key" \
        -out "$work/tls/$1.csr" 2>/dev/null
    openssl x509 -req -days 2 -in "$work/tls/$1.csr" -CA "$work/tls/ca.pem" -CAkey "$work/tls/ca.key" -CAcreateserial \
        -extfile <(printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\n' "$2") -out "$work/tls/$1.pem" 2>/dev/null
}

make_certificates() {
    local name
    mkdir -p "$work/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=check authority" \
        -addext "basicConstraints=critical,CA:TRUE" -keyout "$work/tls/ca.key" -out "$work/tls/ca.pem" 2>/dev/null
    for name in "${!roles[@]}"; do make_certificate "$name" "DNS:$name,IP:${address[$name]}"; done
    make_certificate balancer "DNS:nginx,DNS:haproxy"
    (umask 077 && cat "$work/tls/balancer.pem" "$work/tls/balancer.key" >/run/secrets/balancer.pem)
}

# start_server NAME KIND: leaves what it prints in $work/NAME.started.
start_server() {
    say "starting $1"
    bash "$servers" start "$2" "$work/$1" >"$work/$1.started" || fail "$1 did not start"
}

started() { tr ' ' '\n' <"$work/$1.started" | sed -n "s/^$2=//p"; }

start_servers() {
    start_server mysql "$databases-pair" &
    start_server kafka kafka &
    start_server redis redis-cluster &
    local job
    for job in $(jobs -p); do wait "$job" || fail "a server did not start"; done
    local url operator
    url=$(started mysql url)
    operator=$(started mysql operator_url)
    database_login=${url#mysql://}
    database_login=${database_login%@*}
    # What the test servers' addresses have behind them.
    database_options=""
    [[ $url != *\?* ]] || database_options=\?${url#*\?}
    operator_password=${operator#*//*:}
    operator_password=${operator_password%@*}
    (umask 077 && echo "$operator_password" >"$work/operator-password")
    master=127.0.0.1:$(cat "$work/mysql/node-1/port")
    replica=127.0.0.1:$(cat "$work/mysql/node-2/port")
    MYSQL_SOCKET=/run/nakku/mysql.sock MYSQL_LISTEN=${address[mysql-server]}:3306 MYSQL_MASTER=$master \
        setsid haproxy -f "$deploy/balanced/mysql.cfg" >"$work/mysql-server.log" 2>&1 &
}

make_secrets() {
    NAKKU_CLUSTER_COOKIE=$(openssl rand -hex 32)
    NAKKU_AUTH_JWT_SECRET=$(openssl rand -hex 32)
    NAKKU_AUTH_ADMIN_TOKEN=$(openssl rand -hex 32)
    export NAKKU_CLUSTER_COOKIE NAKKU_AUTH_JWT_SECRET NAKKU_AUTH_ADMIN_TOKEN
    (umask 077 && echo "$NAKKU_AUTH_ADMIN_TOKEN" >"$work/admin-token")
}

# A list of TOML from a list with commas.
toml_list() { sed 's/[^,]*/"&"/g; s/^/[/; s/$/]/' <<<"$1"; }

write_node() {
    local name=$1 at=${address[$1]}
    cat >"$work/$name.toml" <<TOML
[node]
name = "$name"
roles = $(toml_list "${roles[$name]}")
data = "$work/$name.data"

# A machine that does ten things at once stalls for seconds. Balancers wait 15 s for an answer.
[cluster]
lease_ms = $lease_ms
renew_ms = 250

[databases]
default = ["mysql://$database_login@mysql-server:3306$database_options"]

[listen]
gateway = "$at:8080"
links = "$at:7946"
admin = "$at:7947"

[service_ports]
host = "$at"

[links]
advertise = "$name:7946"
tls_cert = "$work/tls/$name.pem"
tls_key = "$work/tls/$name.key"
tls_ca = "$work/tls/ca.pem"

[kafka]
brokers = $(toml_list "$(started kafka url)")

[redis]
url = $(toml_list "$(started redis url)")

[http]
request_timeout_ms = 14000
ask_timeout_ms = 7000
trusted_proxies = ["127.0.0.1"]

[auth]
access_token_s = 43200

[payment]
simulated_card = true
TOML
}

# start_node NAME BINARY: returns when it is ready. One that ends meanwhile is started again, as a supervisor does.
start_node() {
    local name=$1 deadline=$((SECONDS + start_seconds_max))
    launch_node "$@"
    until node_is_ready "$name"; do
        if is_gone "${pid[$name]}"; then
            say "$name ended while it started: $(tail -n 1 "$work/$name.log")"
            starts_repeated=$((starts_repeated + 1))
            sleep 1
            launch_node "$@"
        fi
        ((SECONDS < deadline)) || {
            tail -n 20 "$work/$name.log" >&2
            fail "$name did not become ready"
        }
        sleep 0.2
    done
}

launch_node() {
    # A session of its own: Linux shares the processors out by sessions, and this is to be a machine of its own.
    NAKKU_CONFIG=$work/$1.toml setsid "$2" node >>"$work/$1.log" 2>&1 &
    pid[$1]=$!
}

is_gone() { ! kill -0 "$1" 2>/dev/null || is_zombie "$1"; }

node_is_ready() {
    local port=8080
    case $1 in people-*) port=8081 ;; goods-*) port=8082 ;; esac
    [[ $(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://${address[$1]}:$port/ready") == 200 ]]
}

# stop_node NAME: by SIGTERM, as an upgrade or an orchestrator does; fails if the node does not end well.
stop_node() {
    kill -TERM "${pid[$1]}"
    end_of_node "$1"
}

end_of_node() {
    local code=0 deadline=$((SECONDS + stop_seconds_max))
    until is_gone "${pid[$1]}"; do
        ((SECONDS < deadline)) || fail "$1 did not end within $stop_seconds_max s of SIGTERM"
        sleep 0.1
    done
    wait "${pid[$1]}" || code=$?
    ((code == 0)) || say "$1 ended with $code"
    return "$code"
}

is_zombie() { [[ $(ps -o stat= -p "$1" 2>/dev/null) == Z* ]]; }

kill_node() {
    kill -KILL "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null || true
}

# replace_all BINARY: every node, one after the other, while the others serve.
replace_all() {
    local name
    for name in "${nodes[@]}"; do
        stop_node "$name"
        start_node "$name" "$1"
    done
}

start_balancers() {
    sed "s/listen \(80\|443\)/listen ${address[nginx]}:\1/" "$deploy/balanced/nginx.conf" >"$work/nginx.conf"
    setsid bash "$deploy/balanced/nginx-with-checks" "$work/nginx.conf" >"$work/nginx.log" 2>&1 &
    pid[nginx]=$!
    sed "s/bind :/bind ${address[haproxy]}:/" "$deploy/balanced/haproxy.cfg" >"$work/haproxy.cfg"
    setsid haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
    pid[haproxy]=$!
    local name
    for name in "${balancers[@]}"; do
        until_true 20 "$name" through "$name" /ready -f || fail "$name did not start: $(tail -n 3 "$work/$name.log")"
    done
}

# through BALANCER PATH [CURL OPTIONS]
through() { curl -sS -m 10 --cacert "$work/tls/ca.pem" "https://$1$2" "${@:3}"; }

orders() { python3 "$deploy/checks/steady_orders.py" "$@"; }

# Half of the customers come through each balancer.
start_load() {
    local part
    for part in 0 1; do
        setsid python3 "$deploy/checks/steady_orders.py" run --api "https://${balancers[part]}" --ca "$work/tls/ca.pem" --state "$work/state.json" \
            --log "$work/${balancers[part]}.orders" --name "${balancers[part]}" --rate "$rate" --seed "$seed" \
            --part "$part" --of 2 2>"$work/${balancers[part]}.load.log" &
        pid[load-$part]=$!
    done
}

stop_load() {
    local part
    for part in 0 1; do kill -TERM "${pid[load-$part]}"; done
    for part in 0 1; do wait "${pid[load-$part]}" || fail "the load ended badly: $(cat "$work/${balancers[part]}.load.log")"; done
}

# during TITLE PATTERN COMMAND…: runs it under the load; a row for each balancer with what its customers saw.
during() {
    local title=$1 pattern=$2 begin end name code=0
    shift 2
    begin=$(date +%s.%N)
    "$@" || code=$?
    sleep "$settle_seconds"
    end=$(date +%s.%N)
    span_begin=$begin span_end=$end
    ((code == 0)) || row "$title" "done" "it ended with $code" FAILED
    for name in "${balancers[@]}"; do
        expect "$title, customers of $name" "$pattern" orders report --log "$work/$name.orders" --begin "$begin" --end "$end"
    done
}
