package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a store, a clock and a log that offices share.
type world struct {
	t      *testing.T
	server *miniredis.Miniredis
	store  *store.Store
	mu     sync.Mutex
	now    time.Time
	log    bytes.Buffer
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, server: miniredis.RunT(t), now: start}
	url := "redis://" + w.server.Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	var err error
	w.store, err = store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	w.must(err)
	t.Cleanup(func() { w.store.Close() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.server.FastForward(d)
}
func (w *world) Write(p []byte) (int, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.log.Write(p) }

func (w *world) office(m Mailer) *Office {
	w.t.Helper()
	o, err := New(Config{URL: "https://broker.example", Mailer: m, Documents: w.store, Queue: w.store, Now: w.clock,
		Approvers: map[string][]string{"NGH": {"maya@northfield.example", "elena@northfield.example"}}, Log: slog.New(slog.NewTextHandler(w, nil))})
	w.must(err)
	return o
}

// logged counts the log's lines with these words.
func (w *world) logged(words string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), words)
}

func (w *world) waiting() int {
	return len(w.mails())
}

// mails are those that wait, the one that is due first in the first place.
func (w *world) mails() []store.Doc {
	docs, _, err := w.store.Page(w.t.Context(), waitingKind, []string{due}, "", 0)
	w.must(err)
	return docs
}

func (w *world) notice(e Event) Notice {
	return Notice{
		Event: e, Request: session.NewID(), Site: "NGH", Asset: "NGH-PETCT1", Services: []string{"recon-ssh"},
		Channels: []session.Channel{session.Shell, session.FilesOut}, Class: session.NonDisruptive, Work: "WO-2026-11873",
		Engineer: session.Person{Identity: session.Identity{Iss: "https://login.meridian.example", Sub: "1"}, Email: "jana@meridian.example", Name: "Jana Brandt"},
		Terms:    Terms{From: w.clock(), Until: w.clock().Add(4 * time.Hour), Longest: 30 * time.Minute, Now: w.clock()},
	}
}

// pigeon is a mailer that remembers, and fails when told to.
type pigeon struct {
	mu   sync.Mutex
	sent []Mail
	fail error
}

func (p *pigeon) Send(_ context.Context, m Mail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail == nil {
		p.sent = append(p.sent, m)
	}
	return p.fail
}

// Addresses are plain or refused; nothing that ends a line gets through.
func TestAddresses(t *testing.T) {
	for _, bad := range []string{
		"", "x", "@x", "x@", "a@b@c", "a b@c.example", "a@b\r\nBcc: x@y", "a@b\n", "<a@b>", "A <a@b>", `"a"@b`, "a(b)@c", ".a@b", "a.@b", "a..b@c", "a@-b", "a@b.", "a@[1.2.3.4]",
		"ä@b.example", "a@b,c@d", "a@b;c@d", strings.Repeat("a", 250) + "@b.example", "a\x00@b",
	} {
		if ValidAddress(bad) {
			t.Errorf("took %q", bad)
		}
	}
	for _, good := range []string{"a@b", "j.brandt@meridian.example", "x+tag@sub.example.org", "o'neil@x.example"} {
		if !ValidAddress(good) {
			t.Errorf("refused %q", good)
		}
	}
	for _, bad := range []string{"", "x", "Sallyport", "A <a@b>\r\nBcc: x@y", "a@b\nX: y", "A\x00 <a@b>", "a@b, c@d"} {
		if CheckSender(bad) == nil {
			t.Errorf("took the sender %q", bad)
		}
	}
	if err := CheckSender("Sallyport <sallyport@example.org>"); err != nil {
		t.Error(err)
	}
}

