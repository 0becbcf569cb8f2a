package console

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() View {
	return View{Request: "R-x", Scanner: "NGH/NGH-PETCT1", Services: "NGH/NGH-PETCT1/recon-ssh", Who: Person{Email: "jana@meridian.example"}, Wants: []string{"use a command shell"},
		Reason: `<img src=x onerror=alert(1)>`, WorkOrder: "W\x1b[2J", GrantHash: "abc", SignIn: "idp.example",
		Longest: Durations(30*time.Minute, 30*time.Minute), Documents: []Document{{Title: "Request", Hash: "ab", Text: `{"v":1}`}}}
}

func fetch(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetch(t, r)
}

func post(t *testing.T, address string, form url.Values) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, _ := fetch(t, r)
	return resp
}

func open(t *testing.T, narrow func(Limits) (View, error)) *Console {
	t.Helper()
	c, err := Open(t.Context(), Config{View: sample(), Narrow: narrow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestTheEngineersWordsAreText(t *testing.T) {
	c := open(t, nil)
	resp, body := get(t, c.URL)
	if strings.Contains(body, "<img") || strings.Contains(body, "<script") || strings.Contains(body, "ZgotmplZ") {
		t.Fatalf("the page carries markup that is not ours:\n%s", body)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Fatalf("weak policy %q", csp)
	}
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(b.String(), 0x1b) {
		t.Fatalf("an escape reached the terminal: %q", b.String())
	}
}

func TestOneDecisionAndNoSecond(t *testing.T) {
	c := open(t, nil)
	form := url.Values{"grant": {"abc"}, "decision": {"approve"}}
	if resp := post(t, c.URL+"decide", form); !strings.HasSuffix(resp.Header.Get("Location"), "/next") {
		t.Fatalf("approving led to %q", resp.Header.Get("Location"))
	}
	post(t, c.URL+"decide", url.Values{"grant": {"abc"}, "decision": {"deny"}, "reason": {"changed my mind"}})
	d, err := c.Decide(t.Context())
	if err != nil || !d.Approve {
		t.Fatalf("decided %+v, %v", d, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := c.Decide(ctx); err == nil {
		t.Fatalf("a second decision came through: %+v", d)
	}
	c.Leave("https://idp.example/authorize?a=b&c=d")
	resp, body := get(t, c.URL+"next")
	if resp.Header.Get("Refresh") != "0; url=https://idp.example/authorize?a=b&c=d" || !strings.Contains(body, "https://idp.example/authorize?a=b&amp;c=d") {
		t.Fatalf("the way to the sign-in is lost: %v\n%s", resp.Header, body)
	}
	c.Finish(Outcome{Good: true, Title: "Approved and admitted", Text: "<b>"})
	if _, body := get(t, c.URL+"done"); !strings.Contains(body, "Approved and admitted") || strings.Contains(body, "<b>") {
		t.Fatalf("the end is told wrongly:\n%s", body)
	}
}

func TestNarrowingShowsWhatWouldBeSigned(t *testing.T) {
	calm := false
	c := open(t, func(l Limits) (View, error) {
		calm = l.NoCritical
		if len(l.Channels) == 0 {
			return View{}, session.Errorf(session.Invalid, "A grant without any channel opens nothing").WithNext("Leave one.")
		}
		v := sample()
		v.GrantHash, v.Narrowed, v.Critical = "def", true, []Choice{{Value: "yes", Words: "may declare critical sections", On: true}}
		return v, nil
	})
	post(t, c.URL+"narrow", url.Values{"grant": {"abc"}, "longest": {"60"}})
	if _, body := get(t, c.URL); !strings.Contains(body, "A grant without any channel opens nothing. Leave one.") || c.Shown().GrantHash != "abc" {
		t.Fatal("a refused narrowing did not leave the page as it was, with the reason")
	}
	post(t, c.URL+"narrow", url.Values{"grant": {"abc"}, "longest": {"60"}, "channel": {"shell"}})
	if c.Shown().GrantHash != "def" {
		t.Fatal("the page does not show the narrower grant")
	}
	if body := func() string { _, b := get(t, c.URL); return b }(); !strings.Contains(body, `name="critical" value="yes" checked> <span>may declare`) {
		t.Errorf("critical sections cannot be left out alone: %s", body)
	}
	for _, kept := range []string{"yes", ""} {
		post(t, c.URL+"narrow", url.Values{"grant": {"def"}, "longest": {"60"}, "channel": {"shell"}, "critical": {kept}})
		if calm != (kept == "") {
			t.Errorf("critical sections %q: %v", kept, calm)
		}
	}
	// A tab that still shows the wider grant cannot approve it.
	post(t, c.URL+"decide", url.Values{"grant": {"abc"}, "decision": {"approve"}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := c.Decide(ctx); err == nil {
		t.Fatalf("a stale page decided: %+v", d)
	}
}

// A browser that is still on its way from the sign-in when all is done reads how it ended.
func TestWhoComesAfterTheEndIsTold(t *testing.T) {
	c, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Finish(Outcome{Good: true, Title: "Approved and admitted"})
	closed := make(chan struct{})
	go func() { defer close(closed); c.Close() }()
	for waits := false; !waits; { // until Close waits for somebody
		c.mu.Lock()
		waits = c.now.told != nil
		c.mu.Unlock()
	}
	resp, err := http.Get(c.Done())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "Approved and admitted") {
		t.Errorf("%s, %v", body, err)
	}
	<-closed
}
