package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"path/filepath"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/wording"
)

// Security is how the way to the mail server is protected.
type Security string

const (
	StartTLS Security = "starttls" // and nothing without it
	Implicit Security = "implicit"
	None     Security = "none" // for a server on this machine
)

// SMTP hands mails to a server.
type SMTP struct {
	From     string // an address, or a name with an address in angle brackets
	Host     string
	Port     int
	User     string
	Password func() (string, error) // read for each mail; nil without a user
	Security Security
	Roots    *x509.CertPool // nil: the system's
}

// Send implements Mailer.
func (s *SMTP) Send(ctx context.Context, m Mail) error {
	msg, err := message(s.From, m)
	if err != nil {
		return &Permanent{err}
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	var conn net.Conn
	if s.Security != Implicit { // there go-mail dials, to know that it is encrypted
		options = append(options, gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, address)
			conn = c
			return c, err
		}))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return fmt.Errorf("prepare for the mail server: %w", err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		if conn != nil {
			_ = conn.Close() // go-mail leaves it open when the greeting fails
		}
		return fmt.Errorf("reach the mail server: %w", err)
	}
	defer client.Close() // QUIT; the mail is accepted or not before that
	err = client.Send(msg)
	if err == nil || msg.IsDelivered() {
		return nil
	}
	var reply *gomail.SendError
	if errors.As(err, &reply) && reply.ErrorCode() >= 500 {
		return &Permanent{err}
	}
	return err
}

func (s *SMTP) options() ([]gomail.Option, error) {
	o := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(dialTime), gomail.WithoutNoop(),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}),
	}
	switch s.Security {
	case Implicit:
		o = append(o, gomail.WithSSL())
	case None:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.User == "" {
		return o, nil
	}
	password, err := s.Password()
	if err != nil {
		return nil, fmt.Errorf("read the mail server's password: %w", err)
	}
	return append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(password)), nil
}

// Directory writes each mail into a file of its own, for demonstrations and for
// systems that pick mail up there.
type Directory struct {
	From string
	Path string
}

// Send implements Mailer. The same mail again replaces its file.
func (d *Directory) Send(_ context.Context, m Mail) error {
	msg, err := message(d.From, m)
	if err != nil {
		return &Permanent{err}
	}
	var text bytes.Buffer
	if _, err := msg.WriteTo(&text); err != nil {
		return &Permanent{fmt.Errorf("write a mail: %w", err)}
	}
	if err := durable.MakeDir(d.Path); err != nil {
		return fmt.Errorf("make the mail directory: %w", err)
	}
	return durable.Show(filepath.Join(d.Path, m.Written.UTC().Format("20060102T150405Z")+"-"+m.ID[:16]+".eml"), text.Bytes())
}

// CheckSender refuses what cannot stand in From.
func CheckSender(from string) error {
	a, err := mail.ParseAddress(from)
	if err != nil || !ValidAddress(a.Address) || strings.ContainsAny(from, "\r\n\x00") || wording.Name(a.Name) != a.Name {
		return errors.New("a sender is an address, or a name and an address: Sallyport <sallyport@example.org>")
	}
	return nil
}

// message is a mail as it travels.
func message(from string, m Mail) (*gomail.Msg, error) {
	if !ValidAddress(m.To) || strings.ContainsAny(m.Subject, "\r\n\x00") || len(m.ID) < 32 {
		return nil, errors.New("the mail has a header that cannot be sent")
	}
	if err := CheckSender(from); err != nil {
		return nil, err
	}
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return nil, err
	}
	// As it is where it can be: links stay whole for whoever reads the file. go-mail writes
	// what it calls 7bit in quoted-printable all the same, and says 7bit.
	encoding := gomail.NoEncoding
	for line := range strings.Lines(m.Text) {
		if len(line) > mostLine || strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			encoding = gomail.EncodingQP
		}
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding))
	if err := errors.Join(msg.From(from), msg.To(m.To)); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	msg.Subject(m.Subject)
	msg.SetDateWithValue(m.Written)
	msg.SetMessageIDWithValue(m.ID[:32] + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	return msg, nil
}
