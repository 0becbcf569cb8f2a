package engine

import (
	"crypto/tls"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// zero is a ledger that hands out what nobody may take: the zero ticket.
type zero struct{ Ledger }

func (zero) ByKeyFor(string, string, string, time.Time) (ledger.Ticket, error) {
	return ledger.Ticket{}, nil
}

// The zero ticket is none, even if a ledger handed it out.
func TestZeroTicketIsRefused(t *testing.T) {
	if p, err := ticketOf(ledger.Ticket{}); p != nil || session.KindOf(err) != session.Denied {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := FromLedger(zero{}).Find("key", "a", "s", time.Now()); p != nil || session.KindOf(err) != session.Denied {
		t.Errorf("%v, %v", p, err)
	}
}

// New refuses what is incomplete.
func TestConfigIsComplete(t *testing.T) {
	full := Config{
		Tickets: FromLedger(zero{}), Lines: []Line{nil}, Protocol: func(string, string) session.Protocol { return session.SSH },
		Recordings: func(recordings.Header, recordings.Picture) (session.Recorder, error) { return nil, nil }, Report: func(link.SessionReport) {},
		Agent: "SHA256:x", Inner: new(tls.Config), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	}
	if _, err := New(full); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"tickets":    func(c *Config) { c.Tickets = nil },
		"lines":      func(c *Config) { c.Lines = nil },
		"protocol":   func(c *Config) { c.Protocol = nil },
		"agent":      func(c *Config) { c.Agent = "" },
		"inner":      func(c *Config) { c.Inner = nil },
		"recordings": func(c *Config) { c.Recordings = nil },
		"report":     func(c *Config) { c.Report = nil },
		"log":        func(c *Config) { c.Log = nil },
		"now":        func(c *Config) { c.Now = nil },
	} {
		c := full
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("an engine without %s", name)
		}
	}
}
