#!/bin/bash
# rsync, which is a command on the device.
# Whether rsync says 12 or 127 where the device has none depends on who ends first.
act() {
  rsync -e "ssh -F $CONFIG" "$@" 2>errors
  echo "status $?" | sed 's/ 12$/ 127/'
  sed 's/^rsync error: .*code \(12\|127\)).*/no rsync there/' errors
}

mkdir empty start
mv names old start
cp firmware start/whole-put
ln start/whole-put start/whole-hard
ln -s whole-put start/soft
cp head start/whole-appended
cp head start/whole-inplace
act -aH start/ "$NAME:$FAR/"
cp firmware start/whole-appended
cp firmware start/whole-inplace
act --append start/whole-appended "$NAME:$FAR/"
act --inplace --no-whole-file start/whole-inplace "$NAME:$FAR/"
act -aH "$NAME:$FAR/" back/
cp head whole-back
act --append "$NAME:$FAR/whole-put" whole-back
act -a --delete empty/ "$NAME:$FAR/names/"
act "$NAME:$FAR/nothing" .
act --list-only --no-h "$NAME:$MANY/" | awk '{print $NF}' | sort | sha256sum
rm errors
