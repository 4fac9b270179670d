#!/usr/bin/env bash
# sqlite3: a table, an index, a transaction, an integrity check
set -eu
cd "$1"
sqlite3 data.db <<'SQL'
create table t (id integer primary key, word text);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
insert into t select i, 'word ' || i from n;
commit;
create index words on t (word);
select count(*), sum(id) from t;
select word from t where id = 4711;
pragma integrity_check;
SQL
ls
