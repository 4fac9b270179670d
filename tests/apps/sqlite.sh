#!/bin/bash
# The sqlite3 shell: import, queries, dump, backup; databases of two processes.
set -u
command -v sqlite3 > /dev/null || { echo skip; exit 77; }
seq 1 2000 | sed 's/\(.*\)/\1,name \1/' > rows.csv
sqlite3 t.db 'create table t (id integer primary key, name text);'; echo $?
printf '.mode csv\n.import rows.csv t\n' | sqlite3 t.db; sqlite3 t.db 'select count(*), sum(id) from t;'
sqlite3 t.db '.dump' > dump.sql; wc -l < dump.sql; sqlite3 u.db < dump.sql; sqlite3 u.db 'pragma integrity_check; select name from t where id = 77;'
sqlite3 t.db '.backup b.db'; sqlite3 b.db 'select max(id) from t;'
for i in 1 2 3 4; do (for j in 1 2 3 4 5; do sqlite3 -cmd '.timeout 20000' t.db "insert into t (name) values ('p$i $j');"; done) & done; wait
sqlite3 t.db "select count(*) from t; pragma integrity_check;"
sqlite3 t.db "begin; delete from t; rollback; select count(*) from t;"; sqlite3 t.db 'vacuum;'; echo $?
ls; rm t.db u.db b.db
