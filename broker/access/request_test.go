package access_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

func TestRequestsThatAreNotTaken(t *testing.T) {
	doc := func(change func(*grant.Request)) func(*world) []byte {
		return func(w *world) []byte {
			r := accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock())
			change(&r)
			return accesstest.Bytes(r)
		}
	}
	raw := func(change func([]byte) []byte) func(*world) []byte {
		return func(w *world) []byte {
			return change(accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock())))
		}
	}
	fine := doc(func(*grant.Request) {})
	for name, c := range map[string]struct {
		who  person
		raw  func(*world) []byte
		bad  func(*grant.Proof)
		kind session.Kind
	}{
		"by an approver":               {who: ben, raw: fine, kind: session.Denied},
		"by an auditor":                {who: audrey, raw: fine, kind: session.Denied},
		"by another engineer":          {who: adam, raw: fine, kind: session.Denied},
		"by the same sub elsewhere":    {who: someone("elsewhere", "ada", session.Engineer, "NGH"), raw: fine, kind: session.Denied},
		"by one who may not see it":    {who: someone("vendor", "ada", session.Engineer, "XYZ"), raw: fine, kind: session.Invalid},
		"for another site":             {raw: doc(func(r *grant.Request) { r.Site = "XYZ" }), kind: session.Invalid},
		"for no scanner":               {raw: doc(func(r *grant.Request) { r.Asset = "NGH-PETCT9" }), kind: session.Invalid},
		"for a scanner spelt low":      {raw: doc(func(r *grant.Request) { r.Asset = "ngh-petct1" }), kind: session.Invalid},
		"for no service":               {raw: doc(func(r *grant.Request) { r.Services = []string{} }), kind: session.Invalid},
		"for an unknown service":       {raw: doc(func(r *grant.Request) { r.Services = []string{"rdp"} }), kind: session.Refused},
		"for services out of order":    {raw: doc(func(r *grant.Request) { r.Services = []string{"recon-ssh", "console-ssh"} }), kind: session.Invalid},
		"for a service twice":          {raw: doc(func(r *grant.Request) { r.Services = []string{"recon-ssh", "recon-ssh"} }), kind: session.Invalid},
		"of too strong a class":        {raw: doc(func(r *grant.Request) { r.Class = session.Disruptive }), kind: session.Refused},
		"of an unknown class":          {raw: doc(func(r *grant.Request) { r.Class = "root" }), kind: session.Invalid},
		"with an unknown channel":      {raw: doc(func(r *grant.Request) { r.Channels = []session.Channel{"x11"} }), kind: session.Invalid},
		"with a channel not allowed":   {raw: doc(func(r *grant.Request) { r.Channels = []session.Channel{session.ClipboardIn} }), kind: session.Refused},
		"for a window that is over":    {raw: doc(func(r *grant.Request) { r.NBF, r.EXP = r.NBF-7200, r.NBF-1 }), kind: session.Expired},
		"for a window backwards":       {raw: doc(func(r *grant.Request) { r.NBF, r.EXP = r.EXP, r.NBF }), kind: session.Invalid},
		"for no time":                  {raw: doc(func(r *grant.Request) { r.MaxS = 0 }), kind: session.Invalid},
		"without reason":               {raw: doc(func(r *grant.Request) { r.Reason = " " }), kind: session.Invalid},
		"with an escape in the reason": {raw: doc(func(r *grant.Request) { r.Reason = "x\x1b[2J" }), kind: session.Invalid},
		"with hidden text":             {raw: doc(func(r *grant.Request) { r.Reason = "safe\u202eefas" }), kind: session.Invalid},
		"with a long reason":           {raw: doc(func(r *grant.Request) { r.Reason = strings.Repeat("x", 1001) }), kind: session.Invalid},
		"without a key":                {raw: doc(func(r *grant.Request) { r.Key = "" }), kind: session.Refused},
		"with a key's comment":         {raw: doc(func(r *grant.Request) { r.Key += " me" }), kind: session.Invalid},
		"an extension with a key":      {raw: doc(func(r *grant.Request) { r.Kind, r.Parent = "extension", session.NewID().Text() }), kind: session.Refused},
		"a handover":                   {raw: doc(func(r *grant.Request) { r.Kind, r.Parent = "handover", session.NewID().Text() }), kind: session.Refused},
		"an extension of nothing":      {raw: doc(func(r *grant.Request) { r.Kind, r.Parent, r.Key = "extension", session.NewID().Text(), "" }), kind: session.Refused},
		"of another version":           {raw: doc(func(r *grant.Request) { r.V = 2 }), kind: session.Invalid},
		"a grant":                      {raw: doc(func(r *grant.Request) { r.Typ = "sallyport-grant" }), kind: session.Invalid},
		"without an id":                {raw: doc(func(r *grant.Request) { r.RID = "x" }), kind: session.Invalid},
		"nothing":                      {raw: raw(func([]byte) []byte { return nil }), kind: session.Invalid},
		"null":                         {raw: raw(func([]byte) []byte { return []byte("null") }), kind: session.Invalid},
		"with a space":                 {raw: raw(func(b []byte) []byte { return append(b, ' ') }), kind: session.Invalid},
		"with data after it":           {raw: raw(func(b []byte) []byte { return append(b, "{}"...) }), kind: session.Invalid},
		"with a name twice":            {raw: raw(func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1,`), []byte(`"v":1,"v":1,`), 1) }), kind: session.Invalid},
		"with a name in capitals":      {raw: raw(func(b []byte) []byte { return bytes.Replace(b, []byte(`"site"`), []byte(`"SITE"`), 1) }), kind: session.Invalid},
		"with an unknown name":         {raw: raw(func(b []byte) []byte { return append(b[:len(b)-1], `,"root":true}`...) }), kind: session.Invalid},
		"of five kilobytes":            {raw: raw(func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 5000)...) }), kind: session.Invalid},
		"with a short salt":            {raw: fine, bad: func(p *grant.Proof) { p.Salt = p.Salt[1:] }, kind: session.Invalid},
		"without a token":              {raw: fine, bad: func(p *grant.Proof) { p.Token = "" }, kind: session.Invalid},
		"with a giant token":           {raw: fine, bad: func(p *grant.Proof) { p.Token = "a.b." + strings.Repeat("c", 33<<10) }, kind: session.Invalid},
		"with somebody else's token":   {raw: fine, bad: func(p *grant.Proof) { p.Token = accesstest.Token("eve") }, kind: session.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			who, p := c.who, accesstest.Proof("ada")
			if who.who.Sub == "" {
				who = ada
			}
			if c.bad != nil {
				c.bad(&p)
			}
			_, err := w.Submit(t.Context(), who, c.raw(w), p)
			w.wants(err, c.kind, "")
			for _, c := range []person{ada, adam, ben} {
				if all, _, err := w.List(t.Context(), c, "", access.Stretch{}); err != nil || len(all) != 0 {
					t.Errorf("%s sees %v, %v", c.who.Sub, all, err)
				}
			}
		})
	}
}

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	r, raw := w.submit(ada)
	if r.Status != session.Pending || r.Needed != 1 || r.Approvals != 0 || r.Engineer != ada.who || r.Grant != nil {
		t.Errorf("submitted: %+v", r)
	}
	again, err := w.Submit(t.Context(), ada, raw, accesstest.Proof("ada"))
	w.must(err)
	if again.ID != r.ID || len(w.agent.Arrived()) != 1 {
		t.Errorf("the same bytes again: %v, the agent heard %v", again, w.agent.Arrived())
	}
	d, err := w.Documents(t.Context(), ben, r.ID)
	w.must(err)
	if !bytes.Equal(d.Request, raw) || accesstest.Person(d.Token) != "ada" || !d.Received.Equal(start) || d.Approvals == nil {
		t.Errorf("documents: %+v", d)
	}
	other := accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock())
	other.RID = w.doc(r).RID
	_, err = w.Submit(t.Context(), ada, accesstest.Bytes(other), accesstest.Proof("ada"))
	w.wants(err, session.Refused, "used before")
	other = accesstest.Request(adam.id(), "NGH", "NGH-PETCT1", w.clock())
	other.Key = w.doc(r).Key
	_, err = w.Submit(t.Context(), adam, accesstest.Bytes(other), accesstest.Proof("adam"))
	w.wants(err, session.Refused, "key belongs to another request")
}

func TestAgentsWordsPassThrough(t *testing.T) {
	w := newWorld(t)
	no := link.Verdict{Kind: session.Expired, Message: "Die Uhr des Scanners steht.", Next: "Fragen Sie die IT."}
	w.agent.Refuse = &no
	raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
	_, err := w.Submit(t.Context(), ada, raw, accesstest.Proof("ada"))
	var e *session.Error
	if !errors.As(err, &e) || e.Kind != no.Kind || e.Message != no.Message || e.Next != no.Next {
		t.Errorf("Submit = %v", err)
	}
	w.agent.Refuse = nil
	r, raw := w.submit(ada)
	w.agent.Refuse = &no
	g := accesstest.Bytes(w.agent.Grant(raw))
	_, _, err = w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben"))
	if !errors.As(err, &e) || e.Message != no.Message || e.Next != no.Next {
		t.Errorf("Approve = %v", err)
	}
	// A refused grant leaves nothing behind: other terms may be approved.
	w.agent.Refuse = nil
	if d, err := w.Documents(t.Context(), ben, r.ID); err != nil || d.Grant != nil {
		t.Errorf("a refused grant stays: %s, %v", d.Grant, err)
	}
	_, admitted, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	if err != nil || !admitted {
		t.Errorf("Approve = %v, %v", admitted, err)
	}
}

func TestAnAgentThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.agent.SetOnline(false)
	raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
	_, err := w.Submit(t.Context(), ada, raw, accesstest.Proof("ada"))
	w.wants(err, session.Unreachable, "not connected")
	if all, _, err := w.List(t.Context(), ada, "", access.Stretch{}); err != nil || len(all) != 0 {
		t.Errorf("a request that no agent has is listed: %v, %v", all, err)
	}
	w.agent.SetOnline(true)
	r, raw := w.submit(ada)
	w.agent.SetOnline(false)
	_, _, err = w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.wants(err, session.Unreachable, "not connected")
	if d, err := w.Documents(t.Context(), ben, r.ID); err != nil || d.Grant != nil {
		t.Errorf("the grant is pinned though nobody saw it: %v", err)
	}
	// Saying no needs nobody. The agent hears of it when it is back.
	if r, err = w.Deny(t.Context(), ben, r.ID, "scanner in use"); err != nil || r.Status != session.DeniedBy {
		t.Fatalf("Deny = %v, %v", r.Status, err)
	}
	w.agent.SetOnline(true)
	w.must(w.Settle(t.Context(), "NGH", "main"))
	if !w.agent.Entry(r.ID).Closed {
		t.Error("the agent was not told")
	}
	before := len(w.agent.Arrived())
	w.must(w.Settle(t.Context(), "NGH", "main"))
	if len(w.agent.Arrived()) != before {
		t.Error("the agent was told twice")
	}
}

// Whoever may not know of a request hears the same as of one that is not there.
func TestForeignIsUnknown(t *testing.T) {
	w := newWorld(t)
	r, _ := w.approved(ada)
	sid := gid(r)
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	rec := session.NewID()
	w.must(w.StartRecording(t.Context(), "NGH", "main", sid, link.RecordingReport{Recording: rec.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}))
	none := session.NewID()
	for name, who := range map[string]person{
		"another engineer": adam, "a foreign approver": foreign, "a foreign auditor": foreignA,
		"the same sub at another issuer": someone("elsewhere", "ada", session.Engineer, "NGH"),
		"an engineer of the hospital's":  someone("hospital", "eli", session.Engineer, "NGH"),
		"nobody":                         {},
	} {
		for verb, call := range map[string]func(id session.ID) error{
			"get":       func(id session.ID) error { _, err := w.Get(t.Context(), who, id.Request()); return err },
			"documents": func(id session.ID) error { _, err := w.Documents(t.Context(), who, id.Request()); return err },
			"wait": func(id session.ID) error {
				_, err := w.Wait(t.Context(), who, id.Request(), "", time.Second)
				return err
			},
			"withdraw": func(id session.ID) error { _, err := w.Withdraw(t.Context(), who, id.Request()); return err },
			"deny": func(id session.ID) error {
				_, err := w.Deny(t.Context(), who.with(session.Approver), id.Request(), "no")
				return err
			},
			"session":   func(id session.ID) error { _, err := w.Session(t.Context(), who, id.Session()); return err },
			"kill":      func(id session.ID) error { _, err := w.Kill(t.Context(), who, id.Session()); return err },
			"recording": func(id session.ID) error { _, err := w.Recording(t.Context(), who, id.Recording()); return err },
		} {
			if verb == "deny" && who.At("NGH") {
				continue // would be an approver of the site
			}
			id := map[string]session.ID{"session": sid, "kill": sid, "recording": rec}[verb]
			if id.IsZero() {
				id, _ = session.ParseRequestID(r.ID)
			}
			here, missing := call(id), call(none)
			if here == nil || missing == nil {
				t.Errorf("%s: %s = %v and %v", name, verb, here, missing)
				continue
			}
			replace := strings.NewReplacer(none.Request(), "ID", none.Session(), "ID", none.Recording(), "ID", id.Request(), "ID", id.Session(), "ID", id.Recording(), "ID")
			if replace.Replace(here.Error()) != replace.Replace(missing.Error()) || !errors.Is(here, access.ErrUnknown) {
				t.Errorf("%s: %s tells %q from %q", name, verb, here, missing)
			}
		}
	}
	if entry := w.agent.Entry(r.ID); entry.Closed {
		t.Error("a stranger closed it")
	}
}

func TestWait(t *testing.T) {
	w := newWorld(t)
	r, raw := w.submit(ada)
	got := make(chan access.Request)
	go func() {
		v, err := w.Wait(t.Context(), ada, r.ID, session.Pending, 20*time.Second)
		if err != nil {
			t.Error(err)
		}
		got <- v
	}()
	_, _, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	if v := <-got; v.Status != session.Approved {
		t.Errorf("waited for %s", v.Status)
	}
	v, err := w.Wait(t.Context(), ada, r.ID, session.Approved, 10*time.Millisecond)
	if err != nil || v.Status != session.Approved {
		t.Errorf("after the wait: %s, %v", v.Status, err)
	}
}

func TestCatalogue(t *testing.T) {
	w := newWorld(t)
	second := &accesstest.Agents{Site: "NGH", Name: "second"}
	err := w.Announce(t.Context(), second.Hello("NGH-MR1", "ngh-petct1"))
	w.wants(err, session.Refused, "announced by the agent main")
	elsewhere := &accesstest.Agents{Site: "XYZ", Name: "main"}
	w.must(w.Announce(t.Context(), elsewhere.Hello("NGH-PETCT1"))) // another site may use the name
	w.must(w.Announce(t.Context(), second.Hello("NGH-MR1")))
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1"))) // CT2 is gone
	whose := map[string]string{w.agent.Fingerprint(): "main", second.Fingerprint(): "second", elsewhere.Fingerprint(): "main"}
	names := func(c person, only string) (s []string) {
		all, err := scanners(t.Context(), w.Access, c, access.Which{Site: only})
		w.must(err)
		for _, x := range all {
			s = append(s, fmt.Sprint(x.Site, "/", x.Name, " ", whose[x.Agent], " ", x.Online))
		}
		return s
	}
	for _, c := range []struct {
		who  person
		only string
		want string
	}{
		{ada, "", "[NGH/NGH-MR1 second false NGH/NGH-PETCT1 main true XYZ/NGH-PETCT1 main false]"},
		{ada, "XYZ", "[XYZ/NGH-PETCT1 main false]"},
		{ben, "", "[NGH/NGH-MR1 second false NGH/NGH-PETCT1 main true]"},
		{ben, "XYZ", "[]"},
		{foreign, "", "[XYZ/NGH-PETCT1 main false]"},
	} {
		if got := fmt.Sprint(names(c.who, c.only)); got != c.want {
			t.Errorf("%s %q sees %s, want %s", c.who.who.Sub, c.only, got, c.want)
		}
	}
	w.must(w.Forget(t.Context(), "NGH", "second"))
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1", "NGH-MR1")))
	for name, spoil := range map[string]func(*link.Hello){
		"a site that is no name":  func(h *link.Hello) { h.Site = "N/GH" },
		"a key that is none":      func(h *link.Hello) { h.Identity = "ssh-rsa AAAA" },
		"a scanner twice":         func(h *link.Hello) { h.Assets = append(h.Assets, h.Assets[0]) },
		"a scanner with a dot":    func(h *link.Hello) { h.Assets[0].Name = "a.b" },
		"a label with an escape":  func(h *link.Hello) { h.Assets[0].Label = "\x1b]0;x" },
		"a service twice":         func(h *link.Hello) { h.Assets[0].Services[1].Name = "RECON-SSH" },
		"a service with a slash":  func(h *link.Hello) { h.Assets[0].Services[1].Name = "a/b" },
		"an unknown class":        func(h *link.Hello) { h.Assets[0].Services[0].Class = "x" },
		"a port beyond":           func(h *link.Hello) { h.Assets[0].Services[0].Port = 70000 },
		"no approver":             func(h *link.Hello) { h.Assets[0].Policy.Approvals = 0 },
		"a thousand scanners":     func(h *link.Hello) { h.Assets = make([]session.Asset, 1000) },
		"a version of a kilobyte": func(h *link.Hello) { h.Version = strings.Repeat("x", 1000) },
	} {
		h := w.agent.Hello("NGH-PETCT1")
		spoil(&h)
		if err := w.Announce(t.Context(), h); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSubmitDocument(f *testing.F) {
	seed := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", start))
	f.Add(seed)
	f.Add(bytes.ToUpper(seed))
	f.Add([]byte(`{"v":1}`))
	a, err := access.New(access.Config{Documents: nowhere{}, Listing: nowhere{}, Wholes: nowhere{}, Agents: &accesstest.Agents{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := a.Submit(t.Context(), ada, raw, accesstest.Proof("ada")); err == nil || session.KindOf(err) == session.Internal {
			t.Fatalf("an empty catalogue took it: %v", err)
		}
	})
}
