package simulator

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// bench is a scanner without a network and with a clock that the test moves.
type bench struct {
	*testing.T
	*Scanner
	now time.Time
}

func build(t *testing.T, asset session.Asset, seed uint64) *bench {
	t.Helper()
	b := &bench{T: t, now: noon()}
	s, err := New(Config{Asset: asset, Dir: t.TempDir(), Password: "x", Seed: seed, Pace: -1, Now: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	b.Scanner = s
	return b
}

// says runs a line and returns all it says and its status.
func (b *bench) says(line string) (string, int) {
	b.Helper()
	var out bytes.Buffer
	ask := func(string) (string, error) { return "", io.EOF }
	status := b.run(context.Background(), call{in: strings.NewReader(""), out: &out, err: &out, ask: ask, sh: &shellState{cwd: b.home.base}}, line)
	return out.String(), status
}

func mr() session.Asset {
	return session.Asset{Name: "NGH-MR1", Label: "Fluxa 1.5", Modality: "MR"}
}
func ct() session.Asset {
	return session.Asset{Name: "NGH-CT2", Label: "Rotor 128", Modality: "CT"}
}

var readOnly = []string{"help", "modstate", "evlog", "tubestat", "dettemp -a", "coolstat", "dbstat", "pacsq", "echoscu NGH_PACS", "swversion", "fw", "qc last", "svc list", "uptime"}

// The same seed and time give the same scanner; another of either does not.
func TestDeterminism(t *testing.T) {
	everything := func(b *bench) string {
		var all strings.Builder
		for _, line := range readOnly {
			out, _ := b.says(line)
			all.WriteString(out)
		}
		return all.String()
	}
	first := everything(build(t, petct(), 1))
	if first != everything(build(t, petct(), 1)) {
		t.Error("the same scanner says different things")
	}
	if first == everything(build(t, petct(), 2)) {
		t.Error("another seed says the same")
	}
	later := build(t, petct(), 1)
	later.now = later.now.Add(time.Minute)
	for _, line := range []string{"tubestat", "dettemp", "coolstat"} {
		now, _ := build(t, petct(), 1).says(line)
		if then, _ := later.says(line); strings.SplitN(now, "\n", 2)[1] == strings.SplitN(then, "\n", 2)[1] {
			t.Errorf("%s stands still", line)
		}
	}
}

// Whatever the hour, values stay in their range, lines fit a terminal and columns align.
func TestTablesLookRight(t *testing.T) {
	for _, asset := range []session.Asset{petct(), ct(), mr()} {
		b := build(t, asset, 3)
		for hour := range 48 {
			b.now = noon().Add(time.Duration(hour) * 37 * time.Minute)
			for _, g := range b.book.gauges {
				if v := b.wander(g.name, g.lo, g.hi, b.now); v < g.lo || v > g.hi {
					t.Fatalf("%s is %f", g.name, v)
				}
				r := b.read(g, b.now)
				if strings.HasPrefix(r.value, "-0") && strings.Trim(r.value, "-0.") == "" {
					t.Errorf("%s shows %s", g.name, r.value)
				}
			}
		}
		for _, line := range readOnly {
			out, _ := b.says(line)
			if !strings.HasSuffix(out, "\n") {
				t.Errorf("%s on %s does not end its line", line, asset.Name)
			}
			column := 0
			for l := range strings.Lines(out) {
				if len(l) > 101 && line != "evlog" || strings.ContainsAny(l, "\t\r") || strings.Contains(l, "%!") {
					t.Errorf("%s on %s: %q", line, asset.Name, l)
				}
				at := strings.Index(l, "STATE")
				switch {
				case strings.HasPrefix(l, "QUANTITY"):
					column = at
				case column > 0 && len(l) > column && strings.Contains("OK WARN", strings.TrimSpace(l[column:])) && l[column-1] != ' ':
					t.Errorf("%s on %s: misaligned %q", line, asset.Name, l)
				}
			}
		}
	}
}

func TestLimitsFlag(t *testing.T) {
	b := build(t, petct(), 3)
	for want, g := range map[string]gauge{
		"OK": {name: "x", lo: 10, hi: 11, warnLow: 9, warnTop: 12}, "WARN": {name: "x", lo: 10, hi: 11, warnTop: 9.5},
	} {
		if r := b.read(g, b.now); r.state != want {
			t.Errorf("%+v: %+v", g, r)
		}
	}
	if r := b.read(gauge{name: "x", lo: 10, hi: 11, digits: 1, warnLow: 12}, b.now); r.state != "WARN" || r.limit != ">= 12.0" {
		t.Errorf("%+v", r)
	}
}

func TestModalityDecidesWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		asset session.Asset
		line  string
		has   bool
		shows string
	}{
		{petct(), "tubestat", true, "Tube scan seconds"},
		{petct(), "dettemp", true, "192 blocks"},
		{petct(), "coolstat", true, "Detector water flow"},
		{ct(), "tubestat", true, "Anode heat"},
		{ct(), "dettemp", false, "no PET detectors"},
		{mr(), "tubestat", false, "no X-ray tube"},
		{mr(), "coolstat", true, "Helium level"},
		{mr(), "svc list", true, "magmon"},
		{mr(), "evlog -n 2000 -since 30d -sev E", true, "MR_RF_209"},
		{session.Asset{Name: "SVC-NM1", Modality: "NM"}, "coolstat", false, "no cooling"},
		{session.Asset{Name: "SVC-NM1", Modality: "NM"}, "dbstat", true, "UPS battery"},
	} {
		out, status := build(t, c.asset, 1).says(c.line)
		if (status == 0) != c.has || !strings.Contains(out, c.shows) {
			t.Errorf("%s on %s: %d %s", c.line, c.asset.Name, status, out)
		}
	}
}

