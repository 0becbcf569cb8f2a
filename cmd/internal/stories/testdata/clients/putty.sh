#!/bin/bash
# psftp, pscp and plink, by saved sessions as PuTTY's window would make them. The way in
# is a proxy of the type "SSH to proxy and use port forwarding".
export HOME=$PWD/home
mkdir -p "$HOME/.putty/sessions"
puttygen "$KEY" -O private -o "$HOME/key.ppk" || exit 1
keyOf() { ssh-keygen -lf "$KNOWN" -F "$1" | sed -n 's/.*\(SHA256:[^ ]*\).*/\1/p' | head -1; }
save() { # NAME HOST PORT USER HOSTKEY [more lines]
  printf '%s\n' "HostName=$2" "PortNumber=$3" "UserName=$4" Protocol=ssh "PublicKeyFile=$HOME/key.ppk" TryAgent=0 \
    "SSHManualHostKeys=$5" "${@:6}" >"$HOME/.putty/sessions/$1"
}
if [ -n "$DOOR_HOST" ]; then
  save door "$DOOR_HOST" "$DOOR_PORT" sallyport "$(keyOf "[$DOOR_HOST]:$DOOR_PORT")"
  save scanner "$HOST" "$PORT" "$LOGIN" "$(keyOf "$HOST")" ProxyMethod=6 ProxyHost=door ProxyPort=22 ProxyLocalhost=1
else
  save scanner "$HOST" "$PORT" "$LOGIN" "$(keyOf "[$HOST]:$PORT")"
fi
quiet() { tr -d '\r' | grep -v '^Making \|^Using username\|^$\|^Remote working directory'; } # it says more where it goes by way of a door
cp head whole-back
psftp -batch -be -b /dev/stdin scanner <<END 2>&1 | quiet
cd $FAR
put firmware whole-put
get whole-put whole-got
put head whole-resumed
reput firmware whole-resumed
reget whole-put whole-back
mv whole-resumed whole-renamed
chmod 640 whole-renamed
put -r names names
get -r names names-back
mkdir made
rmdir made
del nothing
get nothing
END
echo "status ${PIPESTATUS[0]}"
pscp -batch -q -sftp -p old scanner:"$FAR/old" 2>&1 | quiet; echo "status ${PIPESTATUS[0]}"
pscp -batch -q -sftp scanner:"$FAR/nothing" . 2>&1 | quiet; echo "status ${PIPESTATUS[0]}"
plink -batch -T scanner 'echo out; exit 3' 2>&1 | quiet; echo "status ${PIPESTATUS[0]}"
rm -r "$HOME"
