package mpps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

func TestOnlyStatusesMoveTheState(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	s := newSteps()
	for i, step := range []struct {
		created bool
		uid     string
		is      status
		after   time.Duration
		answer  uint16
		state   session.ModalityState
	}{
		{false, "1.1", unsaid, 0, success, session.PatientOnTable},
		{true, "1.1", inProgress, time.Minute, success, session.Scanning},
		{false, "1.1", unsaid, time.Minute, success, session.Scanning},
		{true, "1.2", inProgress, time.Minute, success, session.Scanning},
		{false, "1.1", completed, time.Minute, success, session.Scanning},
		{false, "1.1", completed, time.Minute, success, session.Scanning}, // again: 1.2 is still in progress
		{false, "1.2", discontinued, time.Minute, success, session.PatientOnTable},
		{false, "1.3", completed, time.Minute, success, session.PatientOnTable}, // began before we listened
		{true, "1.4", completed, time.Minute, invalidAttribute, session.PatientOnTable},
		{false, "1.5", inProgress, time.Minute, success, session.Scanning},
		{false, "1.5", unsaid, longestStep + time.Minute, success, session.PatientOnTable}, // forgotten
		{false, "1.5", unsaid, 100 * time.Hour, success, session.PatientOnTable},           // and never idle by itself
	} {
		now = now.Add(step.after)
		if got := s.report(step.created, step.uid, step.is, now); got != step.answer {
			t.Errorf("%d: answered %04x, want %04x", i, got, step.answer)
		}
		if state, detail := s.now(now); state != step.state {
			t.Errorf("%d: %s (%s), want %s", i, state, detail, step.state)
		}
	}
}

func TestStepsHaveABound(t *testing.T) {
	s, now := newSteps(), time.Now()
	for i := range maxOpen * 2 {
		want := uint16(success)
		if i >= maxOpen {
			want = tooMany
		}
		if got := s.report(true, fmt.Sprintf("1.%d", i), inProgress, now); got != want {
			t.Fatalf("step %d: %04x", i, got)
		}
	}
	if state, _ := s.now(now); state != session.Scanning || len(s.open) != maxOpen {
		t.Errorf("%s, %d open", state, len(s.open))
	}
}

func TestWhatIsAskedIsAnswered(t *testing.T) {
	w := hospital(t)
	c := w.associate(t)
	for _, q := range []struct {
		context  byte
		field    uint16
		class    string
		instance string
		data     []byte
		want     uint16
		state    session.ModalityState
	}{
		{1, cEcho, uidVerification, "", nil, success, session.PatientOnTable},
		{3, cEcho, uidVerification, "", nil, noSuchClass, session.PatientOnTable},
		{1, nCreate, uidVerification, "1.1", says(inProgress), noSuchOperation, session.PatientOnTable},
		{3, 0x0001, uidMPPS, "1.1", says(inProgress), noSuchOperation, session.PatientOnTable}, // C-STORE
		{3, 0x0110, uidMPPS, "1.1", nil, noSuchOperation, session.PatientOnTable},              // N-GET
		{3, nSet, uidMPPS, "", says(completed), invalidAttribute, session.PatientOnTable},
		{3, nCreate, uidMPPS, "1.1", says("ASLEEP"), processing, session.PatientOnTable},
		{3, nCreate, uidMPPS, "1.1", nil, invalidAttribute, session.PatientOnTable},
		{3, nCreate, uidMPPS, "1.1", says(inProgress), success, session.Scanning},
		{3, nSet, uidMPPS, "1.1", says("ASLEEP"), processing, session.Scanning},
		{3, nSet, uidMPPS, "1.1", says(completed), success, session.PatientOnTable},
	} {
		send(t, c, piece(q.context, 3, asks(q.field, 7, q.class, q.instance, q.data != nil)))
		if q.data != nil { // in small pieces
			for ; len(q.data) > 5; q.data = q.data[5:] {
				send(t, c, piece(q.context, 0, q.data[:5]))
			}
			send(t, c, piece(q.context, 2, q.data))
		}
		if a := answered(t, c, q.want); a.field != q.field|isAnswer {
			t.Errorf("%+v was answered by %04x", q, a.field)
		}
		w.is(t, q.state, "")
	}
	send(t, c, piece(3, 3, asks(nCreate, 9, uidMPPS, "", true)))
	send(t, c, piece(3, 2, says(inProgress)))
	uid := answered(t, c, success).instance
	if _, err := parseUID([]byte(uid)); err != nil || !strings.HasPrefix(uid, "2.25.") {
		t.Errorf("a step without a UID was given %q", uid)
	}
	w.is(t, session.Scanning, "")
	send(t, c, piece(3, 3, asks(nSet, 10, uidMPPS, uid, true)))
	send(t, c, piece(3, 2, says(completed)))
	answered(t, c, success)
	send(t, c, pdu(pduReleaseRQ, make([]byte, 4)))
	if kind, _ := take(t, c); kind != pduReleaseRP {
		t.Errorf("a release was answered by %d", kind)
	}
	w.is(t, session.PatientOnTable, "")
}

