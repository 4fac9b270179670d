#!/bin/bash
# make: rules by time, parallel, recursive, include.
set -u
mkdir sub in; for i in 1 2 3 4 5 6; do echo "$i" > in/$i.txt; done
cat > Makefile <<'END'
SRC := $(sort $(wildcard in/*.txt))
OUT := $(SRC:in/%.txt=%.out)
all: $(OUT) total sub/done
%.out: in/%.txt
	@echo making $@; cat $< $< > $@
total: $(OUT)
	@echo total; cat $(OUT) > $@
sub/done: sub/Makefile
	@$(MAKE) --no-print-directory -C sub
clean:
	rm -f *.out total sub/done
-include missing.mk
.PHONY: all clean
END
printf 'done:\n\t@echo in sub; echo x > done\n' > sub/Makefile
make; echo $?; make; sleep 0.02; touch in/3.txt; make; make -q && echo up to date; cat total | wc -l
make clean; make -j 4 | sort; make -n clean; make nothere 2>/dev/null; echo $?; make -B 1.out; make -f - <<< 'x: ; @echo from stdin' x; ls
