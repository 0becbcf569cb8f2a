package page

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pin = "482913"

// keptPIN is made once: it is slow on purpose.
var keptPIN = sync.OnceValue(func() string {
	line, err := HashPIN(pin)
	if err != nil {
		panic(err)
	}
	return line
})

// pressed is the agent behind a page, which writes down what it is told.
type pressed struct {
	mu   sync.Mutex
	did  []string
	fail error
}

func (c *pressed) press(what string, t console.Target) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did = append(c.did, what+" "+t.Asset+t.Session+map[bool]string{true: "all"}[t.All])
	return c.fail
}

func (c *pressed) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.did)
}

func (c *pressed) States() []console.State { return nil }
func (c *pressed) Set(s console.Switch) (console.State, error) {
	return console.State{}, c.press("set "+string(s.State)+s.For, console.Target{Asset: s.Asset})
}
func (c *pressed) Status() console.Status { return console.Status{} }
func (c *pressed) Kill(t console.Target) (console.Killed, error) {
	return console.Killed{}, c.press("kill", t)
}
func (c *pressed) Freeze(t console.Target) (console.Frozen, error) {
	return console.Frozen{}, c.press("freeze", t)
}
func (c *pressed) Thaw(t console.Target) (console.Frozen, error) {
	return console.Frozen{}, c.press("thaw", t)
}

// stand is a page that is served, its clock, and a browser of somebody.
type stand struct {
	t       *testing.T
	url     string
	agent   *pressed
	browser *http.Client

	mu    sync.Mutex
	now   time.Time
	board Board
}

func (s *stand) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stand) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stand) look() Board {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.board
}

func (s *stand) change(do func(*Board)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.board)
}

// busy is a scanner with somebody on it, and one with nobody.
func busy(now time.Time) Board {
	return Board{Site: "NGH", Broker: true, Assets: []Asset{
		{Name: "NGH-PETCT1", Label: "Helion 64", On: []Session{{
			ID: session.NewID().Session(), Service: "console-vnc", Who: "Jonas Brandt", Company: "meridian.example", Reason: "<b>Cooling</b> alarm", WorkOrder: "WO-7",
			Work: "They may look.", Opened: now.Add(-time.Minute), Deadline: now.Add(42 * time.Minute), Connections: 1, Picture: "7",
		}}},
		{Name: "NGH-CT2"},
	}, Past: []Past{{Asset: "NGH-CT2", Who: "Lena Ortega", Reason: "QC", Opened: now.Add(-3 * time.Hour), Ended: now.Add(-2 * time.Hour), How: "ended by its people"}}}
}

// serve opens a page. To compare PINs as they are kept is slow on purpose; cheap does not.
func serve(t *testing.T, cheap bool) *stand { return serveFor(t, cheap, nil) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// serveFor opens a page for people of a hospital who sign in by name, where there is one.
func serveFor(t *testing.T, cheap bool, h *hospital) *stand {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "pin")
	if err := os.WriteFile(file, []byte(keptPIN()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	where, err := secret.Parse("file:" + file)
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, agent: &pressed{}, now: time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)}
	s.board = busy(s.now)
	settings := Settings{Listen: free(t), PIN: where, Names: []string{"console.ngh.example"}}
	if h != nil {
		settings.Names, settings.SignIn = nil, SignIn{Client: "console"} // people come back to its address
	}
	if err := settings.Check("$"); err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + settings.Listen
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	kept := filepath.Join(dir, "console.pem")
	go func() {
		cfg := Config{Settings: settings, Kept: kept, Controls: s.agent, States: s.agent, Consents: s.agent, Board: s.look,
			Picture: func(id string) []byte { return map[string][]byte{"S-x": []byte("png")}[id] }, Now: s.clock, Log: quiet()}
		if h != nil {
			cfg.Provider, cfg.Decisions = h, h
			if h.safe != nil {
				cfg.Keys = &Keys{Kept: h.safe, Used: h.safe}
			}
		}
		p := newPage(ctx, cfg)
		if cheap {
			p.signIns.right = func(typed string) (bool, error) { return typed == pin, nil }
		}
		done <- p.serve(ctx)
	}()
	s.browser = browser(t)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if res, err := s.browser.Get(s.url); err == nil {
			_ = res.Body.Close()
			return s
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends a request as a browser on the page would, unless change says otherwise.
func (s *stand) do(method, path string, fields url.Values, token string, change func(*http.Request)) (int, string, *http.Response) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", s.url)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if token != "" {
		req.AddCookie(&http.Cookie{Name: cookie, Value: token})
	}
	if change != nil {
		change(req)
	}
	res, err := s.browser.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body), res
}