func TestEventLog(t *testing.T) {
	b := build(t, petct(), 7)
	line := regexp.MustCompile(`^2026-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [EWI] [A-Z_]+ [A-Z]+_[A-Z0-9_]+ [ -~]+$`)
	out, _ := b.says("evlog -n 2000 -since 30d")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 2000 || !slices.IsSorted(lines) {
		t.Errorf("%d lines, sorted %v", len(lines), slices.IsSorted(lines))
	}
	for _, l := range lines {
		if !line.MatchString(l) {
			t.Errorf("%q", l)
		}
	}
	for _, want := range []string{"DOE^JANE PID T-000123", "CT_ARC_417 Tube arc detected", "PDT_033 Block 57"} {
		if !strings.Contains(out, want) {
			t.Errorf("the log never says %q", want)
		}
	}
	if lines[len(lines)-1] > b.now.Format("2006-01-02 15:04:05.000") {
		t.Error("the log knows the future")
	}
	short, _ := b.says("evlog -n 3")
	if short != strings.Join(lines[len(lines)-3:], "\n")+"\n" {
		t.Errorf("-n 3 is not the end of the log: %s", short)
	}
	day, _ := b.says("evlog -n 2000 -since 1d")
	if hours, _ := b.says("evlog -n 2000 -since 24h"); day != hours || day < b.now.Add(-24*time.Hour).Format("2006-01-02 15:04:05") {
		t.Error("-since 1d is not the last 24 hours")
	}
	errorsOnly, _ := b.says("evlog -n 2000 -since 30d -sev e")
	for l := range strings.Lines(errorsOnly) {
		if l[24] != 'E' {
			t.Errorf("-sev E shows %q", l)
		}
	}
	// An hour later the past is what it was.
	b.now = b.now.Add(time.Hour)
	if again, _ := b.says("evlog -n 2000 -since 30d"); !strings.Contains(again, lines[1000]+"\n"+lines[1001]) {
		t.Error("the past has changed")
	}
	for _, bad := range []string{"-n 0", "-n x", "-n 999999", "-sev Q", "-since soon", "-since -1h", "-since 31d", "-since 999999999d", "-x", "more", "-n"} {
		if _, status := b.says("evlog " + bad); status != statusUsage {
			t.Errorf("evlog %s: %d", bad, status)
		}
	}
}

// What people do shows in the log, at its time.
func TestPeopleShowInTheLog(t *testing.T) {
	b := build(t, petct(), 7)
	if out, status := b.says("svc restart reconsrv"); status != 0 || !strings.Contains(out, "reconsrv is running") {
		t.Errorf("%d %s", status, out)
	}
	if out, _ := b.says("evlog -n 1"); out != "2026-11-23 12:04:51.000 I SRV SRV_031 Service reconsrv restarted by svc_meridian\n" {
		t.Error(out)
	}
	b.now = b.now.Add(90 * time.Second)
	if out, _ := b.says("svc list"); !strings.Contains(out, "  1m30s\n") {
		t.Errorf("the restarted service runs for:\n%s", out)
	}
	if _, status := b.says("svc restart nonsense"); status != 1 {
		t.Error("a service that is not there was restarted")
	}
	for range maxJournal + 10 {
		b.record("I", "X", "X_1", "x")
	}
	if n := len(b.state.journal); n != maxJournal {
		t.Errorf("%d journal entries are kept", n)
	}
}

