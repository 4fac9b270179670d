#!/bin/bash
# PostgreSQL: a cluster made here, clients at work, the server killed in the middle, recovery, a dump.
set -u
shopt -s nullglob
bins=(/usr/lib/postgresql/*/bin /usr/pgsql-*/bin)
PATH=${bins[0]:-}:$PATH
command -v initdb pg_ctl pgbench > /dev/null || exit 77
getent passwd "$(id -u)" > /dev/null || exit 77 # initdb asks for a name
chmod 711 . .. # the server refuses to be root
mkdir -m 777 "$TMPDIR/pg" db
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid nobody --regid nogroup --clear-groups); else as=(); fi
chmod 711 "$TMPDIR"
export LC_ALL=C PGHOST=$TMPDIR/pg PGUSER=tester PGOPTIONS=--client-min-messages=warning
data=$PWD/db/data
pg() { (cd / && "${as[@]}" "$@"); } # nobody's working directory is not root's
sql() { pg psql -qAtX bench -c "$1"; }
start() {
	pg pg_ctl -D "$data" -w -t 40 -l "$TMPDIR/pg/log" -o "-k $TMPDIR/pg -c listen_addresses=''" start > /dev/null ||
		tail -n 20 "$TMPDIR/pg/log"
}
pg initdb -D "$data" -U tester -A trust > "$TMPDIR/pg/initdb" 2>&1 || tail -n 5 "$TMPDIR/pg/initdb"
echo 'autovacuum = off' >> db/data/postgresql.conf
start
pg createdb bench
pg pgbench -q -i -s 1 bench > /dev/null 2>&1; echo "made: $?"
pg pgbench -n -c 4 -j 2 -t 50 bench 2>/dev/null | grep -E 'processed|failed'
same='select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), (select count(*) from pgbench_history)'
sql "$same"
sql 'create index on pgbench_history (aid, delta)'; sql 'vacuum full pgbench_accounts'; sql 'checkpoint'
pg pgbench -n -c 2 -t 20 bench 2>/dev/null | grep processed
pg pg_ctl -D "$data" -m immediate stop > /dev/null; echo "killed: $?"
start
grep -c 'automatic recovery' "$TMPDIR/pg/log"
sql "$same"
pg pg_dump -s bench | grep -c '^CREATE TABLE'
pg pg_ctl -D "$data" -m fast stop > /dev/null; echo "stopped: $?"
pg pg_controldata "$data" | grep 'cluster state'
rm -r db; ls -A
