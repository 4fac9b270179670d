#!/usr/bin/python3 -I
"""sqlite3 in all journal modes, two connections, a second process."""
import os, sqlite3, subprocess, sys
sys.stdout.reconfigure(line_buffering=True)
for mode in ("delete", "truncate", "persist", "memory"):
    name = f"{mode}.db"
    db = sqlite3.connect(name)
    print(mode, db.execute(f"pragma journal_mode={mode}").fetchone())
    db.execute("create table t (id integer primary key, v text)")
    with db:
        db.executemany("insert into t (v) values (?)", [(f"row {i}",) for i in range(2000)])
    try:
        with db:
            db.execute("delete from t where id > 100")
            raise KeyError
    except KeyError:
        pass
    print(db.execute("select count(*), max(id) from t").fetchall())
    other = sqlite3.connect(name, timeout=0.2)
    db.execute("begin immediate")
    db.execute("insert into t (v) values ('held')")
    try:
        other.execute("insert into t (v) values ('refused')")
        print("no lock!")
    except sqlite3.OperationalError as e:
        print(e)
        other.rollback()
    print(other.execute("select count(*) from t").fetchall())
    db.commit()
    child = subprocess.run([sys.executable, "-I", "-c",
        f"import sqlite3; d = sqlite3.connect({name!r}); d.execute(\"insert into t (v) values ('child')\"); d.commit(); print(d.execute('select count(*) from t').fetchone())"],
        stdout=subprocess.PIPE, text=True)
    print(child.stdout.strip(), child.returncode)
    print(other.execute("select count(*) from t").fetchall())
    db.execute("create index i on t (v)"); db.execute("vacuum"); db.commit()
    print(db.execute("pragma integrity_check").fetchall(), db.execute("select v from t where v like 'row 19%' order by id limit 3").fetchall())
    db.close(); other.close()
    if mode == "persist":  # holds a random nonce
        os.remove(name + "-journal")
# The database's bytes depend on the library's version only.
print(sorted(n for n in os.listdir(".") if n.endswith(".db")))
