package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// captured are the packets of one side of real conversations: OpenSSH's sftp in front
// of OpenSSH's sftp-server, kept as they passed.
func captured(t testing.TB, side string) (all [][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/*/" + side + ".bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures of a %s: %v", side, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for {
			body, err := Read(f, nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, body)
		}
	}
	return all
}

// What real clients ask for is understood whole, and is written as they wrote it.
func TestRealRequests(t *testing.T) {
	seen := map[Op]bool{}
	for i, body := range captured(t, "client") {
		if i == 0 {
			if v, err := ParseInit(body); err != nil || v != Version {
				t.Errorf("%d, %v", v, err)
			}
			continue
		}
		id, r, err := ParseRequest(body)
		if err != nil || r.Op == Unknown && !bytes.Contains(body, []byte("users-groups-by-id@openssh.com")) {
			t.Errorf("%x: %+v, %v", body, r, err)
		}
		seen[r.Op] = true
		if again := r.Append(nil, id); r.Op != Unknown && !bytes.Equal(again[4:], body) {
			t.Errorf("read %x\nwrote %x", body, again[4:])
		}
	}
	for _, op := range []Op{Open, Close, ReadAt, WriteAt, Lstat, Setstat, Fsetstat, Opendir, Readdir, Remove, Mkdir, Rmdir, Realpath, Stat, Symlink,
		PosixRename, Statvfs, Hardlink, Fsync, CopyData, Limits} {
		if !seen[op] {
			t.Errorf("the captures have no request of operation %d", op)
		}
	}
}

// What real servers answer is understood whole, and means the same when it is written
// again; words beside a status are ours.
func TestRealResponses(t *testing.T) {
	seen := map[byte]bool{}
	for i, body := range captured(t, "server") {
		if i == 0 {
			v, offered, err := ParseVersion(body)
			if err != nil || v != Version || len(offered) < 8 || !bytes.Equal(AppendVersion(nil, offered)[4:], body) {
				t.Errorf("%d, %v, %v", v, offered, err)
			}
			continue
		}
		id, a, err := ParseResponse(body)
		if err != nil {
			t.Errorf("%x: %v", body, err)
		}
		seen[a.Kind] = true
		if again := a.Append(nil, id); a.Kind != Status && !bytes.Equal(again[4:], body) {
			t.Errorf("read %x\nwrote %x", body, again[4:])
		}
	}
	for _, kind := range []byte{Status, Handle, Data, Name, Attributes, ExtendedReply} {
		if !seen[kind] {
			t.Errorf("the captures have no answer of kind %d", kind)
		}
	}
}

// A packet's length is bounded before room is made for it.
func TestRead(t *testing.T) {
	for _, test := range []struct {
		sent string
		want error
	}{
		{"", io.EOF}, {"\x00\x00", io.ErrUnexpectedEOF}, {"\x00\x00\x00\x02a", io.ErrUnexpectedEOF},
		{"\x00\x00\x00\x00", nil}, {"\x00\x04\x00\x01", nil}, {"\xff\xff\xff\xff", nil},
	} {
		if body, err := Read(bytes.NewReader([]byte(test.sent)), nil); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%q: %x, %v", test.sent, body, err)
		}
	}
	whole := append([]byte{0, 4, 0, 0}, make([]byte, Most)...)
	if body, err := Read(bytes.NewReader(whole), make([]byte, 0, 10)); err != nil || len(body) != Most {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// What is too short, or longer than it says, is an error for every request and answer.
func TestCutShort(t *testing.T) {
	for _, body := range append(captured(t, "client"), captured(t, "server")...)[1:] {
		if _, r, err := ParseRequest(body); err == nil && r.Op != Unknown && r.Op != Limits {
			if _, _, err := ParseRequest(body[:len(body)-1]); err == nil {
				t.Errorf("took %x without its end", body)
			}
		}
	}
	long := make([]byte, 300)
	if _, _, err := ParseRequest(append(binary.BigEndian.AppendUint32([]byte{byte(Close), 0, 0, 0, 1}, 300), long...)); err == nil {
		t.Error("took a handle of 300 bytes")
	}
	if _, _, err := ParseResponse([]byte{Name, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("took names without end")
	}
	if _, _, err := ParseResponse([]byte{Attributes, 0, 0, 0, 1, 0, 0, 0, 16}); err == nil {
		t.Error("took attributes that nobody knows")
	}
	if _, a, err := ParseResponse([]byte{Status, 0, 0, 0, 1, 0, 0, 0, 2}); err != nil || a.Code != NoSuchFile {
		t.Errorf("%+v, %v", a, err)
	}
}

// What parses is read the same after it has been written again.
func FuzzRequest(f *testing.F) {
	for _, body := range captured(f, "client") {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = ParseInit(body)
		id, r, err := ParseRequest(body)
		if err != nil || r.Op == Unknown {
			return
		}
		id2, r2, err := ParseRequest(r.Append(nil, id)[4:])
		if err != nil || id2 != id || !reflect.DeepEqual(r, r2) {
			t.Errorf("%+v became %+v, %v", r, r2, err)
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, body := range captured(f, "server") {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _, _ = ParseVersion(body)
		id, a, err := ParseResponse(body)
		if err != nil {
			return
		}
		id2, a2, err := ParseResponse(a.Append(nil, id)[4:])
		if err != nil || id2 != id || !reflect.DeepEqual(a, a2) {
			t.Errorf("%+v became %+v, %v", a, a2, err)
		}
	})
}