// What is no DICOM ends the association, and what it was about nobody knows.
func TestWhatIsNoDICOMIsAborted(t *testing.T) {
	echo := asks(cEcho, 1, uidVerification, "", false)
	long := piece(1, 3, echo)
	binary.BigEndian.PutUint32(long[2:], maxPDU+1)
	for what, b := range map[string][]byte{
		"a PDU that is too long":       long,
		"a PDU of no kind":             {9, 0, 0, 0, 0, 0},
		"a second association":         pdu(pduAssociateRQ, asking("SALLYPORT", "NGH_CT2", uidImplicit)),
		"an empty PDU":                 pdu(pduData, nil),
		"a piece longer than its PDU":  pdu(pduData, []byte{0, 0, 1, 0, 1, 3, 0}),
		"a piece shorter than itself":  pdu(pduData, []byte{0, 0, 0, 1, 1, 3, 0}),
		"a context that is not":        piece(5, 3, echo),
		"data before a command":        piece(3, 2, says(inProgress)),
		"a command without its length": piece(1, 3, echo[12:]),
		"a command cut short":          piece(1, 3, echo[:len(echo)-1]),
		"a command without an end":     bytes.Repeat(piece(1, 1, make([]byte, 1000)), 6),
		"an answer":                    piece(1, 3, asks(cEcho|isAnswer, 1, uidVerification, "", false)),
		"a UID that is none":           piece(3, 3, asks(nCreate, 1, uidMPPS, "1.2; DROP", false)),
		"two contexts in one command":  append(piece(1, 1, echo[:20]), piece(3, 3, echo[20:])...),
		"a command within data":        append(piece(3, 3, asks(nCreate, 1, uidMPPS, "1.1", true)), piece(3, 3, echo)...),
		"a release within data":        append(piece(3, 3, asks(nCreate, 1, uidMPPS, "1.1", true)), pdu(pduReleaseRQ, make([]byte, 4))...),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := hospital(t)
			c := w.associate(t)
			send(t, c, b)
			if kind, body := take(t, c); kind != pduAbort {
				t.Errorf("answered by %d % x", kind, body)
			}
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				t.Error(err)
			}
			w.is(t, session.PatientOnTable, "cannot be read")
		})
	}
}

// Before the association nobody is believed anything, and the state stays as it is.
func TestWhoIsNotKnownChangesNothing(t *testing.T) {
	good := asking("SALLYPORT", "NGH_CT2", uidImplicit)
	spoilt := func(f func(b []byte)) []byte { b := bytes.Clone(good); f(b); return pdu(pduAssociateRQ, b) }
	for what, c := range map[string]struct {
		b    []byte
		want byte
	}{
		"data":                  {piece(3, 2, says(inProgress)), pduAbort},
		"another calling title": {pdu(pduAssociateRQ, asking("SALLYPORT", "NGH_CT3", uidImplicit)), pduAssociateRJ},
		"another called title":  {pdu(pduAssociateRQ, asking("SALLYPORTS", "NGH_CT2", uidImplicit)), pduAssociateRJ},
		"no title":              {pdu(pduAssociateRQ, asking("", "NGH_CT2", uidImplicit)), pduAbort},
		"another version":       {spoilt(func(b []byte) { b[1] = 2 }), pduAbort},
		"another application":   {pdu(pduAssociateRQ, bytes.Replace(good, []byte(uidApplication), []byte("1.2.840.10008.3.1.1.2"), 1)), pduAssociateRJ},
		"cut short":             {pdu(pduAssociateRQ, good[:len(good)-3]), pduAbort},
		"nothing asked":         {pdu(pduAssociateRQ, good[:68]), pduAbort},
		"a title with a bell":   {spoilt(func(b []byte) { b[5] = 7 }), pduAbort},
		"the web":               {[]byte("GET / HTTP/1.1\r\n\r\n"), pduAbort},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := hospital(t)
			conn := w.call(t)
			send(t, conn, c.b)
			if kind, body := take(t, conn); kind != c.want {
				t.Errorf("answered by %d % x, want %d", kind, body, c.want)
			}
			w.is(t, session.PatientOnTable, "no procedure")
		})
	}
}

