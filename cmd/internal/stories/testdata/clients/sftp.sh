#!/bin/bash
# OpenSSH's sftp and scp. What ssh has as standard error does not wait for who reads it,
# so nothing else may be there.
batch() { sftp -q -F "$CONFIG" -b - "$NAME" 2>errors; echo "status $?"; cat errors; }

cp head whole-back
batch <<END
cd $FAR
put firmware whole-put
get whole-put whole-got
put head whole-resumed
reput firmware whole-resumed
put head whole-appended
put -a firmware whole-appended
reget whole-put whole-back
rename whole-resumed whole-renamed
chmod 640 whole-renamed
put -p old old
-ln -s whole-put link
-ln whole-put whole-hard
-cp whole-put whole-copied
-rm nothing
-get nothing
-rmdir names
mkdir made
rmdir made
put -r names names
get -r names names-back
-rmdir names
rm whole-appended
put firmware whole-appended
END
batch <<<"get nothing"
said=$(printf '%s\n' "ls -1 $MANY" "df $FAR" | batch)
grep '^/.*dcm' <<<"$said" | sha256sum
grep -v '^/.*dcm' <<<"$said" | grep -v '^sftp>' | sed 's/[0-9]\+/N/g; s/  */ /g'
scp -q -p -r -F "$CONFIG" names old "$NAME:$FAR/missing" 2>errors; echo "status $?"; cat errors
mkdir made && scp -q -p -r -F "$CONFIG" names old "$NAME:$FAR/" 2>errors; echo "status $?"; cat errors
scp -q -p -F "$CONFIG" "$NAME:$FAR/old" "$NAME:$FAR/whole-put" made 2>errors; echo "status $?"; cat errors
rm errors
