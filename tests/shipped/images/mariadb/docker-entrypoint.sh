#!/bin/bash
# As the public image's: an empty folder gets the system tables, root's password, a database and its user; then the server runs.
set -euo pipefail
data=/var/lib/mysql
options=(--no-defaults --datadir="$data" --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid)
if [[ ! -d $data/mysql ]]; then
  mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db --force > /dev/null
  mariadbd "${options[@]}" --bootstrap << SQL
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE DATABASE \`$MARIADB_DATABASE\`;
CREATE USER \`$MARIADB_USER\`@'%' IDENTIFIED BY '$MARIADB_PASSWORD';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO \`$MARIADB_USER\`@'%';
SQL
fi
exec "$1" "${options[@]}" --bind-address=0.0.0.0 "${@:2}"
