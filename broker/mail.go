package broker

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/notify"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

// Notify says how people are told by e-mail, and which approvers.
type Notify struct {
	From      string              `yaml:"from"`                // "Sallyport <sallyport@example.org>"
	SMTP      *SMTP               `yaml:"smtp,omitempty"`      // a mail server, or
	Directory string              `yaml:"directory,omitempty"` // one .eml file for each mail
	Approvers map[string][]string `yaml:"approvers"`           // addresses by site
}

// SMTP is a mail server.
type SMTP struct {
	Host     string           `yaml:"host"`
	Port     int              `yaml:"port,omitempty"` // default 587, with implicit TLS 465, without TLS 25
	User     string           `yaml:"user,omitempty"`
	Password secret.Reference `yaml:"password,omitempty"` // file:/path, env:NAME or credential:NAME
	TLS      notify.Security  `yaml:"tls,omitempty"`      // starttls (default), implicit, or none on loopback
	CA       string           `yaml:"ca,omitempty"`       // file of certificates; default the system's
}

// validate reports what cannot be used, and fills in what was left out.
func (n *Notify) validate(require func(path string, ok bool, problem string)) {
	const at = "$.notify"
	require(at+".from", notify.CheckSender(n.From) == nil, "the sender is an address, or a name and an address: Sallyport <sallyport@example.org>")
	require(at, (n.SMTP == nil) != (n.Directory == ""), "mail goes to a server (smtp) or into files (directory)")
	require(at+".directory", n.Directory == "" || filepath.IsAbs(n.Directory), "the directory is an absolute path")
	for site, all := range n.Approvers {
		path := at + ".approvers." + site
		require(path, session.ValidName(site), "approvers are listed by the name of their site")
		require(path, len(all) <= maxApproverMails, fmt.Sprintf("at most %d approvers of a site are written to", maxApproverMails))
		for i, a := range all {
			require(fmt.Sprintf("%s[%d]", path, i), notify.ValidAddress(a), "an approver is a plain e-mail address")
		}
	}
	if s := n.SMTP; s != nil {
		s.validate(at+".smtp", require)
	}
}

func (s *SMTP) validate(at string, require func(path string, ok bool, problem string)) {
	if s.TLS == "" {
		s.TLS = notify.StartTLS
	}
	port := map[notify.Security]int{notify.StartTLS: 587, notify.Implicit: 465, notify.None: 25}
	if s.Port == 0 {
		s.Port = port[s.TLS]
	}
	require(at+".host", s.Host != "", "the mail server has a name")
	require(at+".tls", port[s.TLS] != 0, "the way to the mail server is starttls, implicit or none")
	require(at+".tls", s.TLS != notify.None || session.Loopback(s.Host) && s.User == "", "mail goes without TLS to this machine only, and without a password")
	require(at+".port", s.Port > 0 && s.Port < 1<<16, "a port is a number up to 65535")
	require(at+".password", (s.User == "") == s.Password.IsZero(), "user and password go together")
}

// newOffice makes the room that writes mails; nil without a configuration.
func newOffice(cfg Config, b *Broker) (*notify.Office, error) {
	n := cfg.Notify
	if n == nil {
		return nil, nil
	}
	var mailer notify.Mailer = &notify.Directory{From: n.From, Path: n.Directory}
	if s := n.SMTP; s != nil {
		roots, err := s.roots()
		if err != nil {
			return nil, err
		}
		mailer = &notify.SMTP{From: n.From, Host: s.Host, Port: s.Port, User: s.User, Password: s.Password.Line, Security: s.TLS, Roots: roots}
	}
	return notify.New(notify.Config{URL: cfg.URL, Approvers: n.Approvers, Mailer: mailer, Documents: b.store, Queue: b.store, Now: time.Now, Log: b.log})
}

func (s *SMTP) roots() (*x509.CertPool, error) {
	if s.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, fmt.Errorf("read the mail server's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the mail server's CA: %s holds no certificate", s.CA)
	}
	return pool, nil
}

// notices hands what happens to requests to the room that writes mails. What people
// typed stays behind here.
type notices struct{ office *notify.Office }

// notifier is nil where nobody is written to.
func (b *Broker) notifier() access.Notifier {
	if b.mail == nil {
		return nil
	}
	return notices{b.mail}
}

// Missed implements access.Notifier.
func (n notices) Missed(ctx context.Context, request session.ID) ([]access.Unwritten, error) {
	missed, err := n.office.Missed(ctx, request)
	var all []access.Unwritten
	for _, m := range missed {
		who := access.ToEngineer
		if m.Event.ForApprovers() {
			who = access.ToApprovers
		}
		all = append(all, access.Unwritten{To: m.To, Who: who, Why: m.Why, At: m.At})
	}
	return all, err
}

// Notify implements access.Notifier.
func (n notices) Notify(ctx context.Context, x access.Notice) {
	r := x.Request
	out := notify.Notice{
		Request: x.ID, Site: r.Site, Asset: r.Asset, Services: r.Services, Channels: r.Channels, Class: r.Class, Work: r.WorkOrder,
		Engineer: r.Engineer, By: x.By,
		Terms: notify.Terms{From: r.NotBefore, Until: r.NotAfter, Longest: time.Duration(r.MaxSeconds) * time.Second, Now: x.Now},
	}
	extension := r.Extends != ""
	switch x.What {
	case access.NoticeAsked:
		out.Event = notify.Asked
		if extension {
			out.Event = notify.ExtensionAsked
		}
	case access.NoticeApproved:
		out.Event = notify.Approved
		if extension {
			out.Event = notify.Extended
		}
	case access.NoticeDenied:
		out.Event = notify.Denied
	case access.NoticeRevoked:
		out.Event = notify.Revoked
	case access.NoticeAlarm:
		if x.Section == nil {
			return // over in the meantime
		}
		out.Event = notify.Alarm
		out.Terms.From, out.Terms.Until = x.Section.Began.In(x.Now.Location()), x.Section.Until
	case access.NoticeProposed:
		if r.Proposal == nil {
			return // answered in the meantime
		}
		out.Event = notify.Proposed
		out.Terms.From, out.Terms.Until = r.Proposal.From, r.Proposal.Until
	default:
		return
	}
	n.office.Notify(ctx, out)
}
