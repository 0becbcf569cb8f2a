// Package player replays a recording on a person's own machine: the web application's player,
// served by the command itself on a loopback port that nobody else reaches, at an address
// nobody can guess. It reads the recording and nothing else; no broker is asked. It verifies
// nothing: whoever opened the recording says who signed it.
package player

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/web"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/screen"
	"github.com/sallyport/sallyport/session"
)

// Config says what is played.
type Config struct {
	Recording *recordings.Reader
	Signer    string // a sentence about who signed it
	Typed     bool   // what was typed was opened: the pointer is shown where it was
}

// Player is a recording that is played. Open makes one.
type Player struct {
	URL string

	cfg      Config
	pages    *web.Pages
	length   recordings.Length
	listener net.Listener
	root     string // "/" + token
	parts    turn
	thumbs   turn
	index    index
}

// turn is a reader of the recording, for one at a time: nobody who jumps waits for who looks
// along the time line.
type turn struct {
	sync.Mutex
	r *recordings.Reader
}

// whole is a replay with what the page says beside it.
type whole struct {
	api.Replay
	Target string `json:"target"`
	Signer string `json:"signer"`
}

// Open opens its port. Of the recording it reads how much there is, which heads alone tell: a
// long one opens as quickly as a short one. Serve reads the rest, beside what is asked for.
func Open(ctx context.Context, cfg Config) (*Player, error) {
	p := &Player{cfg: cfg, root: "/" + strings.ToLower(rand.Text()), parts: turn{r: cfg.Recording}}
	err := p.prepare(ctx)
	if err != nil {
		return nil, errors.Join(err, p.letGo())
	}
	p.URL = "http://" + p.Address() + p.root + "/"
	return p, nil
}

func (p *Player) prepare(ctx context.Context) (err error) {
	if p.length, err = p.cfg.Recording.Length(); err != nil {
		return err
	}
	if p.thumbs.r, err = p.cfg.Recording.Again(); err != nil {
		return err
	}
	if p.index.src, err = p.cfg.Recording.Again(); err != nil {
		return err
	}
	var lc net.ListenConfig
	if p.listener, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return session.Errorf(session.Internal, "No port on 127.0.0.1 can be opened for the player: %w", err).
			WithNext("Take pictures instead: sallyport recordings export --format contact-sheet.")
	}
	p.pages, err = web.New("http://" + p.Address())
	return err
}

// letGo frees what was opened here; the recording itself is its owner's.
func (p *Player) letGo() (err error) {
	for _, r := range []*recordings.Reader{p.thumbs.r, p.index.src} {
		if r != nil {
			err = errors.Join(err, r.Close())
		}
	}
	if p.listener != nil {
		if e := p.listener.Close(); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// overview is what a page knows now.
func (p *Player) overview() replay.Overview {
	x := replay.Overview{Started: p.cfg.Recording.Header().Started, Length: p.length, Index: p.index.now()}
	switch {
	case x.Broken != "":
		x.Segments, x.At = x.Parts, x.Read
	case x.Whole: // where it is written meanwhile, more was there than there had been
		x.Segments, x.At = max(x.Segments, x.Parts), max(x.At, x.Read)
	}
	return x
}

// Address is where the player listens.
func (p *Player) Address() string { return p.listener.Addr().String() }

// Serve plays until ctx ends. It is called once.
func (p *Player) Serve(ctx context.Context) (err error) {
	reading, cancel := context.WithCancel(ctx)
	var read sync.WaitGroup
	read.Go(func() { p.index.read(reading) })
	defer func() {
		cancel()
		read.Wait()
		err = errors.Join(err, p.letGo())
	}()
	s := &http.Server{Handler: p.handler(), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, MaxHeaderBytes: maxHeader}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		_ = s.Close() // a page that is left open has nothing to lose
	})
	err = s.Serve(p.listener)
	if !stop() {
		<-over
	}
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (p *Player) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+p.root+"/{$}", func(w http.ResponseWriter, _ *http.Request) { p.pages.Player(w) })
	mux.HandleFunc("GET "+p.root+"/replay", func(w http.ResponseWriter, _ *http.Request) {
		h := p.cfg.Recording.Header()
		target := session.Target{Site: h.Site, Asset: h.Asset, Service: h.Service}
		answer(w, whole{api.ReplayOf(h.Recording, p.overview(), "UTC"), target.String(), p.cfg.Signer}, nil)
	})
	mux.HandleFunc("GET "+p.root+"/replay/{n}", func(w http.ResponseWriter, r *http.Request) { p.part(w, r.PathValue("n"), false) })
	mux.HandleFunc("GET "+p.root+"/replay/at/{n}", func(w http.ResponseWriter, r *http.Request) { p.part(w, r.PathValue("n"), true) })
	mux.HandleFunc("GET "+p.root+"/replay/thumb/{n}", p.thumb)
	mux.Handle("GET /static/", p.pages)
	mux.Handle("GET /doors.svg", p.pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // the page has its own
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Host != p.Address() { // a name that was rebound to this address
			http.Error(w, "not here", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// part answers with a segment, or with the one at which a player begins that shows a moment.
func (p *Player) part(w http.ResponseWriter, which string, moment bool) {
	known := p.overview()
	at, err := strconv.ParseInt(which, 10, 64)
	if err != nil || at < 0 || !moment && at >= int64(known.Segments) {
		http.Error(w, "there is no such part", http.StatusNotFound)
		return
	}
	p.parts.Lock()
	defer p.parts.Unlock()
	n, back := uint32(at), 1
	if moment {
		if n, err = p.parts.r.Find(at); err != nil {
			answer(w, nil, err)
			return
		}
		n, back = min(n, max(known.Segments, 1)-1), maxBack
	}
	scene, err := replay.SceneFrom(p.parts.r, n, back)
	part := replay.PartOf(scene, known.Channels)
	if p.cfg.Typed {
		part.Events = slices.Concat(part.Events, pointed(scene.Events))
		slices.SortStableFunc(part.Events, func(a, b replay.Event) int { return cmp.Compare(a.At, b.At) })
	}
	answer(w, api.PartOf(part), err)
}

// pointed is where the pointer went, of what was typed and opened.
func pointed(all []session.Event) (out []replay.Event) {
	for _, e := range all {
		if e.Kind != session.Input {
			continue
		}
		if in, err := frames.ParseInput(e.Data); err == nil && in.Kind == frames.Pointer {
			out = append(out, replay.Event{At: e.At, Stream: e.Stream, Kind: string(rune(e.Kind)), Data: base64.StdEncoding.EncodeToString(e.Data)})
		}
	}
	return out
}

func (p *Player) thumb(w http.ResponseWriter, r *http.Request) {
	at, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || at < 0 {
		http.Error(w, "there is no such moment", http.StatusNotFound)
		return
	}
	p.thumbs.Lock()
	defer p.thumbs.Unlock()
	b, err := screen.ThumbAt(p.thumbs.r, at, thumbSide)
	if err != nil {
		http.Error(w, "nothing was shown then", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(b)
}

// answer writes JSON, or what is wrong in words, as the broker does.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		v = map[string]string{"kind": string(session.KindOf(err)), "message": fmt.Sprintf("This part of the recording cannot be read: %.300s", err), "next": "See where it breaks: sallyport recordings verify."}
		w.WriteHeader(http.StatusInternalServerError)
	}
	_ = json.NewEncoder(w).Encode(v)
}