func (s *stand) signIn() string {
	s.t.Helper()
	status, body, res := s.do("POST", "/signin", url.Values{"pin": {pin}}, "", nil)
	if status != http.StatusSeeOther || len(res.Cookies()) != 1 {
		s.t.Fatalf("%d %s", status, body)
	}
	c := res.Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Name != cookie || c.Path != "/" || c.Domain != "" {
		s.t.Errorf("the cookie is %+v", c)
	}
	return c.Value
}

// What did not come from the page itself does nothing, whatever else is right about it.
func TestNobodyPressesFromElsewhere(t *testing.T) {
	s := serve(t, true)
	token := s.signIn()
	for name, change := range map[string]func(*http.Request){
		"another origin":             func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no origin that can be told": func(r *http.Request) { r.Header.Set("Origin", "null"); r.Header.Del("Sec-Fetch-Site") },
		"nothing said":               func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") },
		"plain HTTP's origin":        func(r *http.Request) { r.Header.Set("Origin", "http://"+r.URL.Host) },
		"another port": func(r *http.Request) {
			r.Header.Set("Origin", "https://127.0.0.1:1")
			r.Header.Set("Sec-Fetch-Site", "same-site")
		},
		"another site":                 func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another site, and no origin":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site"); r.Header.Del("Origin") },
		"another host":                 func(r *http.Request) { r.Host = "evil.example"; r.Header.Set("Origin", "https://evil.example") },
		"another host's name, no port": func(r *http.Request) { r.Host = "127.0.0.1" },
		"JSON":                         func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"text":                         func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"by GET":                       func(r *http.Request) { r.Method = http.MethodGet; r.URL.RawQuery = "asset=NGH-PETCT1" },
	} {
		for _, path := range []string{"/stop", "/freeze", "/thaw", "/state"} {
			if status, body, _ := s.do("POST", path, url.Values{"asset": {"NGH-PETCT1"}}, token, change); status < 400 {
				t.Errorf("%s, %s: %d %s", name, path, status, body)
			}
		}
	}
	for _, fields := range []url.Values{{}, {"asset": {"A", "B"}}, {"asset": {"A"}, "all": {"yes"}}, {"all": {"true"}}, {"asset": {"A"}, "x": {"1"}}, {"session": {"S-1"}}, {"engineer": {"a@b.example"}}, {"asset": {strings.Repeat("a", maxForm)}}} {
		if status, _, _ := s.do("POST", "/stop", fields, "", nil); status < 400 {
			t.Errorf("%v: %d", fields, status)
		}
	}
	if did := s.agent.list(); len(did) != 0 {
		t.Errorf("it did %v", did)
	}
}

