// Package doctor looks an agent over and names what is wrong in plain words, each
// fault with the next step. It changes nothing, takes no lock, and prints no secret,
// so it may run beside the running agent. It is told everything by its caller: it
// reads no configuration of its own.
package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/agent/device"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/wording"
)

// Result is how one check went.
type Result string

const (
	OK   Result = "ok"
	Warn Result = "warn"
	Fail Result = "fail"
)

// Check is one line of a report.
type Check struct {
	Name   string `json:"name"` // "tls broker", "device NGH-PETCT1/recon-ssh"
	Result Result `json:"result"`
	Says   string `json:"says"`           // one sentence
	Next   string `json:"next,omitempty"` // what to do; empty when all is well
}

// Report is what the doctor found, in the order in which things depend on each other.
type Report struct {
	Checks []Check `json:"checks"`
	// Ask is what the hospital's IT must allow, when something of the network failed.
	Ask []string `json:"ask,omitempty"`
}

// Failed reports whether any check failed.
func (r Report) Failed() bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Result == Fail })
}

// Subject is an agent as its parts stand on disk. What could not be read is nil, and
// its error says why.
type Subject struct {
	State       string // directory
	Private     []string
	Identity    string // fingerprint of the long-lived key
	IdentityErr error
	Issued      *link.Issued
	IssuedErr   error
	Hello       func() link.Hello // as the agent would say it
	Nodes       []link.Node
	Issuers     []session.Issuer
	Devices     []device.Target
	Readings    []Reading // of what says how the scanners stand
}

// Reading is what one source of a scanner's state says, or how its lamp does.
type Reading struct {
	Asset, Source string
	State         session.ModalityState
	Says          string
	Needed        bool // nothing opens without it
}

// Options steer an examination.
type Options struct {
	Login bool // log in to each device, and out at once
	// Running is how the running agent's link stands; nil when no agent runs.
	Running *Running
	Now     func() time.Time
	// Resolve, Dial and Space are the network and the disk; nil means the real ones.
	Resolve func(ctx context.Context, host string) ([]string, error)
	Dial    func(ctx context.Context, address string) (net.Conn, error)
	Proxy   *proxy.Dialer // nil: the broker and the issuers are reached directly
	Space   func(dir string) (free, total uint64, err error)
}

// Running is what the running agent says of itself.
type Running struct {
	Up    bool
	Since time.Time
}

// Limits.
const (
	skewLimit  = idtoken.MaxSkew
	atOnce     = 8 // devices tried side by side
	renewAfter = link.CertificateTime / 2
)

// checkup is one run of the doctor.
type checkup struct {
	p       Subject
	o       Options
	report  Report
	clocked bool // some clock has been compared
}

// Examine runs every check that can be run. It takes as long as the slowest device.
func Examine(ctx context.Context, p Subject, o Options) Report {
	x := &checkup{p: p, o: o.filled()}
	x.stateDir()
	x.disk()
	x.identity()
	x.certificate()
	for _, n := range p.Nodes {
		x.node(ctx, n)
	}
	for _, iss := range p.Issuers {
		x.issuer(ctx, iss)
	}
	if !x.clocked {
		x.add("clock", Warn, "The clock could not be compared with anybody's.", "Mend the network first, then run this again.")
	}
	x.ask()
	x.readings()
	x.devices(ctx)
	return x.report
}

// filled has the real clock, network and disk where nothing else was given.
func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	if o.Space == nil {
		o.Space = durable.Space
	}
	return o
}

func (x *checkup) add(name string, r Result, says, next string) {
	x.report.Checks = append(x.report.Checks, Check{Name: name, Result: r, Says: says, Next: next})
}

// identity checks the long-lived key.
func (x *checkup) identity() {
	if x.p.IdentityErr != nil {
		says, next := plain(x.p.IdentityErr, "Restore identity.key from a backup, or enrol anew and hand out a new trust bundle.")
		x.add("identity key", Fail, says, next)
		return
	}
	x.add("identity key", OK, "The identity key is "+x.p.Identity+".", "")
}

// certificate checks the link's certificate by the calendar.
func (x *checkup) certificate() {
	const name = "certificate"
	again := "Enrol the agent again with a new join token: sallyport-agent enrol."
	if x.p.IssuedErr != nil || x.p.Issued == nil {
		says, next := plain(x.p.IssuedErr, again)
		x.add(name, Fail, says, next)
		return
	}
	pair, err := x.p.Issued.Certificate()
	block, _ := pem.Decode([]byte(x.p.Issued.CertPEM))
	if err != nil || block == nil {
		x.add(name, Fail, "The link's certificate and key do not belong together.", again)
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		x.add(name, Fail, "The link's certificate cannot be read.", again)
		return
	}
	now, ends := x.o.Now(), leaf.NotAfter.UTC()
	left := ends.Sub(now)
	switch {
	case left <= 0:
		x.add(name, Fail, fmt.Sprintf("The link's certificate expired at %s.", ends.Format(time.RFC3339)), again)
	case now.Before(leaf.NotBefore):
		x.add(name, Fail, fmt.Sprintf("The link's certificate begins only at %s: this machine's clock is behind.", leaf.NotBefore.UTC().Format(time.RFC3339)), "Set the clock, by NTP if the hospital has it.")
	case left < renewAfter/2:
		x.add(name, Warn, fmt.Sprintf("The link's certificate expires at %s and should have been renewed by now.", ends.Format(time.RFC3339)), "Let the agent reach the broker before then; after that it must be enrolled again.")
	default:
		x.add(name, OK, fmt.Sprintf("The link's certificate is valid until %s.", ends.Format(time.RFC3339)), "")
	}
}

// clock compares ours with somebody's; ahead is ours minus theirs.
func (x *checkup) clock(whose string, ahead time.Duration) {
	x.clocked = true
	name := "clock against " + whose
	if ahead.Abs() <= skewLimit {
		x.add(name, OK, fmt.Sprintf("The clocks differ by %s.", ahead.Abs().Round(time.Second)), "")
		return
	}
	way := "behind"
	if ahead > 0 {
		way = "ahead"
	}
	x.add(name, Fail, fmt.Sprintf("This machine's clock is %s %s; no session opens above %s.", ahead.Abs().Round(time.Second), way, skewLimit),
		"Set the clock, by NTP if the hospital has it. If it is right, tell the other side.")
}

// plain is an error as a person reads it: without details that may hold secrets.
func plain(err error, otherwise string) (says, next string) {
	var e *session.Error
	if errors.As(err, &e) {
		says, next = e.Message, e.Next
	} else if err != nil {
		says = strings.ToUpper(err.Error()[:1]) + err.Error()[1:]
	} else {
		says = "It is missing"
	}
	return wording.Sentence(says), cmp.Or(next, otherwise)
}