// What identity providers and agents say ends up in the text, harmless, or nowhere.
func TestNothingIsInjected(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	o := w.office(&Directory{From: "Sallyport <s@broker.example>", Path: dir})
	n := w.notice(Asked)
	evil := "x\r\nBcc: thief@evil.example\r\n\r\n<script>https://evil.example/"
	n.Asset, n.Services, n.Class, n.Work, n.Channels = evil, []string{evil}, session.Class(evil), evil, []session.Channel{session.Channel(evil)}
	n.Engineer.Name, n.Engineer.Iss, n.By = evil, "https://"+evil, session.Person{Identity: session.Identity{Sub: "2"}, Name: evil, Email: evil}
	o.Notify(t.Context(), n)
	n = w.notice(Denied)
	n.Engineer.Email = "jana@meridian.example\r\nBcc: thief@evil.example"
	o.Notify(t.Context(), n)
	o.round(t.Context())
	all, err := filepath.Glob(dir + "/*.eml")
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		w.must(err)
		m, err := mail.ReadMessage(bytes.NewReader(text))
		w.must(err)
		for h := range m.Header {
			if !slices.Contains([]string{"From", "To", "Subject", "Date", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Mime-Version", "Content-Type", "Content-Transfer-Encoding"}, h) {
				t.Errorf("the header %s: %s", h, m.Header.Get(h))
			}
		}
		body, err := readBody(m)
		if err != nil || strings.Contains(string(body), "https://evil") || strings.Contains(string(body), "<script") || strings.Contains(string(body), "\nBcc") {
			t.Errorf("%v\n%s", err, body)
		}
		for _, line := range strings.Split(string(body), "\n") { // names of people, in which no reader's program finds a link
			if about := strings.TrimSpace(line); (strings.HasPrefix(about, "Engineer") || strings.HasPrefix(about, "Decided by")) && strings.Contains(about, "evil.example") {
				t.Errorf("%s", about)
			}
		}
	}
}

