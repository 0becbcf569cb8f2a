#!/bin/bash
# sshfs: the kernel reads and writes as it likes.
act() { echo "$1"; shift; "$@" 2>errors; echo "status $?"; cat errors; }

mkdir mnt
act mount sshfs -F "$CONFIG" -o idmap=none "$NAME:$(dirname "$FAR")" mnt || exit 1
trap 'fusermount3 -u -z mnt' EXIT
far=mnt/$(basename "$FAR")
act put cp firmware "$far/whole-put"
act get cp "$far/whole-put" whole-got
act put cp head "$far/whole-appended"
act append bash -c "tail -c +$(($(stat -c %s head) + 1)) firmware >> $far/whole-appended"
act put cp firmware "$far/whole-overlap"
act overwrite dd status=none if=/dev/zero of="$far/whole-overlap" bs=1000 count=100 seek=3 conv=notrunc
act overwrite dd status=none if=firmware of="$far/whole-overlap" bs=7000 conv=notrunc
act put cp firmware "$far/cut"
act shorten truncate -s 12345 "$far/cut"
act lengthen truncate -s 20000 "$far/cut"
act "cut an open file that was renamed" /usr/bin/python3 - "$far" <<'END'
import os, sys
os.chdir(sys.argv[1])
f = open('first', 'w+b')
f.write(b'the first file'); f.flush()
os.rename('first', 'moved')
open('first', 'w').write('another')
os.ftruncate(f.fileno(), 3)
os.fsync(f.fileno())
f.close()
END
act soft ln -s whole-put "$far/link"
act hard ln "$far/whole-put" "$far/whole-hard"
act space stat -f -c %S "$far"
act rename mv "$far/whole-overlap" "$far/whole-renamed"
act mode chmod 640 "$far/whole-renamed"
act times touch -d '2001-02-03 04:05:06 UTC' "$far/whole-renamed"
act names cp -r names "$far/names"
act back cp -r "$far/names" names-back
act missing cat "$far/nothing"
act full rmdir "$far/names"
act remove rm -r "$far/names"
act many bash -c 'ls "mnt/$(basename "$MANY")" | sha256sum'
act unmount fusermount3 -u mnt
rm errors
