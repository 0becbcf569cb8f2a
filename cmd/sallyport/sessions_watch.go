package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// watch is what somebody typed who wants to see a session.
type watch struct {
	service   string
	listen    string
	noBrowser bool
}

func (p *program) sessionsWatchCommand() *cobra.Command {
	w := watch{listen: "127.0.0.1:0"}
	c := about(p, session.ParseSessionID, p.sessions(true), &cobra.Command{
		Use:   "watch SESSION",
		Short: "See a live session as it is, without touching it",
		Long: `See a live session as it is, without touching it. You sign in at the hospital once more:
the hospital's agent checks that itself, and lets this machine watch this session for
15 minutes at a time. The engineer is told who watches.

A terminal is shown in yours until Ctrl-C. A console is served to a VNC viewer of this
machine, as "sallyport connect" does; with -o json one line is printed:
{"listen": "127.0.0.1:N", "password": "..."}.`,
		Example: `  sallyport sessions watch S-b2vf4wcjy55ti3642k675ilgia
  sallyport sessions watch S-b2vf4wcjy55ti3642k675ilgia --service console-vnc -o json`,
	}, func(ctx context.Context, who signedIn, id string) error {
		return p.watch(ctx, who, id, w)
	})
	f := c.Flags()
	f.StringVar(&w.service, "service", "", "which of its services (default: the one it began with)")
	f.StringVar(&w.listen, "listen", w.listen, "where viewers of this machine connect, for a console")
	f.BoolVar(&w.noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return c
}

func (p *program) watch(ctx context.Context, who signedIn, id string, w watch) error {
	if !who.has(session.Approver) && !who.has(session.Auditor) {
		return session.Errorf(session.Denied, "Only the hospital's approvers and auditors watch, and you are signed in as %s", rolesOrNone(who.login.Roles)).
			WithNext("Sign in with your account at the hospital: sallyport login --hint EMAIL")
	}
	s, err := p.live(ctx, who, id)
	if err != nil {
		return err
	}
	of := session.Target{Site: s.Site, Asset: s.Asset, Service: s.Service}
	protocol := s.Protocol
	if w.service != "" && w.service != s.Service {
		of.Service = w.service
		if protocol, err = speaks(ctx, who, of); err != nil {
			return err
		}
	}
	if protocol == session.SSH && p.asJSON() {
		return usage("A terminal is shown, and not served").WithNext("Leave -o json out.")
	}
	l, err := p.leave(who, s, w.noBrowser)
	if err != nil {
		return err
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() { defer close(renewed); l.keep(ctx) }()
	defer func() { stop(); <-renewed }()
	d := &distant{p: p, who: who, to: api.Attach{Site: of.Site, Asset: of.Asset, Service: of.Service, Watch: id, Inside: true},
		inner: l.inner, proof: attach.Proof{Session: id, Role: attach.RoleWatch, Opening: attach.ConsoleOpening()}, key: l.key}
	if protocol == session.SSH {
		return p.showTerminal(ctx, d)
	}
	return p.serveViewers(ctx, d, w.listen, of.String(), func(ctx context.Context) error {
		_, err := p.live(ctx, who, id)
		return err
	})
}

// live is a session that has not ended.
func (p *program) live(ctx context.Context, who signedIn, id string) (api.Session, error) {
	s, err := client.Session.Get(ctx, who.broker, id)
	switch {
	case err != nil:
		return s, err
	case s.Opened.IsZero():
		return s, session.Errorf(session.Refused, "%s has not begun", id).WithNext("See what it waits for: sallyport sessions show " + id)
	case s.State == session.Ended:
		next := "Look at its recordings."
		if len(s.Recordings) > 0 {
			next = "Look at its recording: sallyport recordings play " + s.Recordings[0]
		}
		return s, session.Errorf(session.Expired, "%s is over", id).WithNext(next)
	}
	return s, nil
}

// leave is what it takes to watch one session from here.
type leave struct {
	p      *program
	who    signedIn
	id     string
	key    ed25519.PrivateKey
	inner  *tls.Config
	signIn signInRequest
	until  time.Time
}

// leave makes a key for this time alone; it never is on the disk.
func (p *program) leave(who signedIn, s api.Session, noBrowser bool) (*leave, error) {
	bundle, err := who.bundle(s.Site)
	if err != nil {
		return nil, err
	}
	identity, err := session.ParseKeyLine(bundle.Identity)
	if err != nil {
		return nil, err
	}
	issuer, clientID, err := consoleOf(bundle, who.login.Person.Iss)
	if err != nil {
		return nil, err
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &leave{p: p, who: who, id: s.ID, key: key, inner: attach.InnerClient(identity), signIn: signInRequest{
		issuer: issuer, client: clientID, role: grant.RoleWatch, subject: grant.WatchSubject(s.ID), extra: grant.KeyHash(session.KeyLine(pub)),
		hint: who.hint(), config: who.config, noBrowser: noBrowser, what: "to watch",
	}}, nil
}

// renew signs in and hands the token in, by the broker, to the agent.
func (l *leave) renew(ctx context.Context) error {
	token, salt, _, err := l.p.prove(ctx, l.signIn)
	if err != nil {
		return err
	}
	line := session.KeyLine(l.key.Public().(ed25519.PublicKey))
	got, err := client.Watch.Post(ctx, l.who.broker, api.Activation{Key: line, Token: token, Salt: salt}, l.id)
	if err != nil {
		return err
	}
	l.until = got.Until
	return nil
}

// keep renews the leave before it is over. Where the person is signed in still, their
// identity provider asks nothing.
func (l *leave) keep(ctx context.Context) {
	for {
		timer := time.NewTimer(max(l.until.Sub(l.p.now())-renewBefore, time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := l.renew(ctx); err != nil {
			if ctx.Err() == nil {
				l.p.warn("You were not signed in again, so this view ends at %s: %s", l.p.local(l.until), explain(err).Message)
			}
			return
		}
	}
}

// showTerminal shows a terminal in this one, until either goes.
func (p *program) showTerminal(ctx context.Context, d *distant) error {
	conn, agent, err := d.attach(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	p.say("You watch; nothing that you type goes there. Ctrl-C leaves.")
	screen := display.NewFilter(p.stdout)
	defer func() { fmt.Fprint(p.stdout, display.Undo) }()
	for {
		f, err := agent.Read()
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch f.Type {
		case attach.TypeSnapshot:
			cols, rows, err := attach.Size(f.Payload)
			if err != nil {
				return err
			}
			fmt.Fprint(p.stdout, display.Undo+"\x1b[H\x1b[2J")
			_, _ = screen.Write(f.Payload[4:])
			if w, h, ok := p.window(); ok && (w < cols || h < rows) {
				p.aside(fmt.Sprintf("The engineer's terminal has %d columns and %d lines; make this one as large to see it right.", cols, rows))
			}
		case attach.TypeOutput:
			_, _ = screen.Write(f.Payload)
		case attach.TypeNotice:
			n, err := attach.ParseNotice(f.Payload)
			if err != nil {
				return err
			}
			if n.Text != "" {
				p.aside(n.Text)
			}
			if len(n.Shells) > 1 && n.Type == attach.NoticeShells {
				p.aside(fmt.Sprintf("There are %d shells; the one in which the engineer types is shown.", len(n.Shells)))
			}
		}
	}
}

// aside says something of ours amid a terminal that is shown.
func (p *program) aside(words string) {
	fmt.Fprintf(p.stdout, "\r\n\x1b[2m[%s]\x1b[0m\r\n", wording.Clean(words))
}

// window is the size of the person's terminal.
func (p *program) window() (cols, rows int, ok bool) {
	if f, isFile := p.stdout.(*os.File); isFile {
		w, h, err := term.GetSize(int(f.Fd()))
		return w, h, err == nil
	}
	return 0, 0, false
}