// Each event has its reader and its words, in the site's time.
func TestLetters(t *testing.T) {
	w := newWorld(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	w.must(err)
	for event, want := range map[Event]struct{ to, subject, text string }{
		Asked:          {"maya@northfield.example", "NGH/NGH-PETCT1: access asked for (R-", "sallyport approve R-"},
		ExtensionAsked: {"maya@northfield.example", "NGH/NGH-PETCT1: more time asked for (R-", "who is at work on NGH/NGH-PETCT1 asks for more time"},
		Approved:       {"jana@meridian.example", "NGH/NGH-PETCT1: approved (R-", "You can connect within the window"},
		Extended:       {"jana@meridian.example", "NGH/NGH-PETCT1: more time granted (R-", "granted you more time"},
		Denied:         {"jana@meridian.example", "NGH/NGH-PETCT1: declined (R-", "The hospital's reason is on the page"},
		Proposed:       {"jana@meridian.example", "NGH/NGH-PETCT1: another window proposed (R-", "proposes another window"},
		Revoked:        {"jana@meridian.example", "NGH/NGH-PETCT1: approval taken back (R-", "took back its approval"},
	} {
		p := &pigeon{}
		o := w.office(p)
		n := w.notice(event)
		n.Terms.Now = n.Terms.Now.In(berlin)
		if !event.ForApprovers() {
			n.By = session.Person{Identity: session.Identity{Iss: "https://login.northfield.example", Sub: "2"}, Name: "Maya Okafor"}
		}
		o.Notify(t.Context(), n)
		o.Notify(t.Context(), n) // told twice, written once
		o.round(t.Context())
		o.Notify(t.Context(), n)
		o.round(t.Context())
		if len(p.sent) != map[bool]int{true: 2, false: 1}[event.ForApprovers()] {
			t.Fatalf("%s: %+v", event, p.sent)
		}
		m := p.sent[max(0, slices.IndexFunc(p.sent, func(m Mail) bool { return m.To == want.to }))]
		for _, part := range []string{
			want.text, "https://broker.example/requests/" + n.Request.Request(), "Jana Brandt <jana@meridian.example>, signed in at login.meridian.example",
			"use a command shell, copy files from the scanner, on recon-ssh (non-disruptive)", "up to 30 minutes, not after 4 May 18:00 CEST", "WO-2026-11873", "is on the page",
		} {
			if !strings.Contains(m.Text, part) && !(part == "is on the page" && (event == Approved || event == Extended)) {
				t.Errorf("%s does not say %q:\n%s", event, part, m.Text)
			}
		}
		if m.To != want.to || !strings.HasPrefix(m.Subject, want.subject) || !event.ForApprovers() && !strings.Contains(m.Text, "Decided by  Maya Okafor") {
			t.Errorf("%s: %+v", event, m)
		}
	}
	for order, want := range map[string]string{"": "none given", "WO-2026-11873": "WO-2026-11873", "4711": "4711", "SR#99/2": "SR#99/2",
		"Smith": "on the page", "John 1961": "on the page", "WO-Smith-1961": "on the page", "1961-john": "on the page"} {
		if got := work(order); got != want {
			t.Errorf("the work order %q shows as %q", order, got)
		}
	}
}

// What fails is tried later and later, for a day, and then given up with one line.
func TestTriesForADay(t *testing.T) {
	w := newWorld(t)
	p := &pigeon{fail: errors.New("no route")}
	o := w.office(p)
	o.Notify(t.Context(), w.notice(Approved))
	tries, last := 0, start
	for at := start; w.waiting() > 0; at = w.clock() {
		if at.Sub(start) > giveUp+longWait {
			t.Fatal("never given up")
		}
		o.round(t.Context())
		docs := w.mails()
		if len(docs) > 0 && !bytes.Contains(docs[0].Body, fmt.Appendf(nil, `"tries":%d`, tries)) {
			tries, last = tries+1, at
		}
		w.advance(time.Minute)
	}
	if tries < 12 || tries > 40 || last.Sub(start) < 20*time.Hour || w.logged("level=ERROR") != 1 || w.logged("tried for a day") != 1 {
		t.Errorf("%d tries, the last after %s\n%s", tries, last.Sub(start), w.log.String())
	}
	p.fail = nil
	o.round(t.Context())
	if len(p.sent) != 0 {
		t.Error("sent after it was given up")
	}
}

// Several brokers on one store send each mail once; one that dies with a mail in its
// hands is followed by another.
func TestBrokersShareTheOutbox(t *testing.T) {
	w := newWorld(t)
	p := &pigeon{}
	offices := []*Office{w.office(p), w.office(p), w.office(p)}
	for range 20 {
		offices[0].Notify(t.Context(), w.notice(Denied))
	}
	var work sync.WaitGroup
	for _, o := range offices {
		work.Go(func() { o.round(t.Context()) })
	}
	work.Wait()
	if len(p.sent) != 20 || w.waiting() != 0 {
		t.Errorf("%d sent, %d wait", len(p.sent), w.waiting())
	}
	dies := w.office(mailerFunc(func(ctx context.Context, _ Mail) error { return errors.New("died here") }))
	dies.Notify(t.Context(), w.notice(Denied))
	docs := w.mails()
	w.must(w.store.Update(t.Context(), waitingKind, docs[0].ID, func(old []byte) ([]byte, error) { // its lease
		return bytes.Replace(old, []byte(`"written"`), fmt.Appendf(nil, `"next":%q,"written"`, w.clock().Add(lease).Format(time.RFC3339Nano)), 1), nil
	}))
	offices[1].round(t.Context())
	if len(p.sent) != 20 {
		t.Error("took a mail from another's hands")
	}
	w.advance(lease + time.Second)
	offices[1].round(t.Context())
	if len(p.sent) != 21 {
		t.Error("nobody followed")
	}
}

type mailerFunc func(context.Context, Mail) error

func (f mailerFunc) Send(ctx context.Context, m Mail) error { return f(ctx, m) }

// A site is written to 60 times a minute; what is more waits, and a flood is dropped.
func TestRate(t *testing.T) {
	w := newWorld(t)
	p := &pigeon{}
	o := w.office(p)
	for range 100 {
		o.Notify(t.Context(), w.notice(Denied))
	}
	o.round(t.Context())
	if len(p.sent) != perMinute || w.waiting() != 40 {
		t.Errorf("%d sent at once, %d wait", len(p.sent), w.waiting())
	}
	w.advance(time.Minute + time.Second)
	o.round(t.Context())
	if len(p.sent) != 100 || w.waiting() != 0 {
		t.Errorf("%d sent, %d wait", len(p.sent), w.waiting())
	}
	for range perHour {
		o.Notify(t.Context(), w.notice(Denied))
	}
	if w.waiting() != perHour-100 || w.logged("600 times") != 100 {
		t.Errorf("%d wait, %d dropped", w.waiting(), w.logged("600 times"))
	}
}

// Run sends what comes, and stops when told.
func TestRun(t *testing.T) {
	w := newWorld(t)
	got := make(chan Mail, 2)
	o := w.office(mailerFunc(func(_ context.Context, m Mail) error { got <- m; return nil }))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	o.Notify(t.Context(), w.notice(Asked))
	if a, b := <-got, <-got; a.To == b.To {
		t.Errorf("both went to %s", a.To)
	}
	cancel()
	w.must(<-done)
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	d := &Directory{From: "Sallyport <s@broker.example>", Path: dir}
	m := Mail{ID: strings.Repeat("ab", 32), To: "x@y.example", Subject: "NGH/NGH-PETCT1: approved", Text: "Grüße\n.\nFrom here on\n", Written: start}
	for range 2 {
		if err := d.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	all, _ := os.ReadDir(dir)
	if len(all) != 1 || all[0].Name() != "20260504T120000Z-abababababababab.eml" {
		t.Fatalf("%v", all)
	}
	text, err := os.ReadFile(filepath.Join(dir, all[0].Name()))
	info, _ := all[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	got, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := readBody(got)
	subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if strings.ReplaceAll(string(body), "\r\n", "\n") != m.Text || subject != m.Subject || got.Header.Get("Message-Id") != "<"+m.ID[:32]+"@broker.example>" {
		t.Errorf("%q\n%s", body, text)
	}
}

// readBody reads a mail's text by what its header says of it.
func readBody(m *mail.Message) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "text/plain" || !strings.EqualFold(params["charset"], "UTF-8") {
		return nil, fmt.Errorf("%s, %v, %w", kind, params, err)
	}
	switch how := strings.ToLower(m.Header.Get("Content-Transfer-Encoding")); how {
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(m.Body))
	case "7bit", "8bit":
		return io.ReadAll(m.Body)
	default:
		return nil, fmt.Errorf("encoded as %q", how)
	}
}

// Every reader finds the link in one piece: Go's, Python's and Perl's, each by what the
// mail says of itself, for plain words, for others, and for lines that are too long as they are.
func TestMailsAreReadAsTheyWereWritten(t *testing.T) {
	const link = "https://sallyport.hospital.example:8443/requests/R-ztneafusjavd7svximyr6w3ccy"
	python := "import email, email.policy, sys\nsys.stdout.write(email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default).get_content())"
	perl := `use MIME::QuotedPrint; binmode STDOUT; local $/; open F, "<:raw", $ARGV[0]; my ($h, $b) = split /\r?\n\r?\n/, <F>, 2;
		$h =~ /^content-transfer-encoding: *(\S+)/mi; print lc $1 eq "quoted-printable" ? decode_qp($b) : $b;`
	for name, text := range map[string]string{
		"plain": "Look at it    " + link + "\nOr run = this\n", "other letters": "Jürgen Größe fragt = \n  " + link + "\n.\n", "long": strings.Repeat("word ", 400) + link + "\n",
	} {
		dir := t.TempDir()
		d := &Directory{From: "Sallyport <sallyport@broker.example>", Path: dir}
		if err := d.Send(t.Context(), Mail{ID: strings.Repeat("ab", 32), To: "maya@hospital.example", Subject: "x", Text: text, Written: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
		all, err := filepath.Glob(dir + "/*.eml")
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		raw, err := os.ReadFile(all[0])
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			if len(line) > 1000 {
				t.Errorf("%s: a line of %d bytes", name, len(line))
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]byte{}
		if got["Go"], err = readBody(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for reader, args := range map[string][]string{"Python": {"/usr/bin/python3", "-c", python, all[0]}, "Perl": {"perl", "-e", perl, all[0]}} {
			if got[reader], err = exec.Command(args[0], args[1:]...).Output(); err != nil {
				t.Errorf("%s: %s: %v", name, reader, err)
			}
		}
		for reader, read := range got {
			if strings.TrimRight(strings.ReplaceAll(string(read), "\r\n", "\n"), "\n") != strings.TrimRight(text, "\n") {
				t.Errorf("%s: %s reads %q", name, reader, read)
			}
		}
	}
}

// A window over the night on which the clocks are changed says by which clock.
func TestWindowOverTheClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 10, 25, 0, 15, 0, 0, time.UTC) // 02:15 by the summer's clock
	n := Notice{Terms: Terms{From: from, Until: from.Add(2 * time.Hour), Longest: time.Hour, Now: from.Add(-time.Hour).In(berlin)}}
	if got, want := when(n), "up to 1 h, 25 Oct 02:15 CEST to 25 Oct 03:15 CET"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
