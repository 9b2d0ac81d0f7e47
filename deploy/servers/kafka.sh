# shellcheck shell=bash
# Apache Kafka 4.1 (KRaft), also with SASL_SSL, and 3.9 with ZooKeeper, all from Maven. Sourced by run.

readonly kafka_version=4.1.0
readonly kafka_zookeeper_version=3.9.1
readonly kafka_homes=("$cache/kafka-$kafka_version" "$cache/kafka-$kafka_zookeeper_version")
readonly slf4j_version=1.7.36
# Of the list that `sha256sum *.jar` prints.
declare -rA kafka_sha256=(
    [4.1.0]=0d582e5f268b123ff4f3f4640981b6e39392de09700268a5ef51de84d37c82a0
    [3.9.1]=83cc560189b703403847019696e6e19ccf911c5378a1367a33ee44d85f04f2c5
)
# Kafka's own tools, by the names that its distributions give them.
declare -rA kafka_tools=(
    [kafka-topics]=org.apache.kafka.tools.TopicCommand
    [kafka-consumer-groups]=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
    [kafka-console-producer]=org.apache.kafka.tools.ConsoleProducer
    [kafka-console-consumer]=org.apache.kafka.tools.consumer.ConsoleConsumer
    [kafka-configs]=kafka.admin.ConfigCommand
    [kafka-get-offsets]=org.apache.kafka.tools.GetOffsetShell
    [kafka-delete-records]=org.apache.kafka.tools.DeleteRecordsCommand
    [kafka-leader-election]=org.apache.kafka.tools.LeaderElectionCommand
    [kafka-metadata-quorum]=org.apache.kafka.tools.MetadataQuorumCommand
    [kafka-producer-perf-test]=org.apache.kafka.tools.ProducerPerformance
)
readonly kafka_user=nakku
readonly kafka_password=tested-and-thrown-away
readonly kafka_login=org.apache.kafka.common.security
readonly kafka_heap=256m
readonly zookeeper_heap=128m
# The shortest that ZooKeeper grants: a killed broker comes back no sooner.
readonly zookeeper_session_timeout_ms=4000
# Small machines run several of them: one collector thread, and what goes wrong goes to the log with its time.
readonly java_options=(-XX:+UseSerialGC -Dorg.slf4j.simpleLogger.showDateTime=true
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
    -Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn
    -Dorg.slf4j.simpleLogger.log.org.apache.zookeeper=warn)

kafka_installed() {
    local home
    for home in "${kafka_homes[@]}"; do
        [[ -e $home/libs ]] || return 1
    done
}

install_kafka() {
    local version
    have mvn || fail "Kafka is fetched by Maven, which is missing"
    for version in "$kafka_version" "$kafka_zookeeper_version"; do
        [[ -e $cache/kafka-$version/libs ]] || install_kafka_version "$version"
    done
}

# In a shell of its own, which clears up however it ends.
install_kafka_version() (
    local version=$1 folder found
    mkdir -p "$cache"
    folder=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    # Without Kafka Connect, which the tools would bring along, and with a log that needs no configuration.
    cat >"$folder/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>nakku</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
      <exclusions>
        <exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$version</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
        <exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>$slf4j_version</version>
    </dependency>
  </dependencies>
</project>
XML
    mvn -q -B -C -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$folder/home/libs" >&2 || fail "Maven could not fetch Kafka $version"
    found=$(cd "$folder/home/libs" && sha256sum -- *.jar | sha256sum)
    [[ ${found%% *} == "${kafka_sha256[$version]}" ]] ||
        fail "the jars of Kafka $version are not what they were: ${found%% *} instead of ${kafka_sha256[$version]}"
    # Two installations at once: the first wins.
    mv -T "$folder/home" "$cache/kafka-$version" 2>/dev/null || [[ -e $cache/kafka-$version/libs ]] ||
        fail "could not put Kafka into $cache/kafka-$version"
)