// swversion can be compared by any script: plain ASCII that no shell, JSON or HTML changes.
func TestVersionIsPlain(t *testing.T) {
	for _, label := range []string{"Helion 64", `He"l'io\n <b>`, "Hélion\x1b[2J\n"} {
		asset := petct()
		asset.Label = label
		out, _ := build(t, asset, 1).says("swversion")
		for _, r := range out {
			if r != '\n' && (r < 0x20 || r > 0x7e || strings.ContainsRune("\"'`\\<>", r)) {
				t.Errorf("label %q: %q in %q", label, r, out)
			}
		}
		if !strings.Contains(out, "Software   VG60B SP") || strings.Count(out, "\n") != 7 {
			t.Errorf("%q", out)
		}
	}
}

func TestModalityFollowsTheDay(t *testing.T) {
	b := build(t, petct(), 7)
	seen := map[string]int{}
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for minute := range 24 * 60 {
		at := day.Add(time.Duration(minute) * time.Minute)
		m := b.modality(at)
		seen[m.name]++
		if m.since.After(at) || !m.next.After(at) {
			t.Fatalf("%s: %+v", at, m)
		}
		if m.name != "clinical_idle" && (at.Hour() < 7 || at.Hour() >= 18) {
			t.Fatalf("%s at night", m.name)
		}
	}
	if len(seen) != 3 || seen["scanning"] < 60 || seen["patient_on_table"] < 40 {
		t.Errorf("a day: %v", seen)
	}
}

func TestEcho(t *testing.T) {
	b := build(t, petct(), 7)
	if out, status := b.says("echoscu NGH_PACS"); status != 0 || !strings.Contains(out, "status 0x0000 success") {
		t.Errorf("%d %s", status, out)
	}
	if out, status := b.says("echoscu EVIL"); status != 1 || !strings.Contains(out, "called AE title not recognized") {
		t.Errorf("%d %s", status, out)
	}
	for _, bad := range []string{"echoscu", "echoscu A B", "echoscu " + strings.Repeat("A", 17)} {
		if _, status := b.says(bad); status != statusUsage {
			t.Errorf("%s: %d", bad, status)
		}
	}
}