// STOP and freeze need nothing but the page, also after any number of wrong PINs; a thaw
// needs a sign-in.
func TestWhatNarrowsNeedsNoSignIn(t *testing.T) {
	s := serve(t, true)
	for range guessesFromOne + 2 {
		s.do("POST", "/signin", url.Values{"pin": {"000001"}}, "", nil)
	}
	if status, body, _ := s.do("POST", "/signin", url.Values{"pin": {pin}}, "", nil); status != session.Refused.Status() || !strings.Contains(body, "too often") {
		t.Errorf("after too many guesses the PIN is taken: %d", status)
	}
	for range 50 { // as often as anybody likes
		if status, body, _ := s.do("POST", "/stop", url.Values{"asset": {"NGH-PETCT1"}}, "", nil); status != http.StatusSeeOther {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, _, _ := s.do("POST", "/freeze", url.Values{"all": {"yes"}}, "nonsense", nil); status != http.StatusSeeOther {
		t.Errorf("freeze: %d", status)
	}
	if status, body, _ := s.do("POST", "/thaw", url.Values{"all": {"yes"}}, "nonsense", nil); status != session.Denied.Status() || !strings.Contains(body, "needs a sign-in") {
		t.Errorf("thaw: %d", status)
	}
	s.later(guessEvery + time.Second)
	token := s.signIn()
	if status, _, _ := s.do("POST", "/thaw", url.Values{"all": {"yes"}}, token, nil); status != http.StatusSeeOther {
		t.Errorf("thaw: %d", status)
	}
	did := s.agent.list()
	if len(did) != 52 || did[0] != "kill NGH-PETCT1" || did[50] != "freeze all" || did[51] != "thaw all" {
		t.Errorf("it did %v", did)
	}
	t.Logf("ATTACK | guess the PIN of the agent's page, and lock STOP with it | %d guesses of a network, then one in %s | %d, 50 STOPs of 50 done | holds", guessesFromOne, guessEvery, guessesFromOne)
}

// Who is there and why is for people who signed in; that somebody is there is for all.
func TestStrangersLearnThatSomebodyIsConnectedAndNoMore(t *testing.T) {
	s := serve(t, true)
	telling := []string{"Brandt", "meridian", "Cooling", "WO-7", "They may look", "/picture", "Ortega", "Thaw"}
	status, body, res := s.do("GET", "/", nil, "", nil)
	if status != 200 || !strings.Contains(body, "Connected") || !strings.Contains(body, "42 min") || !strings.Contains(body, "STOP <small>NGH-PETCT1") {
		t.Errorf("%d %s", status, body)
	}
	for _, word := range telling {
		if strings.Contains(body, word) {
			t.Errorf("a stranger reads %q", word)
		}
	}
	for name, want := range headers() {
		if res.Header.Get(name) != want {
			t.Errorf("%s: %q", name, res.Header.Get(name))
		}
	}
	if found := regexp.MustCompile(`style=|onclick|https?://|<style|<script>`).FindString(body); found != "" {
		t.Errorf("the page holds %s", found)
	}
	if status, _, _ := s.do("GET", "/picture?session=S-x", nil, "", nil); status != session.Denied.Status() {
		t.Errorf("a stranger's picture: %d", status)
	}
	token := s.signIn()
	_, body, _ = s.do("GET", "/", nil, token, nil)
	for _, word := range []string{"Jonas Brandt", "meridian.example", "&lt;b&gt;Cooling", "WO-7", "They may look", "&amp;at=7", "Lena Ortega"} {
		if !strings.Contains(body, word) {
			t.Errorf("who signed in does not read %q in %s", word, body)
		}
	}
	if status, png, _ := s.do("GET", "/picture?session=S-x", nil, token, nil); status != 200 || png != "png" {
		t.Errorf("the picture: %d", status)
	}
	if status, _, _ := s.do("GET", "/picture?session=S-y", nil, token, nil); status != 404 {
		t.Errorf("no picture: %d", status)
	}
	// A sign-in ends: by hand, unused, and after a shift.
	s.do("POST", "/signout", nil, token, nil)
	for name, pass := range map[string]func(){"signed out": func() {}, "idle": func() { token = s.signIn(); s.later(signedIdle) }, "a shift": func() {
		token = s.signIn()
		for range int(signedLongest/signedIdle)*2 + 1 {
			s.later(signedIdle / 2)
			s.do("GET", "/", nil, token, nil)
		}
	}} {
		pass()
		if _, body, _ := s.do("GET", "/", nil, token, nil); strings.Contains(body, "Brandt") {
			t.Errorf("%s: still signed in", name)
		}
	}
}

// To say what restricts as much or more needs no sign-in; to say that more is allowed does.
func TestTheSwitchTightensForEverybody(t *testing.T) {
	s := serve(t, true)
	set := func(asset, state, token string) int {
		status, _, _ := s.do("POST", "/state", url.Values{"asset": {asset}, "state": {state}}, token, nil)
		return status
	}
	token := s.signIn()
	var want []string
	states := session.ModalityStates() // from what allows most
	for now, is := range states {
		s.change(func(b *Board) {
			b.Assets = slices.Clone(b.Assets)
			b.Assets[0].State = &State{Is: is, Says: "the operator", Switch: true}
		})
		_, body, _ := s.do("GET", "/", nil, "", nil)
		for to, state := range states {
			status := set("NGH-PETCT1", string(state), "")
			if to < now && status != session.Denied.Status() || to >= now && status != http.StatusSeeOther {
				t.Errorf("a stranger says %s while it is %s: %d", state, is, status)
			}
			if to >= now {
				want = append(want, "set "+string(state)+" NGH-PETCT1")
			}
			if offered := strings.Contains(body, `value="`+string(state)+`"`); offered != (to >= now && state != session.ModalityUnknown) {
				t.Errorf("a stranger is offered %s while it is %s: %v", state, is, offered)
			}
			if status := set("NGH-PETCT1", string(state), token); status != http.StatusSeeOther {
				t.Errorf("who signed in says %s while it is %s: %d", state, is, status)
			}
			want = append(want, "set "+string(state)+" NGH-PETCT1")
		}
	}
	for _, c := range [][2]string{{"NGH-CT2", "scanning"}, {"NGH-X", "scanning"}, {"", ""}, {"NGH-PETCT1", "fine"}} { // no interlock, or nothing of that name
		if status := set(c[0], c[1], ""); status != session.Denied.Status() {
			t.Errorf("%v: %d", c, status)
		}
	}
	if did := s.agent.list(); !slices.Equal(did, want) {
		t.Errorf("it did %v", did)
	}
	if _, body, _ := s.do("GET", "/", nil, "", nil); !strings.Contains(body, "The scanner is scanning.") || !strings.Contains(body, "Interlock: none.") || strings.Contains(body, "Shut off") {
		t.Error("the states are not said")
	}
	s.change(func(b *Board) {
		b.Assets = slices.Clone(b.Assets)
		b.Assets[0].State = &State{Is: session.Scanning, Says: "the operator", Switch: true, Shut: "key-switch: is <off>"}
	})
	if _, body, _ := s.do("GET", "/", nil, "", nil); !strings.Contains(body, "Shut off from service: nothing opens. <small>key-switch: is &lt;off&gt;</small>") {
		t.Error("a key that is off is not said")
	}
}

// What fails is said, with the way on.
func TestAFailedPressIsSaid(t *testing.T) {
	s := serve(t, true)
	s.agent.fail = session.Errorf(session.Internal, "2 sessions are cut, but the disk is full.").WithNext("Make room.")
	status, body, _ := s.do("POST", "/stop", url.Values{"all": {"yes"}}, "", nil)
	if status != 500 || !strings.Contains(body, "2 sessions are cut, but the disk is full. Make room.") || !strings.Contains(body, `role="alert"`) {
		t.Errorf("%d %s", status, body)
	}
	s.agent.fail = errors.New("secret detail")
	if _, body, _ := s.do("POST", "/stop", url.Values{"all": {"yes"}}, "", nil); strings.Contains(body, "secret") || !strings.Contains(body, "log has the details") {
		t.Errorf("%s", body)
	}
}

// events reads a page's board as it changes.
func (s *stand) events(query, token string) func() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+"/live"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: cookie, Value: token})
	res, err := s.browser.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewReader(res.Body)
	return func() string {
		var event strings.Builder
		for {
			line, err := lines.ReadString('\n')
			if err != nil || line == "\n" {
				return event.String()
			}
			event.WriteString(line)
		}
	}
}

