package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// directTCPIP is the payload of RFC 4254 section 7.2.
type directTCPIP struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// destination reads where a direct-tcpip channel wants to go: a service's host
// name, in any case, on port 22.
func destination(payload []byte) (session.Target, error) {
	var d directTCPIP
	if err := gossh.Unmarshal(payload, &d); err != nil {
		return session.Target{}, errors.New(wordsMalformed)
	}
	to, err := session.ParseHost(d.Host)
	if err != nil || d.Port != 22 {
		return session.Target{}, errors.New(wordsMalformed)
	}
	return to, nil
}

// join takes one of the connection's places for a stream. When it fails it says why.
func (v *visit) join() (words string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.over:
		return wordsOver, false
	case v.streams >= maxStreams:
		return wordsShortage, false
	}
	v.streams++
	v.running.Add(1)
	v.clock.Stop()
	return "", true
}

func (v *visit) part() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.streams--; v.streams == 0 && !v.over {
		v.clock.Reset(idleTime)
	}
	v.running.Done()
}

// direct serves one direct-tcpip channel: route, open, accept, relay. The order
// makes every failure readable: a channel that was accepted has no reason to give.
func (v *visit) direct(_ *ssh.Server, conn *gossh.ServerConn, nc gossh.NewChannel, ctx ssh.Context) {
	words, ok := v.join()
	if !ok {
		v.reject(nc, gossh.ResourceShortage, words, errors.New(words))
		return
	}
	defer v.part()
	defer v.survive()
	who, ok := ownerOf(conn)
	if !ok { // cannot be: nobody opens a channel unproven
		v.reject(nc, gossh.Prohibited, wordsFault, errors.New("a connection without an owner"))
		v.hangUp()
		return
	}
	to, err := destination(nc.ExtraData())
	if err != nil {
		v.reject(nc, gossh.Prohibited, err.Error(), err)
		return
	}
	log := v.log.With("user", who.engineer.Sub, "target", to.Host())
	route, stream, err := v.reach(ctx, who, to)
	if err != nil {
		code := gossh.Prohibited
		if k := session.KindOf(err); k == session.Unreachable || k == session.Internal {
			code = gossh.ConnectionFailed
		}
		v.reject(nc, code, wordsFor(err), fmt.Errorf("%s for %s: %w", to.Host(), who.engineer.Sub, err))
		return
	}
	defer stream.Close()
	defer v.note(stream, route.Site)()
	ch, reqs, err := nc.Accept()
	if err != nil {
		log.Info("engineer left before the stream was open", "err", err)
		return
	}
	v.running.Go(func() { v.refuseAll(reqs) })
	log = log.With("session", route.Session, "agent", route.Agent)
	log.Info("stream opened")
	up, down := relay(ctx, ch, stream)
	log.Info("stream closed", "sent", up, "received", down)
}

// reach asks whether the engineer may, and connects to the agent.
func (v *visit) reach(ctx context.Context, who owner, to session.Target) (Route, net.Conn, error) {
	asking, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	route, err := v.server.access.Route(asking, who.engineer, to)
	if err != nil {
		return Route{}, nil, err
	}
	opening, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	stream, err := v.server.streams.Open(opening, route.Site, route.Agent,
		link.Open{Asset: route.Asset, Service: route.Service, Peer: v.peer, By: who.engineer, Door: link.DoorSSH})
	if err != nil {
		return Route{}, nil, fmt.Errorf("open stream to %s: %w", route.Agent, err)
	}
	return route, stream, nil
}

// refuseAll refuses what is asked within a stream; there is nothing to ask.
func (v *visit) refuseAll(reqs <-chan *gossh.Request) {
	for req := range reqs {
		enough := v.refused("channel request", req.Type, errors.New(wordsOther))
		if req.WantReply {
			_ = req.Reply(false, nil)
		}
		if enough {
			v.hangUp()
		}
	}
}

// relay copies both ways until both are done, one fails or ctx ends. An end of
// file passes on as one; what the engineer still sends after the agent's end is
// over has lingerTime to come to its own end.
func relay(ctx context.Context, ch gossh.Channel, stream net.Conn) (up, down int64) {
	closeBoth := func() {
		_ = ch.Close()
		_ = stream.Close()
	}
	defer closeBoth()
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()

	var upwards sync.WaitGroup
	upwards.Go(func() {
		var err error
		if up, err = pass(stream, ch); err == nil {
			err = closeWrite(stream)
		}
		if err != nil {
			closeBoth()
		}
	})
	var err error
	if down, err = pass(ch, stream); err == nil {
		err = ch.CloseWrite()
	}
	if err != nil {
		closeBoth()
	}
	linger := time.AfterFunc(lingerTime, closeBoth)
	defer linger.Stop()
	upwards.Wait()
	return up, down
}

// pass copies with a buffer of our size, whatever shortcuts the ends offer.
func pass(to io.Writer, from io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relayBuffer))
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