// A syntax that is not spoken is refused by context, and the association stands.
func TestOtherSyntaxesAreRefused(t *testing.T) {
	w := hospital(t)
	c := w.call(t)
	send(t, c, pdu(pduAssociateRQ, asking("SALLYPORT", "NGH_CT2", "1.2.840.10008.1.2.2")))
	kind, body := take(t, c)
	if kind != pduAssociateAC || bytes.Count(body, []byte{0, 4, 0, 0x40}) != 2 {
		t.Errorf("answered by %d % x", kind, body)
	}
}

// A connection that is lost within a message may have been the beginning of a scan.
func TestALostMessageIsNotForgotten(t *testing.T) {
	w := hospital(t)
	c := w.associate(t)
	send(t, c, piece(3, 3, asks(nCreate, 1, uidMPPS, "1.1", true)))
	_ = c.Close()
	w.is(t, session.PatientOnTable, "cannot be read")
}

func TestAFloodKeepsTheScannerOfNobodyOut(t *testing.T) {
	w := hospital(t)
	var silent []net.Conn
	began := time.Now()
	for range 500 {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		silent = append(silent, c)
	}
	c := w.associate(t) // though all places are taken
	send(t, c, piece(3, 3, asks(nCreate, 1, uidMPPS, "1.1", true)))
	send(t, c, piece(3, 2, says(inProgress)))
	answered(t, c, success)
	w.is(t, session.Scanning, "")
	w.source.port.mu.Lock()
	held := len(w.source.port.guests)
	w.source.port.mu.Unlock()
	if held > maxOfOne {
		t.Errorf("%d connections are held", held)
	}
	t.Logf("ATTACK | %d silent connections to the port of procedure steps, and a scan that begins | at most %d held, the scan is heard | %d held, heard %v after the first | holds", len(silent), maxOfOne, held, time.Since(began).Round(time.Millisecond))
}

// Strangers are closed before a byte of theirs is read.
func TestStrangersAreNotRead(t *testing.T) {
	w := hospital(t)
	w.source.port.mu.Lock()
	w.source.cfg.From = []netip.Addr{netip.MustParseAddr("10.40.10.21")}
	w.source.port.mu.Unlock()
	c := w.call(t)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a stranger was answered: %d %v", n, err)
	}
}

