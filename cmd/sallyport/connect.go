package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/desktop"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
)

func (p *program) connectCommand() *cobra.Command {
	listen := "127.0.0.1:0"
	c := p.signed(&cobra.Command{
		Use:   "connect SITE/ASSET/SERVICE",
		Short: "Look at a console with a VNC viewer of this machine",
		Long: `Look at a scanner's console with a VNC viewer of this machine. A port on this machine
is opened for viewers, with a password that is made for this time; both are printed.
It is served until Ctrl-C, or until the session is over. What passes is encrypted
between this machine and the hospital's agent: the broker reads none of it.

The site may be left out while the name is one scanner's only. With -o json one line
is printed: {"listen": "127.0.0.1:N", "password": "..."}.`,
		Example: `  sallyport connect NGH/NGH-PETCT1/console-vnc
  sallyport connect NGH-PETCT1/console-vnc --listen 127.0.0.1:5999 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.targets(),
	}, func(ctx context.Context, who signedIn, args []string) error {
		return p.connect(ctx, who, args[0], listen)
	})
	c.Flags().StringVar(&listen, "listen", listen, "where viewers of this machine connect; port 0 is any that is free")
	return c
}

// connected is what a script reads.
type connected struct {
	Listen   string `json:"listen"`
	Password string `json:"password"`
}

func (p *program) connect(ctx context.Context, who signedIn, target, listen string) error {
	typed, err := session.ParseTarget(target)
	if err != nil {
		return err
	}
	access, of, err := p.entry(ctx, who, typed)
	if err != nil {
		return err
	}
	if err := showsScreen(ctx, who, of); err != nil {
		return err
	}
	inner, key, err := both(who, of.Site, access.Request)
	if err != nil {
		return err
	}
	d := &distant{p: p, who: who, to: api.Attach{Site: of.Site, Asset: of.Asset, Service: of.Service, Inside: true},
		inner: inner, proof: attach.Proof{Session: access.Session, Opening: attach.ConsoleOpening()}, key: key}
	return p.serveViewers(ctx, d, listen, of.String(), func(ctx context.Context) error {
		_, _, err := p.entry(ctx, who, of)
		return err
	})
}

// both are how the agent of a site is known, and the key of a request by which it knows the
// engineer.
func both(who signedIn, site, request string) (inner *tls.Config, key crypto.Signer, err error) {
	if err := keyed(who, request); err != nil {
		return nil, nil, err
	}
	bundle, err := who.bundle(site)
	if err != nil {
		return nil, nil, err
	}
	identity, err := session.ParseKeyLine(bundle.Identity)
	if err != nil {
		return nil, nil, err
	}
	key, err = who.home.PrivateKey(request)
	return attach.InnerClient(identity), key, err
}

// showsScreen refuses a service that shows no screen.
func showsScreen(ctx context.Context, who signedIn, of session.Target) error {
	protocol, err := speaks(ctx, who, of)
	if err == nil && !protocol.Shows() {
		err = session.Errorf(session.Invalid, "%s is no console: it speaks ssh", of.String()).WithNext("Use: sallyport ssh " + of.String())
	}
	return err
}

// speaks is the protocol of a service.
func speaks(ctx context.Context, who signedIn, of session.Target) (session.Protocol, error) {
	alike, err := assetsOf(ctx, who, of)
	if err != nil {
		return "", err
	}
	_, services, err := findAsset(alike, of, []string{of.Service})
	if err != nil || len(services) == 0 {
		return "", err
	}
	return services[0].Protocol, nil
}

// serveViewers serves viewers of this machine until ctx ends or the session does. may is
// asked now and then whether there is a session still.
func (p *program) serveViewers(ctx context.Context, d *distant, listen, what string, may func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.over = stop
	port, err := desktop.New(desktop.Config{Listen: listen, Open: d.open, Failed: func(err error) {
		if session.KindOf(err) == session.Denied || session.KindOf(err) == session.Expired {
			stop(err)
		}
		p.warn("%s", err)
	}})
	if err != nil {
		return err
	}
	answer := connected{port.Address(), port.Password()}
	if p.asJSON() { // one line, for scripts that read one
		if err := json.NewEncoder(p.stdout).Encode(answer); err != nil {
			return err
		}
	} else {
		p.print("Point a VNC viewer at %s", answer.Listen)
		p.print("Password: %s", answer.Password)
		p.say("%s is served until you press Ctrl-C or the session is over.", what)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		p.watchAccess(ctx, stop, may)
	}()
	err = port.Serve(ctx)
	<-asked
	if why := (*session.Error)(nil); err == nil && errors.As(context.Cause(ctx), &why) && why.Kind != "" {
		if errors.Is(why, errSessionOver) {
			return nil // in the agent's words, which were shown
		}
		return why
	}
	return err
}

// errSessionOver is a session that ended while it was looked at.
var errSessionOver = session.Errorf(session.Expired, "The session is over.")

// watchAccess ends what is served when there is no session any more. What cannot be asked
// just now goes on: the agent keeps its own limits.
func (p *program) watchAccess(ctx context.Context, stop context.CancelCauseFunc, may func(context.Context) error) {
	every := time.NewTicker(accessEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := may(ctx)
		if kind := session.KindOf(err); kind == session.Denied || kind == session.Expired {
			stop(err)
			return
		}
	}
}

// distant is a console as it is reached through the broker.
type distant struct {
	p     *program
	who   signedIn
	to    api.Attach
	inner *tls.Config
	proof attach.Proof
	key   crypto.Signer
	over  context.CancelCauseFunc
	lines sync.Once   // of whoever sits at this machine
	typed chan string // once they are read; nil where nobody was asked
}

// open attaches to the console, as often as a viewer comes.
func (d *distant) open(ctx context.Context) (io.ReadWriteCloser, error) {
	conn, client, err := d.attach(ctx)
	if err != nil {
		return nil, err
	}
	return reached{&attach.Stream{Client: client, Told: d.told}, conn}, nil
}

// attach proves the key to the agent itself.
func (d *distant) attach(ctx context.Context) (net.Conn, *attach.Client, error) {
	conn, client, err := inside(ctx, d.who, d.to, d.inner)
	if err != nil {
		return nil, nil, err
	}
	begun, cancel := context.WithCancel(ctx)
	defer cancel()
	client.Told = func(n attach.Notice) {
		d.p.warn("%s", n.Text)
		if n.Type == attach.NoticeCode {
			go d.code(begun, client)
		}
	}
	if _, err := client.Begin(d.key, d.proof); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, client, nil
}

// code sends the agent what is typed here: the code that the operator reads out. The broker
// sees none of it. Nothing is sent where nobody types, and the operator can accept instead.
func (d *distant) code(ctx context.Context, agent *attach.Client) {
	d.lines.Do(func() {
		d.typed = make(chan string)
		go func() {
			lines := bufio.NewScanner(io.LimitReader(d.p.stdin, maxTyped))
			for lines.Scan() {
				d.typed <- lines.Text()
			}
		}()
	})
	d.p.warn("Code:")
	for {
		select {
		case <-ctx.Done():
			return
		case code := <-d.typed:
			if code = strings.TrimSpace(code); code == "" || len(code) > attach.MaxCode {
				continue
			}
			_ = agent.Send(attach.TypeCode, []byte(code)) // whoever reads sees that it failed
			return
		}
	}
}

// inside reaches the agent itself, which is known by its key, and is challenged there.
func inside(ctx context.Context, who signedIn, to api.Attach, inner *tls.Config) (net.Conn, *attach.Client, error) {
	raw, err := who.broker.Attach(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	conn := tls.Client(raw, inner)
	within, cancel := context.WithTimeout(ctx, innerTime)
	defer cancel()
	if err := conn.HandshakeContext(within); err != nil {
		_ = raw.Close()
		return nil, nil, session.Errorf(session.Unreachable, "The hospital's agent could not be reached safely: %w", err).
			WithNext("Try again; if it stays so, ask the hospital for its trust bundle again, and tell whoever runs the broker.")
	}
	client, err := attach.NewClient(conn)
	if err != nil {
		_ = conn.Close()
	}
	return conn, client, err
}

// told passes on what the agent says while a viewer looks.
func (d *distant) told(n attach.Notice) {
	switch n.Type {
	case attach.NoticeMasked:
		switch n.Masked {
		case attach.MaskedSome:
			d.p.warn("The hospital hides part of this screen.")
		case attach.MaskedAll:
			d.p.warn("The hospital hides all of this screen, because it knows no rule for its size.")
		}
	case attach.NoticeUnseen:
		d.p.warn("%s", n.Text)
		d.over(errSessionOver)
	case attach.NoticeEnded:
		d.p.warn("%s", n.Text)
		if n.Reason != session.Completed && n.Reason != session.DeviceClosed && n.Reason != session.Failed {
			d.over(errSessionOver)
		}
	default:
		if n.Text != "" {
			d.p.warn("%s", n.Text)
		}
	}
}

// reached is a console's RFB, and the connection below.
type reached struct {
	*attach.Stream
	conn io.Closer
}

func (r reached) Close() error { return r.conn.Close() }
