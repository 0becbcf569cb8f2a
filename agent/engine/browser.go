package engine

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

// ServeBrowser serves one connection of an engineer's browser to a service of an asset
// until it ends, and closes nc; see package attach for what is said on it. The terminal
// at its other end may outlive it. peer is the engineer's network address as the broker
// tells it, for the record only. When ctx is cancelled the terminal ends as with Close.
func (e *Engine) ServeBrowser(ctx context.Context, asset, service, peer string, nc net.Conn) {
	sock := newSocket(nc, e.patience.stall)
	defer sock.kill()
	if !e.enter(sock) {
		return
	}
	defer e.leave(sock)
	early := context.AfterFunc(ctx, sock.kill)
	log := e.cfg.Log.With("target", plain(asset+"/"+service, 130))
	in := attach.NewReader(nc, attach.Browser)
	proof, p, err := e.prove(asset, service, nc, in)
	var s *seat
	if err == nil {
		s, err = e.sit(ctx, p, visitor{asset, service, peer, proof, sock})
	}
	early()
	if err != nil {
		log.Info("browser refused", "err", err)
		refuse(nc, err)
		return
	}
	defer context.AfterFunc(ctx, func() { s.c.stop(session.AgentLost, lastWords(session.AgentLost)) })()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(sock.write)
	defer sock.clear()
	err = s.listen(sock, in)
	s.leave(sock)
	select {
	case <-sock.last: // the writer closes it after the last word
	default:
		sock.kill()
	}
	log.Info("browser left", "err", err)
}

// enter counts a socket in, unless there are too many.
func (e *Engine) enter(sock *socket) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing || len(e.sockets) >= maxTotal {
		return false
	}
	e.sockets[sock] = struct{}{}
	return true
}

func (e *Engine) leave(sock *socket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sockets, sock)
}

// errSilent is no answer: there is nobody to refuse.
var errSilent = errors.New("the browser said nothing that could be read")

// prove challenges a browser and finds the permit of the key that it proves, as ssh's
// keys are found.
func (e *Engine) prove(asset, service string, nc net.Conn, in *attach.Reader) (attach.Proof, *permit, error) {
	if err := nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return attach.Proof{}, nil, err
	}
	agent := session.Fingerprint(e.cfg.Identity.Public().(ed25519.PublicKey))
	challenge, err := json.Marshal(attach.NewChallenge(agent, asset, service))
	if err != nil {
		return attach.Proof{}, nil, err
	}
	frame, err := attach.Append(nil, attach.Agent, attach.TypeChallenge, challenge)
	if err != nil {
		return attach.Proof{}, nil, err
	}
	if _, err := nc.Write(frame); err != nil {
		return attach.Proof{}, nil, errSilent
	}
	first, err := in.Read()
	if err != nil || first.Type != attach.TypeProof {
		return attach.Proof{}, nil, errSilent
	}
	proof, err := attach.ParseProof(first.Payload)
	if err == nil {
		err = proof.Verify(challenge, asset, service)
	}
	if err != nil {
		return attach.Proof{}, nil, err
	}
	p, err := e.rights.find(proof.Key, asset, service, e.cfg.Now())
	if err == nil && p.id.Session() != proof.Session {
		err = session.Errorf(session.Denied, "This browser's key belongs to another session.").
			WithNext("Open the terminal from that session's page.")
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	return proof, p, err
}

// refuse says why not. The words are those that ssh shows.
func refuse(nc net.Conn, err error) {
	if errors.Is(err, errSilent) {
		return
	}
	r := attach.Refused{Kind: session.KindOf(err), Message: words(err)}
	var e *session.Error
	if errors.As(err, &e) {
		bare := *e
		bare.Next = ""
		r.Message, r.Next = words(&bare), plain(e.Next, 200)
	}
	if b, err := attach.AppendJSON(nil, attach.Agent, attach.TypeRefused, r); err == nil {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write(b)
	}
}

// visitor is who wants to sit.
type visitor struct {
	asset, service, peer string
	proof                attach.Proof
	sock                 *socket
}

