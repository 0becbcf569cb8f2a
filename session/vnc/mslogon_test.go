package vnc

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"errors"
	"io"
	"math/big"
	"net"

	"github.com/sallyport/sallyport/session/screen/rfb"
)

// msLogonServer is the console's side: its secret is 7, over generator 5 and a prime of 62
// bits.
func msLogonServer(out net.Conn, in *bufio.Reader, want Login) error {
	g, p, secret := big.NewInt(5), big.NewInt(4611686018427387847), big.NewInt(7)
	var b []byte
	for _, n := range []*big.Int{g, p, new(big.Int).Exp(g, secret, p)} {
		b = append(b, n.FillBytes(make([]byte, 8))...)
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	reply := make([]byte, 8+256+64)
	if _, err := io.ReadFull(in, reply); err != nil {
		return err
	}
	key := new(big.Int).Exp(new(big.Int).SetBytes(reply[:8]), secret, p).FillBytes(make([]byte, 8))
	for _, field := range []struct {
		b    []byte
		want string
	}{{reply[8:264], want.User}, {reply[264:], want.Password}} {
		block, err := des.NewCipher(rfb.Turned(string(key)))
		if err != nil {
			return err
		}
		cipher.NewCBCDecrypter(block, key).CryptBlocks(field.b, field.b)
		if got, _, _ := bytes.Cut(field.b, []byte{0}); string(got) != field.want {
			return errors.New("it says " + string(got))
		}
	}
	_, err := out.Write(make([]byte, 4))
	return err
}