func TestPortsAreTheHospitalsOwn(t *testing.T) {
	from := []netip.Addr{netip.MustParseAddr("10.40.10.21")}
	good := Config{Listen: "10.40.10.5:11112", Called: "SALLYPORT", Calling: []string{"NGH_CT2"}, From: from}
	for what, spoil := range map[string]func(c *Config){
		"no address":       func(c *Config) { c.Listen = ":11112" },
		"all addresses":    func(c *Config) { c.Listen = "0.0.0.0:11112" },
		"all addresses, 6": func(c *Config) { c.Listen = "[::]:11112" },
		"a group":          func(c *Config) { c.Listen = "224.0.0.1:11112" },
		"a name":           func(c *Config) { c.Listen = "agent.example:11112" },
		"any port":         func(c *Config) { c.Listen = "10.40.10.5:0" },
		"no AE title":      func(c *Config) { c.Called = "" },
		"a long AE title":  func(c *Config) { c.Calling = []string{"ABCDEFGHIJKLMNOPQ"} },
		"no scanner":       func(c *Config) { c.Calling = nil },
		"from anywhere":    func(c *Config) { c.From = nil },
	} {
		c := good
		spoil(&c)
		if _, err := (&Ports{}).Source(c); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	var p Ports
	for what, c := range map[string]struct {
		cfg Config
		ok  bool
	}{
		"the same again": {good, false},
		"another title":  {Config{good.Listen, "OTHER", []string{"NGH_CT3"}, from}, false},
	} {
		if p.all == nil {
			if _, err := p.Source(good); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Source(c.cfg); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := p.Source(Config{good.Listen, "SALLYPORT", []string{"NGH_CT3"}, from}); err != nil {
		t.Errorf("a second scanner behind one address: %v", err)
	}
}

// A port that cannot be opened is told, and tried again.
func TestAPortThatIsTakenIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p Ports
	s, err := p.Source(Config{Listen: l.Addr().String(), Called: "SALLYPORT", Calling: []string{"NGH_CT2"}, From: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{address: l.Addr().String(), told: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context(), w.tell) }()
	w.is(t, session.ModalityUnknown, "not heard")
	_ = l.Close()
	w.is(t, session.PatientOnTable, "no procedure")
	c := w.associate(t)
	_ = c.Close()
}

// captured are what the scanners of others sent.
func captured(t testing.TB) [][]byte {
	names, err := filepath.Glob("testdata/captured/*.dcm")
	if err != nil || len(names) == 0 {
		t.Fatal("no captures", err)
	}
	var all [][]byte
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	return all
}

// pieces cuts a capture into its data sets, and its request for an association.
func pieces(t testing.TB, raw []byte) (request []byte, sets [][]byte) {
	for r := bytes.NewReader(raw); r.Len() > 0; {
		kind, body, err := readPDU(r, make([]byte, maxAssociate))
		if err != nil {
			t.Fatal(err)
		}
		if kind == pduAssociateRQ {
			request = body
		}
		for ; kind == pduData && len(body) > 6; body = body[4+binary.BigEndian.Uint32(body):] {
			if body[5]&1 == 0 {
				sets = append(sets, body[6:4+binary.BigEndian.Uint32(body)])
			}
		}
	}
	return request, sets
}

// silent is a connection whose peer has said all that it says.
type silent struct {
	net.Conn
	r *bytes.Reader
}

func (s silent) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (s silent) Write(b []byte) (int, error)      { return len(b), nil }
func (s silent) SetReadDeadline(time.Time) error  { return nil }
func (s silent) SetWriteDeadline(time.Time) error { return nil }

func FuzzAssociation(f *testing.F) {
	for _, raw := range captured(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := newSteps()
		r := bytes.NewReader(raw)
		err := converse(silent{r: r}, func(request) (*steps, rejection) { return s, 0 })
		if err == nil && r.Len() == len(raw) {
			t.Error("it ended before it began")
		}
		if len(s.open) > maxOpen {
			t.Errorf("%d steps", len(s.open))
		}
		if state, detail := s.now(time.Now()); state == session.ModalityIdle || state == session.InService || strings.Contains(detail, "DOE") {
			t.Errorf("%s: %s", state, detail)
		}
	})
}

func FuzzRequest(f *testing.F) {
	for _, raw := range captured(f) {
		request, _ := pieces(f, raw)
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := parseRequest(raw)
		if err != nil {
			return
		}
		if !ValidTitle(q.called) || !ValidTitle(q.calling) || len(q.contexts) > maxContexts {
			t.Errorf("taken: %+v", q)
		}
		answer, contexts := accept(q)
		if kind, _, err := readPDU(bytes.NewReader(answer), make([]byte, 64<<10)); err != nil || kind != pduAssociateAC || len(contexts) > len(q.contexts) {
			t.Errorf("answered by %d %v", kind, err)
		}
	})
}

func FuzzDataSet(f *testing.F) {
	for _, raw := range captured(f) {
		_, sets := pieces(f, raw)
		for _, set := range sets {
			f.Add(set, true)
			f.Add(set, false)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, explicit bool) {
		is, err := findStatus(bytes.NewReader(raw), explicit)
		if err != nil && (is != unsaid || !errors.Is(err, errProtocol)) {
			t.Errorf("%q %v", is, err)
		}
		if is != unsaid && !bytes.Contains(raw, []byte(is)) {
			t.Errorf("%q was never said", is)
		}
	})
}

// A data set of a hundred thousand sequences within each other costs no more than another.
func TestDepthHasABound(t *testing.T) {
	deep := bytes.Repeat([]byte{8, 0, 0x40, 0x11, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff}, 100_000)
	if _, err := findStatus(bytes.NewReader(deep), false); !errors.Is(err, errProtocol) {
		t.Error(err)
	}
}
