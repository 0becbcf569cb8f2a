package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	console "github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
)

// A console's recording is taken out as a picture, as a sheet, and through ffmpeg.
func TestAConsoleIsExported(t *testing.T) {
	s := newStudio(t, recordings.Options{Picture: console.NewPicture()})
	s.record(session.ChannelOpened, 1, `{"type":"control"}`) // at 1 s, as all that follows is a second later
	size := image.Pt(61, 40)
	s.record(session.ScreenSize, 1, string(console.SizeData(size, false)))
	for n := range 6 {
		pix := make([]uint32, size.X*size.Y)
		for i := range pix {
			pix[i] = uint32(n+1) * 0x101010
		}
		if err := console.NewEncoder().Tiles(size, nil, pix, []image.Point{{}}, func(b []byte) error { s.record(session.ScreenTiles, 1, string(b)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	s.clock.Add(60)
	s.record(session.ChannelClosed, 1, "")
	s.close()
	file := filepath.Join(t.TempDir(), "rec.sally")
	if err := os.WriteFile(file, s.file(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{file, s.dir} {
		out := filepath.Join(t.TempDir(), "out")
		export := func(status int, says string, args ...string) []byte {
			t.Helper()
			_ = os.Remove(out)
			got, answer, words := runs(t, append([]string{"recordings", "export", from}, args...)...)
			if got != status || answer != "" || !strings.Contains(words, says) {
				t.Errorf("%v: %d, %s", args, got, words)
			}
			b, _ := os.ReadFile(out)
			return b
		}
		p, err := png.Decode(bytes.NewReader(export(0, "", "--format", "png", "--at", "4.5s", "-o", out)))
		if err != nil || p.Bounds().Size() != size {
			t.Fatalf("%v", err)
		}
		if r, _, _, _ := p.At(60, 39).RGBA(); r>>8 != 0x20 {
			t.Errorf("the picture of 4.5 s shows %x", r>>8)
		}
		p, err = png.Decode(bytes.NewReader(export(0, "", "--format", "contact-sheet", "-o", out)))
		if err != nil || p.Bounds().Size() != image.Pt(12+4*73, 12+6*52) {
			t.Fatalf("%v", err)
		}
		export(2, "No console was shown at 1s", "--format", "png", "--at", "1s", "-o", out)
		export(2, "Add -o FILE", "--format", "png")
		export(2, "--at", "--format", "text", "--at", "3s")
		export(2, "before the beginning", "--format", "png", "--at", "-3s", "-o", out)
		bin := t.TempDir()
		t.Setenv("PATH", bin)
		export(1, "not installed here", "--format", "webm", "-o", out)
		// It stands for ffmpeg: what comes last is the file, and it takes what it is given.
		if err := os.WriteFile(filepath.Join(bin, "ffmpeg"), []byte("#!/bin/sh\nfor last; do :; done\nPATH=/bin:/usr/bin\nexec cat > \"$last\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		b := export(0, "", "--format", "webm", "-o", out)
		if frame := 62 * 40 * 4; len(b) == 0 || len(b)%frame != 0 || len(b)/frame > 90 || b[len(b)-4*62*20] != 0x60 {
			t.Errorf("%d bytes of pictures", len(b))
		}
		if status, _, words := runs(t, "recordings", "play", from, "-o", "json"); status != 0 {
			t.Errorf("%d %s", status, words)
		}
	}
}

// A console is played by this machine alone, at an address that only its person is told.
func TestAConsoleIsPlayedHere(t *testing.T) {
	s := newStudioOf(t, session.VNC, recordings.Options{Picture: console.NewPicture()})
	s.record(session.ChannelOpened, 1, `{"type":"control"}`)
	s.record(session.ScreenSize, 1, string(console.SizeData(image.Pt(61, 40), false)))
	s.close()
	if status, _, words := runs(t, "recordings", "play", s.dir, "--plain"); status != 2 || !strings.Contains(words, "text cannot show it") {
		t.Errorf("as text: %d %s", status, words)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	p := &program{stdin: strings.NewReader(""), stdout: in, stderr: io.Discard, env: []string{"SALLYPORT_HOME=" + t.TempDir()}, now: time.Now, format: containers{}}
	ended := make(chan int, 1)
	go func() { ended <- p.run(ctx, []string{"recordings", "play", s.dir, "--at", "2s", "-o", "json"}) }()
	var told playing
	if err := json.NewDecoder(out).Decode(&told); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(told.URL, "http://"+told.Listen+"/") || !strings.HasSuffix(told.URL, "/#t=2") || !session.Loopback(strings.Split(told.Listen, ":")[0]) {
		t.Errorf("told %+v", told)
	}
	address, _, _ := strings.Cut(told.URL, "#")
	res, err := http.Get(address + "replay")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var replay struct{ Target, Signer string }
	if err := json.NewDecoder(res.Body).Decode(&replay); err != nil || replay.Target != "NGH/NGH-PETCT1/recon-ssh" || replay.Signer != "It is not known here who signed it." {
		t.Errorf("%+v, %v", replay, err)
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("ended with %d", status)
	}
}
