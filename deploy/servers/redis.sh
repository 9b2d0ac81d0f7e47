# shellcheck shell=bash
# Redis from Debian: a single server, one with TLS and a password, and Redis Cluster. Sourced by run.

readonly redis_password=tested-and-thrown-away
readonly redis_masters=3
# A dead master is noticed after this; the default of 15 s makes every test of it wait.
readonly redis_node_timeout_ms=5000

write_redis() {
    local dir=$1 port
    port=$(free_port)
    write_redis_member "$dir" "$port" --port "$port"
    write_variables "$dir" "URL=redis://127.0.0.1:$port"
}

write_redis_tls() {
    local dir=$1 port
    port=$(free_port)
    write_certificates "$dir"
    write_redis_member "$dir" "$port" --port 0 --tls-port "$port" --requirepass "$redis_password" \
        --tls-cert-file "$dir/server.crt" --tls-key-file "$dir/server.key" --tls-ca-cert-file "$dir/ca.pem" \
        --tls-auth-clients no
    printf '%q ' --tls --cacert "$dir/ca.pem" --no-auth-warning -a "$redis_password" >"$dir/client"
    write_variables "$dir" "URL=rediss://:$redis_password@127.0.0.1:$port" "CA=$dir/ca.pem" "USER=default" \
        "PASSWORD=$redis_password"
}

write_redis_cluster() {
    local dir=$1 replicas=0 number port urls=()
    if [[ ${2:-} == --replicas ]]; then
        replicas=${3:?"--replicas needs a number"}
    elif (($# > 1)); then
        fail "redis-cluster takes --replicas N"
    fi
    echo "$replicas" >"$dir/replicas"
    for ((number = 1; number <= redis_masters * (1 + replicas); number++)); do
        port=$(free_port)
        write_redis_member "$dir/node-$number" "$port" --port "$port" --cluster-enabled yes \
            --cluster-port "$(free_port)" --cluster-node-timeout "$redis_node_timeout_ms"
        write_variables "$dir/node-$number" "URL=redis://127.0.0.1:$port"
        echo "node-$number" >>"$dir/members"
        urls+=("redis://127.0.0.1:$port")
    done
    write_variables "$dir" "URL=$(IFS=, && echo "${urls[*]}")"
}

write_redis_member() {
    local folder=$1 port=$2
    have redis-server || fail "redis-server is missing; run: $0 install"
    mkdir -p "$folder/data"
    : >"$folder/client"
    write_member "$folder" redis "$port" redis-server --bind 127.0.0.1 --dir "$folder/data" --daemonize no "${@:3}"
}

# ask_redis FOLDER COMMAND…
ask_redis() {
    # The file holds quoted words.
    eval "timeout 2 redis-cli -h 127.0.0.1 -p $(cat "$1/port") $(cat "$1/client")" '"${@:2}"'
}

# It is this very process that answers, and it has loaded its data.
redis_answers() {
    ask_redis "$1" INFO | tr -d '\r' | awk -F: -v pid="$(cat "$1/pid")" '
        $1 == "process_id" && $2 == pid { same = 1 }
        $1 == "loading" && $2 == 0 { loaded = 1 }
        END { exit !(same && loaded) }'
}

form_redis_cluster() {
    local dir=$1 folder addresses=()
    for folder in $(members "$dir"); do
        addresses+=("127.0.0.1:$(cat "$folder/port")")
    done
    redis-cli --cluster create "${addresses[@]}" --cluster-replicas "$(cat "$dir/replicas")" --cluster-yes \
        >"$dir/install.log" 2>&1 || fail "redis-cli --cluster create failed, see $dir/install.log"
}

# Every node knows every node, and serves.
redis_cluster_is_whole() {
    local folder count
    count=$(wc -l <"$1/members")
    for folder in $(members "$1"); do
        ask_redis "$folder" CLUSTER INFO | tr -d '\r' | awk -F: -v count="$count" '
            $1 == "cluster_state" && $2 == "ok" { serves = 1 }
            $1 == "cluster_known_nodes" && $2 == count { knows = 1 }
            END { exit !(serves && knows) }' || return 1
    done
}
