package stories

import (
	"crypto/tls"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// visitor is somebody's browser on the agent's own page.
type visitor struct {
	*http.Client
	hint string
	at   string // "https://127.0.0.1:7443"
}

// page PERSON enter|read REQUEST|narrow REQUEST SECONDS CHANNEL...|approve REQUEST|deny REQUEST WHY: what
// they do there, with a fresh sign-in at the identity provider where it is asked for. What
// they read then is in the file page.
func cmdPage(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	v := st.visitors[args[0]]
	if v == nil {
		jar, err := cookiejar.New(nil)
		ts.Check(err)
		v = &visitor{&http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, st.ready.Personas[args[0]].LoginHint, st.ready.Console}
		if st.visitors == nil {
			st.visitors = map[string]*visitor{}
		}
		st.visitors[args[0]] = v
		ts.Defer(v.CloseIdleConnections)
	}
	body, err := v.does(args[1], args[2:])
	ts.Check(err)
	text := html.UnescapeString(regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>`).ReplaceAllString(body, " "))
	ts.Check(os.WriteFile(ts.MkAbs("page"), []byte(strings.Join(strings.Fields(text), " ")+"\n"), 0o600))
}

func (v *visitor) does(what string, args []string) (string, error) {
	switch what {
	case "enter":
		return v.proves("/enter", url.Values{})
	case "read":
		return v.asks(http.MethodGet, v.at+"/decide?request="+args[0], nil)
	case "narrow":
		form := url.Values{"request": args[:1], "longest": args[1:2], "class": {"non-disruptive"}}
		for _, c := range args[2:] {
			form.Set("channel-"+c, "on")
		}
		return v.asks(http.MethodPost, v.at+"/narrow", form)
	case "deny":
		return v.asks(http.MethodPost, v.at+"/deny", url.Values{"request": args[:1], "reason": args[1:2]})
	case "approve":
		body, err := v.asks(http.MethodGet, v.at+"/decide?request="+args[0], nil)
		if len(args) > 1 { // as it was narrowed
			body, err = v.does("narrow", args)
		}
		m := regexp.MustCompile(`name="grant" value="([0-9a-f]{64})"`).FindStringSubmatch(body)
		if err != nil || m == nil {
			return body, err
		}
		return v.proves("/approve", url.Values{"request": args[:1], "grant": m[1:2]})
	}
	return "", errors.New("nobody does that")
}

// proves presses a button that leads to the identity provider, and signs in there.
func (v *visitor) proves(path string, form url.Values) (string, error) {
	res, err := v.send(http.MethodPost, v.at+path, form)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	_, to, ok := strings.Cut(res.Header.Get("Refresh"), "url=")
	if !ok || !strings.HasPrefix(to, "http") {
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("login_hint", v.hint)
	u.RawQuery = q.Encode()
	return v.asks(http.MethodGet, u.String(), nil)
}

func (v *visitor) asks(method, address string, form url.Values) (string, error) {
	res, err := v.send(method, address, form)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func (v *visitor) send(method, address string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", v.at)
	}
	return v.Do(req)
}

// tells REGEXP command...: sooner or later the command prints something that matches.
func cmdTells(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	until(ts, strings.Join(args[1:], " ")+" tells "+args[0], func() error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if said := ts.ReadFile("stdout"); !want.MatchString(said) {
			return fmt.Errorf("so far: %.2000s", said)
		}
		return nil
	})
}
