#!/usr/bin/env bash
# redirections, pipelines, here-documents, cd, with builtins and external commands
set -eu
cd "$1"
for i in 1 2 3; do /bin/echo "$i"; done >out
{
	echo first
	/bin/echo second
	(
		echo third
		/bin/cat <<-TEXT
			fourth
		TEXT
	)
} >>out
/bin/cat <out | tr 0-9 a-j >>out2
wc -l out out2
exec 5>both
echo one >&5
/bin/echo two >&5
exec 5>&-
cat both
mkdir -p sub/dir && cd sub/dir && pwd | sed 's#.*/sub#sub#'
cat ../../both | sort -r | head -n 1
while read -r line; do echo "<$line>"; done <../../both
