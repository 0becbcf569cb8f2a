package broker

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/notify"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

// basket is a mailer that keeps what it is given.
type basket struct{ sent chan notify.Mail }

func (b *basket) Send(_ context.Context, m notify.Mail) error { b.sent <- m; return nil }

// Whatever somebody types freely, whatever happens to the request: no mail has it.
func TestMailsCarryNoFreeText(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	st, err := store.Open(t.Context(), store.Config{URL: "redis://" + server.Addr(), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	mails := &basket{sent: make(chan notify.Mail, 10)}
	office, err := notify.New(notify.Config{URL: "https://broker.example", Mailer: mails, Documents: st, Queue: st,
		Approvers: map[string][]string{"NGH": {"maya@northfield.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- office.Run(ctx) }()
	defer func() { cancel(); <-done }()
	person := func(name string) session.Person {
		return session.Person{Identity: session.Identity{Iss: "https://idp.example", Sub: name}, Email: name + "@idp.example", Name: name}
	}
	rapid.Check(t, func(rt *rapid.T) {
		marker := "Erika Mustermann " + rapid.StringMatching(`[A-Za-zäöü0-9 .,:;/<>&=\r\n-]{0,40}`).Draw(rt, "typed")
		now := time.Now()
		id := session.NewID()
		r := access.Request{ID: id.Request(), Site: "NGH", Asset: "NGH-PETCT1", Services: []string{"recon-ssh"}, Channels: []session.Channel{session.Shell},
			Class: session.NonDisruptive, NotBefore: now, NotAfter: now.Add(time.Hour), MaxSeconds: 1800, Reason: marker, WorkOrder: marker,
			Engineer: person("jana"), DeniedBy: person("maya").Email, DenyReason: marker, RevokedBy: person("maya").Email, RevokeWhy: marker,
			Proposal: &access.Proposal{From: now, Until: now.Add(time.Hour), Reason: marker, By: person("maya").Email}, Missing: []string{marker}}
		if rapid.Bool().Draw(rt, "extension") {
			r.Extends = session.NewID().Session()
		}
		what := rapid.SampledFrom([]string{access.NoticeAsked, access.NoticeApproved, access.NoticeDenied, access.NoticeProposed, access.NoticeRevoked}).Draw(rt, "what")
		server.FastForward(time.Hour) // no limit of mails here
		notices{office}.Notify(t.Context(), access.Notice{What: what, ID: id, Request: r, By: person("maya"), Now: now})
		m := <-mails.sent
		whole := strings.ToLower(m.To + "\n" + m.Subject + "\n" + m.Text)
		for _, word := range []string{"erika", "mustermann"} {
			if strings.Contains(whole, word) {
				rt.Fatalf("%s: a mail says %q:\n%s", what, word, m.Text)
			}
		}
		if rest := strings.TrimSpace(strings.TrimPrefix(marker, "Erika Mustermann ")); len(rest) > 12 && strings.Contains(whole, strings.ToLower(rest)) {
			rt.Fatalf("%s: a mail says %q:\n%s", what, rest, m.Text)
		}
		if want := map[bool]string{true: "maya@northfield.example", false: "jana@idp.example"}[what == access.NoticeAsked]; m.To != want {
			rt.Fatalf("%s goes to %s", what, m.To)
		}
	})
}

func TestNotifyConfiguration(t *testing.T) {
	password, err := secret.Parse("file:/run/p")
	if err != nil {
		t.Fatal(err)
	}
	good := func() *Notify {
		return &Notify{From: "Sallyport <s@x.example>", SMTP: &SMTP{Host: "mail.x.example", User: "u", Password: password}, Approvers: map[string][]string{"NGH": {"a@b.example"}}}
	}
	check := func(n *Notify) (wrong []string) {
		n.validate(func(path string, ok bool, _ string) {
			if !ok {
				wrong = append(wrong, path)
			}
		})
		return wrong
	}
	n := good()
	if wrong := check(n); wrong != nil || n.SMTP.Port != 587 || n.SMTP.TLS != notify.StartTLS {
		t.Errorf("%v %+v", wrong, n.SMTP)
	}
	for path, change := range map[string]func(*Notify){
		"$.notify.from":             func(n *Notify) { n.From = "x\r\nBcc: y@z" },
		"$.notify":                  func(n *Notify) { n.Directory = "/both" },
		"$.notify.approvers.NGH[0]": func(n *Notify) { n.Approvers["NGH"] = []string{"A <a@b>"} },
		"$.notify.approvers.N H":    func(n *Notify) { n.Approvers["N H"] = nil },
		"$.notify.smtp.host":        func(n *Notify) { n.SMTP.Host = "" },
		"$.notify.smtp.port":        func(n *Notify) { n.SMTP.Port = 70000 },
		"$.notify.smtp.tls":         func(n *Notify) { n.SMTP.TLS, n.SMTP.User, n.SMTP.Password = notify.None, "", secret.Reference{} },
		"$.notify.smtp.password":    func(n *Notify) { n.SMTP.Password = secret.Reference{} },
		"$.notify.directory":        func(n *Notify) { n.SMTP, n.Directory = nil, "relative" },
	} {
		n := good()
		change(n)
		if wrong := check(n); !slices.Contains(wrong, path) {
			t.Errorf("%s: found %v", path, wrong)
		}
	}
	n = good()
	n.SMTP = &SMTP{Host: "127.0.0.1", TLS: notify.None}
	if wrong := check(n); wrong != nil || n.SMTP.Port != 25 {
		t.Errorf("%v", wrong)
	}
}
