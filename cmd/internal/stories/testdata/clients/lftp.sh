#!/bin/bash
# lftp, by its connect program. What a server says beside an error's code is its own.
cp head whole-back
{
  lftp 2>errors <<END
set sftp:connect-program 'ssh -a -x -F $CONFIG'
set cmd:interactive no
set cmd:fail-exit no
set net:max-retries 1
set xfer:clobber yes
open sftp://$NAME
cd $FAR
put firmware -o whole-put
get whole-put -o whole-got
put head -o whole-resumed
put -c firmware -o whole-resumed
get -c whole-put -o whole-back
pget -n 3 whole-put -o whole-parts
mv whole-resumed whole-renamed
chmod 640 whole-renamed
ln -s whole-put link
put old -o old
mirror -R names names
mirror names names-back
rmdir names
mkdir made
rmdir made
rm nothing
get nothing
put head -o whole-put
put firmware -o whole-put
cls -1 --sort=name $MANY | sort | sha256sum
END
  echo "status $?"
  cat errors
} | sed 's/failed: .*/failed/; s/ ([^()]*)$//; /bytes transferred/d; /seconds/d'
rm errors
