#!/bin/sh
# Replays every corpus through its fuzzer, built with ASan and UBSan.
cd "$(dirname "$0")/../.." || exit 1
n=0
for source in t/fuzz/*.c; do
	name=$(basename "$source" .c)
	n=$((n + 1))
	if out=$("build/asan/t/fuzz/$name" "t/fuzz/corpus/$name" 2>&1); then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "$out" | tail -40 | sed 's/^/# /'
	fi
done
echo "1..$n"
