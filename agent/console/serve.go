package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Controls is what the console can do. Kill returns after the device connections are
// closed; its errors are *session.Error, Invalid for a session that does not live.
type Controls interface {
	Status() Status
	Kill(t Target) (Killed, error)
	// Freeze returns when nothing of the engineer goes to the device any more; Thaw
	// lifts only what was frozen here.
	Freeze(t Target) (Frozen, error)
	Thaw(t Target) (Frozen, error)
}

// Serve answers on a unix socket at path, mode 0600, until ctx is done; then it removes
// the socket. A socket that a dead agent left is replaced, a living agent's is not.
func Serve(ctx context.Context, path string, c Controls, s States, q Consents) error {
	l, err := listen(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, c.Status()) })
	mux.HandleFunc("POST /kill", func(w http.ResponseWriter, r *http.Request) { take(w, r, parseTarget, c.Kill) })
	mux.HandleFunc("POST /freeze", func(w http.ResponseWriter, r *http.Request) { take(w, r, parseTarget, c.Freeze) })
	mux.HandleFunc("POST /thaw", func(w http.ResponseWriter, r *http.Request) { take(w, r, parseTarget, c.Thaw) })
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.States()) })
	mux.HandleFunc("POST /state", func(w http.ResponseWriter, r *http.Request) { take(w, r, parseSwitch, s.Set) })
	mux.HandleFunc("GET /consent", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, q.Asked()) })
	mux.HandleFunc("POST /consent", func(w http.ResponseWriter, r *http.Request) {
		take(w, r, parseAnswer, func(a Answer) (Answered, error) { return q.Answer(a, session.ByCommand) })
	})
	server := &http.Server{
		Handler: onlyHere(mux), ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: 5 * time.Second,
		MaxHeaderBytes: 8 << 10,
	}
	err = Until(ctx, server, func() error { return server.Serve(l) })
	_ = os.Remove(path)
	return err
}

// Until serves until ctx is done, and gives what is being answered a moment to end. The error
// is that of a server that ended by itself.
func Until(ctx context.Context, server *http.Server, serve func() error) error {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
	<-done
	return nil
}

// listen makes the socket under another name, closes it to others, and only then puts
// it in its place, so that nobody can use it in between.
func listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, session.Errorf(session.Refused, "Another agent answers on %s.", path).WithNext("Stop it first.")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, session.Errorf(session.Refused, "%s is there and is no socket.", path).WithNext("Remove it, or choose another path.")
	}
	private := filepath.Join(filepath.Dir(path), ".s"+rand.Text()[:6]) // short: paths of sockets are
	if len(private)+2 > maxPath || len(path) > maxPath {
		return nil, session.Errorf(session.Invalid, "The socket's path is too long.").WithNext("Choose one of fewer than 95 bytes.")
	}
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		_ = l.Close()
		return nil, err
	}
	return peersOnly{l}, nil
}

// peersOnly lets in the agent's own user and root.
type peersOnly struct{ *net.UnixListener }

func (p peersOnly) Accept() (net.Conn, error) {
	for {
		c, err := p.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if mine(c) {
			return c, nil
		}
		_ = c.Close()
	}
}

// onlyHere refuses requests that were meant for another host.
func onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host || r.Header.Get("Origin") != "" {
			problem(w, session.Errorf(session.Denied, "This is the agent's console, not a web server."))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		next.ServeHTTP(w, r)
	})
}

// take reads one request strictly, does it and answers.
func take[In, Out any](w http.ResponseWriter, r *http.Request, parse func([]byte) (In, error), do func(In) (Out, error)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		problem(w, session.Errorf(session.Invalid, "The request is too large or was cut off."))
		return
	}
	in, err := parse(body)
	if err != nil {
		problem(w, err)
		return
	}
	out, err := do(in)
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, http.StatusOK, out)
}

func problem(w http.ResponseWriter, err error) {
	p := Problem{Kind: session.Internal, Message: "The agent could not do it; its log has the details."}
	var e *session.Error
	if errors.As(err, &e) {
		p = Problem{Kind: e.Kind, Message: e.Message, Next: e.Next}
	}
	answer(w, p.Kind.Status(), p)
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
