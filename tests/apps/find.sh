#!/bin/bash
# find and friends: types, sizes, times, exec, delete, du, tree walks.
set -u
mkdir -p a/b/c d; for i in $(seq 30); do head -c $((i * 100)) /dev/zero > a/f$i; done
ln -s a l; ln -s nowhere dang; touch -d 2000-01-01 a/f1; chmod 000 a/f2; chmod 755 a/f3
find . | sort
find . -type f -size +2k | sort
find . -type l | sort; find . -xtype l | sort
find . -type d -empty | sort
find . -not -newermt 2001-01-01 | sort
find . -perm -111 -type f
find -L . -name 'f1*' | sort | head -5
find a -maxdepth 1 -name 'f2*' -printf '%f %s\n' | sort
find a -name 'f1?' -exec wc -c {} + | tail -1
find a -name 'f3*' -execdir echo {} \; | sort
find a -type f -print0 | xargs -0 -n 7 echo | wc -l
find a -type f -print0 | sort -z | xargs -0 -P 2 -n 5 cat 2>/dev/null | wc -c | awk '{print ($1 > 0)}'
find a -name 'f2?' -delete; ls a | wc -l
chmod 644 a/f2
du -b --apparent-size a/f3 | cut -f1
du -ab a | awk '!/b$|c$|a$/' | sort -k2 | head -3
ls -F | sort; ls -1 a | head -3; ls -A1 | sort; ls -d */; ls -R d a/b
ls -l --time-style=+%Y a/f1 | awk '{print $1, $5, $6}'
stat -c '%F %s %a' a/f3 l dang | sed 's/ 4096 / /'
stat -L -c '%F' l