// A package is staged, verified, applied and taken back, and no step can be skipped.
func TestFirmware(t *testing.T) {
	b := build(t, petct(), 7)
	pkg := filepath.Join(b.HomeDir(), "VG60C_SP01.pkg")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(pkg, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	step := func(line string, status int, want string) {
		t.Helper()
		if out, got := b.says(line); got != status || !strings.Contains(out, want) {
			t.Fatalf("%s: %d\n%s", line, got, out)
		}
	}
	before, _ := b.says("swversion")
	step("fw verify", 1, "nothing is staged")
	step("fw apply", 1, "nothing is staged")
	step("fw rollback", 1, "no previous version")
	step("fw stage missing.pkg", 1, "no such file")
	step("fw stage /etc/passwd", 1, "no such file")
	step("fw dance", 2, "use fw")
	write("")
	step("fw stage VG60C_SP01.pkg", 1, "empty")
	write("firmware")
	step("fw stage VG60C_SP01.pkg", 0, "c3bf47ea1f4a4a60") // checked below by sha256sum
	if out, _ := b.says("sha256sum VG60C_SP01.pkg"); !strings.HasPrefix(out, "c3bf47ea1f4a4a60") {
		t.Fatalf("the package's hash is %s", out)
	}
	step("fw apply", 1, "not verified")
	step("fw verify other.pkg", 1, "is not the staged package")
	write("evil")
	step("fw verify", 1, "no longer what was staged")
	step("fw apply", 1, "not verified")
	write("firmware")
	step("fw verify VG60C_SP01.pkg", 0, "OK    VG60C_SP01")
	step("fw", 0, "B     verified VG60C_SP01")
	step("fw apply", 0, "Active version is VG60C_SP01")
	step("swversion", 0, "Software   VG60C_SP01\n")
	step("fw", 0, "A     previous VG60B")
	step("fw apply", 1, "nothing is staged")
	step("fw rollback", 0, "Active version is VG60B")
	step("fw rollback", 1, "no previous version")
	if after, _ := b.says("swversion"); after != before {
		t.Errorf("rolled back to\n%s", after)
	}
	step("evlog -n 9", 0, "FW_021 Firmware rolled back")
}

func TestSavelogIsARealBundle(t *testing.T) {
	b := build(t, petct(), 7)
	out, status := b.says("savelog")
	name := "savelog_NGH-PETCT1_20261123-120451"
	if status != 0 || !strings.Contains(out, "/home/svc_meridian/"+name+".tar.gz") {
		t.Fatalf("%d %s", status, out)
	}
	f, err := os.Open(filepath.Join(b.HomeDir(), name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for pack := tar.NewReader(zip); ; {
		h, err := pack.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(pack)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
	version, _ := b.says("swversion")
	if len(files) != 12 || files[name+"/swversion.txt"] != version || !strings.Contains(files[name+"/evlog.txt"], "DOE^JANE") {
		t.Errorf("the bundle holds %d files", len(files))
	}
	if out, status := b.says("savelog"); status != 1 || !strings.Contains(out, "exists already") {
		t.Errorf("a second bundle in the same second: %d %s", status, out)
	}
}

func TestQualityControl(t *testing.T) {
	b := build(t, petct(), 7)
	if out, _ := b.says("qc last"); !strings.Contains(out, "Run 2026-11-23 06:40 UTC   result PASS") {
		t.Error(out)
	}
	if out, _ := b.says("qc run"); !strings.Contains(out, "Run 2026-11-23 12:04 UTC   result PASS") {
		t.Error(out)
	}
	b.now = b.now.Add(14 * time.Hour) // before the next morning's
	if out, _ := b.says("qc last"); !strings.Contains(out, "Run 2026-11-23 12:04 UTC") {
		t.Error(out)
	}
	b.now = b.now.Add(10 * time.Hour)
	if out, _ := b.says("qc last"); !strings.Contains(out, "Run 2026-11-24 06:40 UTC") {
		t.Error(out)
	}
	if _, status := b.says("qc"); status != statusUsage {
		t.Error("qc alone")
	}
}

func TestRebootAsks(t *testing.T) {
	b := build(t, petct(), 7)
	if out, status := b.says("reboot"); status != 1 || !strings.Contains(out, "nothing was done") {
		t.Errorf("%d %s", status, out)
	}
	if out, _ := b.says("uptime"); strings.Contains(out, "up 0 days") {
		t.Error("it restarted all the same")
	}
}

// Whatever is planted in the home, nothing outside it can be read.
func TestHomeIsConfined(t *testing.T) {
	b := build(t, petct(), 7)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"absolute": outside, "dir": filepath.Dir(outside), "up": "../../.."} {
		if err := os.Symlink(target, filepath.Join(b.HomeDir(), name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"absolute", "dir/secret", "up", "../ssh_host_ed25519_key", "/home/svc_meridian/../../ssh_host_ed25519_key", "~/../ssh_host_ed25519_key", outside, "/home/svc_meridianx/y", "''", "."} {
		for _, cmd := range []string{"cat", "sha256sum", "fw stage"} {
			if out, status := b.says(cmd + " " + name); status == 0 || strings.Contains(out, "secret\n") || strings.Contains(out, "OPENSSH") {
				t.Errorf("%s %s: %d %s", cmd, name, status, out)
			}
		}
	}
	for line, want := range map[string]string{"ls /": "home\n", "ls /home": "svc_meridian\n", "cd /; ls home": "home\n"} {
		if out, _ := b.says(line); !strings.HasSuffix(out, want) && line != "cd /; ls home" {
			t.Errorf("%s: %s", line, out)
		}
	}
	if out, status := b.says("ls /etc"); status != 1 || out != "ls: /etc: no such file or directory\n" {
		t.Errorf("%d %s", status, out)
	}
}

func TestWordsAreSplitAsAShellDoes(t *testing.T) {
	for line, want := range map[string]string{
		"":                   "[]",
		"a":                  "[{[a]}]",
		"  a  b\t":           "[{[a b]}]",
		`a "b c" 'd "e'`:     `[{[a b c d "e]}]`,
		`a "b\"c\x" b\ c ''`: `[{[a b"c\x b c ]}]`,
		"a#b #c":             "[{[a#b]}]",
		"a;b && c||d;":       "[{[a]} {; [b]} {&& [c]} {|| [d]}]",
	} {
		got, err := split(line)
		s := strings.ReplaceAll(fmt.Sprint(got), "{ [", "{[")
		if err != nil || s != want {
			t.Errorf("%q: %s %v, want %s", line, s, err, want)
		}
	}
	for _, bad := range []string{"'", `"`, `"\"`, `\`, ";", "a;;b", "&&", "a &&", "a ||", "a & b", "a|b", "a>b", "a<b", "`a`", "$(a)", strings.Repeat("x ", maxWords+1)} {
		if got, err := split(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// A split line is runnable: every step has a word, every step but the first a joint.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"echo a; b && 'c d' || e", `"\`, "a#", ";", "x\x00y", "evlog -n 5 -sev E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		steps, err := split(line)
		if err != nil {
			return
		}
		for i, s := range steps {
			if len(s.words) == 0 || (i == 0) != (s.op == "") {
				t.Fatalf("%q: %v", line, steps)
			}
		}
	})
}