// sit gives a visitor the seat of its session and service, and makes it where there is
// none. One that is just ending is waited for.
func (e *Engine) sit(ctx context.Context, p *permit, v visitor) (*seat, error) {
	for {
		e.mu.Lock()
		if e.closing {
			e.mu.Unlock()
			return nil, session.Errorf(session.Unreachable, "The hospital's agent is stopping.").WithNext("Connect again in a moment.")
		}
		at := place{p.id, v.service}
		s, there := e.seats[at]
		if !there {
			s = newSeat()
			e.seats[at] = s
		}
		v.sock.seated = true
		e.mu.Unlock()
		if !there {
			s.err = e.furnish(ctx, s, p, v)
			close(s.ready)
		}
		<-s.ready // dialTime at most
		if s.err != nil {
			return nil, s.err
		}
		if s.take(v.sock, v.proof) == nil {
			if there {
				from := plain(v.peer, 100)
				s.note(session.Note{Kind: session.NoteReturned, From: from, Text: "The engineer's browser attached again from " + from + ", as the broker says."})
			}
			return s, nil
		}
		select {
		case <-s.gone:
		case <-time.After(2 * time.Second):
			return nil, errOver
		case <-v.sock.dead:
			return nil, errSilent
		}
	}
}

// furnish opens the connection of a new seat, as the first channel of an ssh does.
func (e *Engine) furnish(ctx context.Context, s *seat, p *permit, v visitor) error {
	at := place{p.id, v.service}
	s.p, s.term = p, v.proof.Term
	s.c = e.newConn(ctx, v.asset, v.service, v.peer, s)
	if s.c == nil {
		e.vacate(at, s)
		return session.Errorf(session.Refused, "The hospital's agent has too many connections.").WithNext("Try again in a moment.")
	}
	s.state.cols, s.state.rows = v.proof.Cols, v.proof.Rows
	s.state.screen = newScreen(v.proof.Cols, v.proof.Rows)
	s.c.seat = s
	err := s.c.admit(p)
	if err == nil {
		s.leg, err = s.c.open(p)
	}
	e.mu.Lock()
	if err == nil && !e.closing {
		e.work.Go(s.run)
		e.mu.Unlock()
		return nil
	}
	e.mu.Unlock()
	e.vacate(at, s)
	_ = s.Close()
	s.c.finish()
	s.state.screen.Close()
	if err == nil {
		err = errOver
	}
	return err
}

// unseat frees the place of a seat that is ending.
func (e *Engine) unseat(s *seat) { e.vacate(place{s.p.id, s.c.service}, s) }

func (e *Engine) vacate(at place, s *seat) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seats[at] == s {
		delete(e.seats, at)
	}
	close(s.gone)
}

// listen does what a browser asks until it is gone, or says what nobody may say.
func (s *seat) listen(sock *socket, in *attach.Reader) error {
	for {
		f, err := in.Read()
		if err == nil {
			err = s.handle(sock, f)
		}
		if err != nil {
			return err
		}
	}
}

var errStalled = errors.New("input did not fit")

// handle does one thing that a browser asks.
func (s *seat) handle(sock *socket, f attach.Frame) error {
	s.mu.Lock()
	p, mine := s.state.pane, s.state.sock == sock
	s.mu.Unlock()
	if !mine {
		return net.ErrClosed // taken; what comes after that counts for nothing
	}
	switch f.Type {
	case attach.TypeInput:
		if p != nil && !p.typed(f.Payload, sock) {
			return errStalled
		}
	case attach.TypeResize, attach.TypeStart:
		cols, rows, err := attach.Size(f.Payload)
		if err != nil {
			return err
		}
		if f.Type == attach.TypeResize {
			s.resize(cols, rows)
		} else {
			s.start(cols, rows)
		}
	case attach.TypeClose:
		s.c.stop(session.Completed, closeWords)
	case attach.TypePing:
		sock.pong(f.Payload)
	case attach.TypeFiles, attach.TypeData, attach.TypeEnd, attach.TypeCredit:
		return s.files(sock, f)
	default:
		return attach.ErrFrame
	}
	return nil
}