# write_kafka_tools FOLDER HOME
write_kafka_tools() {
    local name class
    mkdir "$1"
    for name in "${!kafka_tools[@]}"; do
        class=${kafka_tools[$name]}
        # Where it was in 3.9.
        [[ $2$name != *"-$kafka_zookeeper_version"kafka-console-producer ]] || class=kafka.tools.ConsoleProducer
        cat >"$1/$name" <<TOOL
#!/bin/sh
exec java -Xmx$kafka_heap -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error \\
    -cp '$2/libs/*' $class "\$@"
TOOL
    done
    chmod 755 "$1"/*
}

# Brokers that are controllers too. With TLS, SASL_SSL is a second listener: they talk to each other, and `answers`
# to them, without it.
write_kafka() {
    local dir=$1 home=${kafka_homes[0]} brokers number kind id voters urls=() ports=() secure_ports=() controllers=()
    local formatting=()
    shift
    while (($#)); do
        [[ $1 == --brokers && ${2:-} =~ ^[1-9]$ ]] || fail "Kafka takes --brokers N, with N from 1 to 9"
        brokers=$2
        shift 2
    done
    [[ -e $home/libs ]] || fail "Kafka is missing in $home; run: $0 install"
    kind=$(cat "$dir/kind")
    [[ $kind == kafka ]] || write_certificates "$dir"
    id=$(new_kafka_id)
    echo "$id" >"$dir/cluster-id"
    for ((number = 1; number <= brokers; number++)); do
        ports+=("$(free_port)")
        controllers+=("$(free_port)")
        secure_ports+=("$(free_port)")
        voters+=${voters:+,}$number@127.0.0.1:${controllers[-1]}
    done
    for ((number = 1; number <= brokers; number++)); do
        local folder=$dir/node-$number listeners address=127.0.0.1:${ports[number - 1]}
        mkdir "$folder"
        listeners=PLAINTEXT://$address
        if [[ $kind == kafka-tls ]]; then
            address=127.0.0.1:${secure_ports[number - 1]}
            listeners+=,SASL_SSL://$address
        fi
        urls+=("$address")
        {
            write_kafka_properties "$folder" "$number" "$brokers" "$listeners"
            cat <<PROPERTIES
process.roles=broker,controller
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=$listeners,CONTROLLER://127.0.0.1:${controllers[number - 1]}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
PROPERTIES
            [[ $kind == kafka ]] || write_kafka_tls_properties "$dir"
        } >"$folder/server.properties"
        format_kafka "$home" "$folder" "$id" "$kind" &
        formatting+=($!)
        write_member "$folder" kafka "${ports[number - 1]}" java "-Xmx$kafka_heap" "${java_options[@]}" \
            -cp "$home/libs/*" kafka.Kafka "$folder/server.properties"
        write_variables "$folder" "URL=$address"
        echo "node-$number" >>"$dir/members"
    done
    for number in "${formatting[@]}"; do
        wait "$number" || fail "Kafka could not format its folders, see $dir/node-*/install.log"
    done
    write_kafka_tools "$dir/bin" "$home"
    local variables=("URL=$(IFS=, && echo "${urls[*]}")" "BIN=$dir/bin")
    if [[ $kind == kafka-tls ]]; then
        write_kafka_client "$dir"
        variables+=("CA=$dir/ca.pem" "USER=$kafka_user" "PASSWORD=$kafka_password" "CLIENT=$dir/client.properties")
    fi
    write_variables "$dir" "${variables[@]}"
}

# Kafka 3.9 as many still run it.
write_kafka_zookeeper() {
    local dir=$1 home=${kafka_homes[1]} broker=$1/node-1 zookeeper=$1/zookeeper port zookeeper_port
    [[ -e $home/libs ]] || fail "Kafka is missing in $home; run: $0 install"
    port=$(free_port)
    zookeeper_port=$(free_port)
    mkdir "$broker" "$zookeeper"
    cat >"$zookeeper/server.properties" <<PROPERTIES
dataDir=$zookeeper/data
clientPort=$zookeeper_port
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr
PROPERTIES
    write_member "$zookeeper" zookeeper "$zookeeper_port" java "-Xmx$zookeeper_heap" "${java_options[@]}" \
        -cp "$home/libs/*" org.apache.zookeeper.server.quorum.QuorumPeerMain "$zookeeper/server.properties"
    write_variables "$zookeeper" "URL=127.0.0.1:$zookeeper_port"
    {
        write_kafka_properties "$broker" 1 1 "PLAINTEXT://127.0.0.1:$port"
        cat <<PROPERTIES
listeners=PLAINTEXT://127.0.0.1:$port
zookeeper.connect=127.0.0.1:$zookeeper_port
zookeeper.session.timeout.ms=$zookeeper_session_timeout_ms
PROPERTIES
    } >"$broker/server.properties"
    write_member "$broker" kafka "$port" java "-Xmx$kafka_heap" "${java_options[@]}" \
        -cp "$home/libs/*" kafka.Kafka "$broker/server.properties"
    write_variables "$broker" "URL=127.0.0.1:$port"
    printf 'zookeeper\nnode-1\n' >"$dir/members"
    write_kafka_tools "$dir/bin" "$home"
    write_variables "$dir" "URL=127.0.0.1:$port" "BIN=$dir/bin"
}

