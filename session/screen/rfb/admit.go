package rfb

import (
	"bufio"
	"io"
	"net"
	"time"
)

// Admit greets a viewer of this machine and asks it for a password, up to before its
// ClientInit. What it said beyond that is in the reader, from which is to be read on.
func Admit(conn net.Conn, password string) (*bufio.Reader, error) {
	v := &Viewer{cfg: Config{Password: password}, conn: conn, in: bufio.NewReader(conn)}
	if err := conn.SetDeadline(time.Now().Add(greeting)); err != nil {
		return nil, err
	}
	if err := v.agree(); err != nil {
		return nil, err
	}
	return v.in, conn.SetDeadline(time.Time{})
}

// Enter greets a server that asks for no password, up to before the ClientInit.
func Enter(server io.ReadWriter) error {
	var version [12]byte
	if _, err := io.ReadFull(server, version[:]); err != nil {
		return err
	}
	if string(version[:]) != newest {
		return ErrWire
	}
	if _, err := io.WriteString(server, newest); err != nil {
		return err
	}
	var types [2]byte
	if _, err := io.ReadFull(server, types[:]); err != nil || types != [2]byte{1, None} {
		return orWire(err)
	}
	if _, err := server.Write([]byte{None}); err != nil {
		return err
	}
	var result [4]byte
	if _, err := io.ReadFull(server, result[:]); err != nil || result != [4]byte{} {
		return orWire(err)
	}
	return nil
}
