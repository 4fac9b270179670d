#!/bin/bash
# install, touch, ln, mktemp, mkfifo refusal, readlink, realpath, chmod.
set -u
seq 5 > f
install -m 751 f g; stat -c '%a %s' g
install -d -m 700 d/e/f; stat -c '%a' d/e/f
install -D -m 644 f d/new/path/f; cat d/new/path/f | wc -l
install -t d f g; ls d
install -b -m 600 f g; ls
install -p f h; [ "$(stat -c %Y f)" = "$(stat -c %Y h)" ] && echo time kept
install -s /bin/true stripped 2>/dev/null; rm -f stripped
touch t; stat -c %s t; touch -d '1999-12-31 23:59:59' t; stat -c %Y t; touch -r t u; stat -c %Y u
touch -a t; stat -c %Y t; touch -m t; [ "$(stat -c %Y t)" -gt 1000000000 ] && echo touched
touch -c nothere; ls nothere 2>/dev/null; echo $?
ln -s f l; ln -s f l 2>/dev/null; echo "again $?"; ln -sf g l; readlink l; ln -sfn d l; readlink l; ln -sr d/e/f rel; readlink rel
ln -s "$PWD/f" abs; realpath --relative-to=. abs l/f rel; readlink -f abs | sed "s|$PWD|.|"; readlink -m l/none | sed "s|$PWD|.|"; readlink -e l/none; echo $?
x=$(mktemp -p . tmp.XXXXXX); stat -c '%a %s' "$x"; rm "$x"; x=$(mktemp -d -p . tmp.XXXXXX); stat -c %a "$x"; rmdir "$x"
chmod u+x,go-r f; stat -c %a f; chmod -R g+w d; find d -printf '%m %p\n' | sort; chmod --reference=g f; stat -c %a f
chmod a-x nothere 2>/dev/null; echo $?
umask 077; touch private; stat -c %a private; mkdir pd; stat -c %a pd; umask 022
chown "$(id -u):$(id -g)" f; echo "chown $?"; chgrp -R "$(id -g)" d; echo "chgrp $?"
test -e f; echo $?; test -e nothere; echo $?; test -d d; echo $?; test -L l; echo $?; test -s t; echo $?; test -x g; echo $?; test f -nt t; echo $?; test f -ef abs; echo $?
basename "$PWD/f"; (cd d/e && pwd | sed "s|$OLDPWD|.|"); (cd l && /bin/pwd -P | sed 's|.*/||'; /bin/pwd -L | sed 's|.*/||')
mkdir -p -m 711 x/y/z; stat -c '%a %n' x x/y x/y/z; mkdir x 2>/dev/null; echo $?