# Topics are created by whoever knows their partitions, not by a misspelt name. Factors are those of three brokers
# as far as there are so many; groups are served without the wait for more members; the rest is smaller, for speed.
write_kafka_properties() {
    local folder=$1 number=$2 brokers=$3 listeners=$4
    local factor=$((brokers < 3 ? brokers : 3))
    cat <<PROPERTIES
node.id=$number
advertised.listeners=$listeners
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/data
auto.create.topics.enable=false
default.replication.factor=$factor
offsets.topic.replication.factor=$factor
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=$factor
transaction.state.log.min.isr=$((factor < 2 ? 1 : 2))
transaction.state.log.num.partitions=6
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
num.io.threads=4
PROPERTIES
}

write_kafka_tls_properties() {
    cat <<PROPERTIES
ssl.keystore.type=PEM
ssl.keystore.location=$1/server.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=$kafka_login.plain.PlainLoginModule required \
    user_$kafka_user="$kafka_password";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$kafka_login.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$kafka_login.scram.ScramLoginModule required;
PROPERTIES
}

write_kafka_client() {
    cat >"$1/client.properties" <<PROPERTIES
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location=$1/ca.pem
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$kafka_login.scram.ScramLoginModule required username="$kafka_user" password="$kafka_password";
PROPERTIES
}

format_kafka() {
    local home=$1 folder=$2 id=$3 users=()
    if [[ $4 == kafka-tls ]]; then
        users=(--add-scram "SCRAM-SHA-256=[name=$kafka_user,password=$kafka_password]"
            --add-scram "SCRAM-SHA-512=[name=$kafka_user,password=$kafka_password]")
    fi
    java "-Xmx$kafka_heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${java_options[@]}" -cp "$home/libs/*" \
        kafka.tools.StorageTool format -t "$id" -c "$folder/server.properties" "${users[@]}" \
        >"$folder/install.log" 2>&1
}

# 16 random bytes in URL-safe base64, as `kafka-storage random-uuid` prints them; none begins with a dash, which
# would look like an option.
new_kafka_id() {
    local id=-
    while [[ $id == -* ]]; do
        id=$(openssl rand -base64 16 | tr '+/' '-_' | tr -d '=')
    done
    echo "$id"
}

# The broker serves in its cluster, by its own word.
kafka_answers() {
    local folder=$1 port metadata
    port=$(cat "$folder/port")
    metadata=$(kafka_metadata "$port")
    grep -qx "broker ${folder##*-} $port" <<<"$metadata" || return 1
    # With ZooKeeper the cluster chooses its own.
    [[ ! -e $folder/../cluster-id ]] || grep -qxF -- "cluster $(cat "$folder/../cluster-id")" <<<"$metadata"
}

# Every broker knows every broker.
kafka_is_whole() {
    local folder count
    count=$(grep -c '^node-' "$1/members")
    for folder in "$1"/node-*; do
        (($(kafka_metadata "$(cat "$folder/port")" | grep -c '^broker ') == count)) || return 1
    done
}

# Asks for metadata (request 3, version 2: it carries the id of the cluster) and prints the brokers that serve,
# `broker ID PORT`, and the cluster, `cluster ID`.
kafka_metadata() {
    local a b c d size
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    # Size, request, version, correlation id, no client id, no topics.
    printf '\0\0\0\016\0\3\0\2\0\0\0\1\377\377\0\0\0\0' >&3
    read -r a b c d < <(timeout 2 od -An -N4 -tu1 <&3) || return 1
    size=$(((a << 24) | (b << 16) | (c << 8) | d))
    ((size > 0 && size < 100000)) || return 1
    timeout 2 od -An -v -w1 "-N$size" -tu1 <&3 | awk -v size="$size" '
        function short(at) { return byte[at] * 256 + byte[at + 1] }
        function number(at) { return short(at) * 65536 + short(at + 2) }
        function behind_text(at) { return at + 2 + (short(at) == 65535 ? 0 : short(at)) }
        { byte[NR - 1] = $1 }
        END {
            if (NR != size) exit 1
            at = 8
            for (left = number(4); left > 0; left--) {
                id = number(at)
                at = behind_text(at + 4)
                print "broker", id, number(at)
                at = behind_text(at + 4)
            }
            text = ""
            for (i = at + 2; i < behind_text(at); i++) text = text sprintf("%c", byte[i])
            print "cluster", text
        }'
    exec 3>&-
}

zookeeper_answers() {
    local answer
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'srvr' >&3
    answer=$(timeout 2 cat <&3 || true)
    exec 3>&-
    [[ $answer == *"Mode: standalone"* ]]
}
