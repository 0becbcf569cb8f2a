package rdp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// truth is a file of what real Windows consoles said, which is not ours to publish.
// SALLYPORT_RDP_DATA names the directory; it is looked for beside the repository, too.
func truth(t *testing.T, name string) (string, bool) {
	t.Helper()
	dir := os.Getenv("SALLYPORT_RDP_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data", "rdp")
	}
	file := filepath.Join(dir, name)
	if _, err := os.Stat(file); err != nil {
		t.Logf("%s, where what real consoles said would be, is absent: nothing is tried", dir)
		return "", false
	}
	return file, true
}

// said are the messages of the console in a capture, in the clear.
func said(t *testing.T, name, layer string, stream int) [][]byte {
	t.Helper()
	file, ok := truth(t, filepath.Join("captures", name))
	if !ok {
		return nil
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Log("tshark, which reads captures, is absent: nothing is tried")
		return nil
	}
	out, err := exec.Command("tshark", "-d", "tcp.port==3389,tls", "-r", file, "-q", "-z", fmt.Sprintf("follow,%s,raw,%d", layer, stream)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "\t") {
			b, err := hex.DecodeString(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
	}
	var messages [][]byte
	for len(all) > 4 {
		if all[0] == 0x30 { // CredSSP, and the four bytes of what it came to
			size, head := int(all[1]), 2
			for n := size & 0x7f; size&0x80 != 0; {
				size = 0
				for _, b := range all[2 : 2+n] {
					size = size<<8 | int(b)
				}
				head += n
				break
			}
			all = all[head+size:]
			continue
		}
		size, _, _ := length(all)
		if size < 4 { // the result
			all = all[4:]
			continue
		}
		if size > len(all) {
			break
		}
		messages, all = append(messages, all[:size]), all[size:]
	}
	return messages
}

// What a real Windows says is understood: its conference, its licence, its start, and what
// it draws and says afterwards on the channels that this client has.
func TestWindowsAsItWasCaptured(t *testing.T) {
	for _, name := range []string{"rdp-no-nla-accepted1.pcapng", "rdp-restricted-admin-accepted1.pcapng"} {
		t.Run(name, func(t *testing.T) {
			messages := said(t, name, "tls", 0)
			if messages == nil {
				return
			}
			c, _ := client(nil, keeper(forget), Config{})
			if err := c.conferred(messages[0][7:]); !errors.Is(err, ErrWire) || c.joined.main != 1003 {
				t.Errorf("its conference: %v, %d", err, c.joined.main) // it has channels that were not asked for
			}
			user := int(messages[1][9])<<8 | int(messages[1][10])
			script := join(response(channels()), messages[1])
			kept := 0
			for _, m := range messages[2:] {
				switch {
				case m[0] != 3: // fast
				case m[7]&^3 == 0x3c:
					if id := int(m[13])<<8 | int(m[14]); id != user+userBase && id != 1003 {
						continue
					}
				case m[7] == 0x68 && (m[10] != 3 || m[11] != 0xeb):
					continue
				}
				script = append(script, m...)
				kept++
			}
			s := newSeen()
			err := says(script, s, Config{})
			t.Logf("%d of %d messages, a screen of %v, ends with %v", kept, len(messages), s.size, err)
			if s.size.X < 640 || !errors.Is(err, io.EOF) && !errors.As(err, new(over)) && session.KindOf(err) == session.Internal {
				t.Errorf("a screen of %v, ends with %v", s.size, err)
			}
		})
	}
}

// Other makers' pointers are what other makers see.
func TestPointersOfOtherMakers(t *testing.T) {
	for name, code := range map[string]int{"color_pointer_24bpp": pointerColour, "new_pointer_32bpp": pointerNew, "large_pointer_32bpp": pointerLarge} {
		file, ok := truth(t, filepath.Join("pointers", name+".bin"))
		if !ok {
			return
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(strings.TrimSuffix(file, ".bin") + ".png")
		if err != nil {
			t.Fatal(err)
		}
		want, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		depth, in := 24, &fields{b: b}
		if code != pointerColour {
			depth = in.u16()
		}
		_, got, err := picked(in, depth, code == pointerLarge)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		differ(t, name, got, want)
	}
}

func differ(t *testing.T, name string, got screen.Cursor, want image.Image) {
	t.Helper()
	if want.Bounds().Size() != got.Size {
		t.Errorf("%s: %v for %v", name, got.Size, want.Bounds())
		return
	}
	bad := 0
	for y := range got.Size.Y {
		for x := range got.Size.X {
			w := color.NRGBAModel.Convert(want.At(x, y)).(color.NRGBA)
			p := got.Pix[y*got.Size.X+x]
			if w.A == 0 && p>>24 == 0 {
				continue
			}
			// their pictures hold each colour times itself
			square := func(v uint32) uint32 { v &= 0xff; return v * v / 0xff }
			near := func(a uint8, b uint32) bool { return max(uint32(a), b)-min(uint32(a), b) <= 1 }
			if uint32(w.A) != p>>24 || !near(w.R, square(p>>16)) || !near(w.G, square(p>>8)) || !near(w.B, square(p)) {
				is := uint32(w.A)<<24 | uint32(w.R)<<16 | uint32(w.G)<<8 | uint32(w.B)
				if bad++; bad < 5 {
					t.Errorf("%s: %d,%d is %08x for %08x", name, x, y, p, is)
				}
			}
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d pixels differ", name, bad)
	}
}