func TestTheBoardFollows(t *testing.T) {
	s := serve(t, false)
	token := s.signIn()
	next := s.events("?signed", token)
	if e := next(); !strings.Contains(e, "Jonas Brandt") {
		t.Errorf("%s", e)
	}
	s.change(func(b *Board) { b.Assets = slices.Clone(b.Assets); b.Assets[0].On = nil })
	s.later(time.Second)
	if e := next(); strings.Contains(e, "Brandt") || !strings.Contains(e, "Nobody is connected") {
		t.Errorf("%s", e)
	}
	s.later(signedIdle) // to follow is no act
	if e := next(); e != "event: over\ndata: \n" {
		t.Errorf("a page whose sign-in is over gets %q", e)
	}
	if e := s.events("", token)(); strings.Contains(e, "Ortega") || !strings.Contains(e, "NGH-PETCT1") {
		t.Errorf("a stranger's board is %s", e)
	}
}

func TestOnlyTheHospitalsOwnNetworkIsListenedTo(t *testing.T) {
	for _, bad := range []Settings{
		{Listen: "0.0.0.0:8443"}, {Listen: "[::]:8443"}, {Listen: ":8443"}, {Listen: "8.8.8.8:443"}, {Listen: "[2001:db8::1]:443"}, {Listen: "localhost:8443"},
		{Listen: "172.32.0.1:443"}, {Listen: "100.64.0.1:443"}, {Listen: "169.254.1.1:443"}, {Listen: "[::ffff:10.0.0.1]:443"}, {Listen: "[fe80::1%eth0]:443"},
		{Listen: "224.0.0.1:1"}, {Listen: "10.0.0.1"}, {Names: []string{"a"}}, {Networks: []string{"10.0.0.0/8"}},
		{Listen: "10.0.0.1:1", Networks: []string{"0.0.0.0/0"}}, {Listen: "10.0.0.1:1", Networks: []string{"10.0.0.1/8"}}, {Listen: "10.0.0.1:1", Networks: []string{"8.0.0.0/7"}},
		{Listen: "10.0.0.1:1", Networks: []string{"8.8.8.0/24"}}, {Listen: "10.0.0.1:1", Networks: []string{"10.0.0.1"}}, {Listen: "10.0.0.1:1", Networks: []string{"::/0"}},
		{Listen: "10.0.0.1:1", Names: []string{"a b"}}, {Listen: "10.0.0.1:1", Names: []string{"A.example"}}, {Listen: "10.0.0.1:1", Names: []string{"10.0.0.2"}}, {Listen: "10.0.0.1:1", Names: []string{"a..b"}},
		{Listen: "10.0.0.1:1", TLS: TLS{Certificate: "/x"}},
	} {
		if err := bad.Check("$"); session.KindOf(err) != session.Invalid && !isBadField(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, good := range []Settings{{}, {Listen: "10.40.1.5:8443"}, {Listen: "192.168.1.1:443", Networks: []string{"10.0.0.0/8", "192.168.0.0/16"}}, {Listen: "[fd00::1]:443"}, {Listen: "[::1]:443"}, {Listen: "127.0.0.1:1", Names: []string{"console.ngh.example"}}} {
		if err := good.Check("$"); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func isBadField(err error) bool { var b *session.BadField; return errors.As(err, &b) }

func TestAddressesAsBrowsersWriteThem(t *testing.T) {
	for _, c := range []struct {
		s     Settings
		url   string
		hosts []string
	}{
		{Settings{}, "", nil},
		{Settings{Listen: "10.1.2.3:8443"}, "https://10.1.2.3:8443", []string{"10.1.2.3:8443"}},
		{Settings{Listen: "10.1.2.3:443", Names: []string{"c.example"}}, "https://c.example", []string{"10.1.2.3:443", "10.1.2.3", "c.example:443", "c.example"}},
		{Settings{Listen: "[fd00::1]:443"}, "https://[fd00::1]:443", []string{"[fd00::1]:443", "[fd00::1]"}},
	} {
		p := newPage(t.Context(), Config{Settings: c.s, Now: time.Now})
		if c.s.URL() != c.url || !slices.Equal(p.hosts, c.hosts) {
			t.Errorf("%+v: %s %v", c.s, c.s.URL(), p.hosts)
		}
	}
}

// strange is a connection from somewhere.
type strange struct {
	net.Conn
	from   string
	closed bool
}

func (s *strange) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s.from))
}
func (s *strange) Close() error { s.closed = true; return nil }

// Who holds all the connections that one may have keeps nobody from STOP, not even the same.
func TestConnectionsOfOthersAndOfTooMany(t *testing.T) {
	in := inside{networks: Settings{Listen: "10.1.2.3:1"}.networks(), places: lobby.New(maxConnections, maxFromOne)}
	for _, from := range []string{"10.1.3.1:5", "8.8.8.8:5", "[::1]:5", "127.0.0.1:5"} {
		if in.admit(&strange{from: from}) != nil {
			t.Errorf("%s is let in", from)
		}
	}
	var all []*strange
	for range maxFromOne {
		c := &strange{from: "10.1.2.9:5"}
		all = append(all, c)
		if in.admit(c) == nil {
			t.Fatal("no place")
		}
	}
	if in.admit(&strange{from: "10.1.2.9:6"}) == nil || !all[0].closed || all[1].closed {
		t.Error("whoever says nothing makes no room")
	}
	if in.admit(&strange{from: "10.1.2.10:6"}) == nil {
		t.Error("a neighbour is kept out")
	}
	t.Logf("ATTACK | hold every connection of the agent's page to keep STOP out | %d of one address, the longest silent goes | a %dth got in | holds", maxFromOne, maxFromOne+1)
}

func TestGuessesOfAllTogether(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSignIns(func(p string) (bool, error) { return p == pin, nil }, func() time.Time { return now })
	wrong := 0
	for i := range 30 {
		for range guessesFromOne {
			if _, err := s.try(t.Context(), netip.AddrFrom4([4]byte{10, 1, byte(i), 1}), "000001"); session.KindOf(err) == session.Denied {
				wrong++
			}
		}
	}
	if wrong != guessesInAll {
		t.Errorf("%d guesses", wrong)
	}
	if _, err := s.try(t.Context(), netip.MustParseAddr("10.1.99.1"), pin); session.KindOf(err) != session.Refused {
		t.Errorf("%v", err)
	}
	if _, err := s.try(t.Context(), netip.MustParseAddr("127.0.0.1"), pin); err != nil {
		t.Errorf("strangers' guesses keep the agent's own machine out: %v", err)
	}
	now = now.Add(guessInAll)
	if _, err := s.try(t.Context(), netip.MustParseAddr("10.1.99.1"), pin); err != nil {
		t.Errorf("%v", err)
	}
	first := s.enter("10.1.0.0/24", nil)
	for i := range maxSignIns {
		now = now.Add(time.Millisecond)
		s.enter(fmt.Sprintf("10.%d.0.0/24", i), nil)
	}
	if len(s.who) != maxSignIns {
		t.Errorf("%d sign-ins", len(s.who))
	}
	if s.who[sha256.Sum256([]byte(first))] != nil {
		t.Error("the oldest sign-in made no room")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.turn <- struct{}{}
	if _, err := s.try(ctx, netip.MustParseAddr("127.0.0.1"), pin); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPINs(t *testing.T) {
	for _, bad := range []string{"", "12345", "111111", " 123456", "123456\n", strings.Repeat("12", 40)} {
		if _, err := HashPIN(bad); session.KindOf(err) != session.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	line := keptPIN()
	if strings.Contains(line, pin) {
		t.Error("the PIN is kept")
	}
	h, err := parseHash(line)
	if err != nil || !h.is(pin) || h.is(pin+"0") || h.is("") || h.is(strings.Repeat("1", maxPIN+1)) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", pin, line + "A", line[:len(line)-1], strings.Replace(line, "m=19456", "m=4194304", 1), strings.Replace(line, "argon2id", "argon2i", 1),
		line + strings.Repeat("A", maxHash), prefix() + "$", prefix() + "AAAA$AAAA"} {
		if _, err := parseHash(bad); session.KindOf(err) != session.Invalid || strings.Contains(fmt.Sprint(err), pin) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTheCertificateStaysUntilItNoLongerFits(t *testing.T) {
	kept, now := filepath.Join(t.TempDir(), "console.pem"), time.Now()
	s := Settings{Listen: "127.0.0.1:1"}
	if _, err := s.Fingerprint(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	made := func(s Settings, now time.Time) *x509.Certificate {
		t.Helper()
		c, err := s.certificate(kept, now, true)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	first := made(s, now)
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if !made(s, now).Equal(first) || first.VerifyHostname("127.0.0.1") != nil || first.IsCA {
		t.Error("another certificate at each start")
	}
	s.Names = []string{"console.ngh.example"}
	second := made(s, now)
	if second.Equal(first) || second.VerifyHostname("console.ngh.example") != nil {
		t.Error("the certificate does not name the page")
	}
	if made(s, now.Add(certificateTo)).Equal(second) {
		t.Error("an old certificate stays")
	}
	if err := os.WriteFile(kept, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.certificate(kept, now, true); err == nil {
		t.Error("what is no certificate was replaced in silence")
	}
	s.TLS = TLS{Certificate: kept}
	if _, err := s.certificate("", now, true); session.KindOf(err) != session.Invalid {
		t.Errorf("%v", err)
	}
}

func TestTimeLeft(t *testing.T) {
	now := time.Unix(1e9, 0)
	for d, want := range map[time.Duration]string{-time.Second: "over", 0: "over", 59 * time.Second: "0:59", 5*time.Minute - time.Second: "4:59", 5 * time.Minute: "5 min", 89 * time.Minute: "89 min", 90 * time.Minute: "1 h 30 min", 8*time.Hour + time.Minute: "8 h 01 min"} {
		if got := left(now.Add(d), now); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
