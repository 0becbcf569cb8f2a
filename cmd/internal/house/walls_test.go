package house

import (
	"fmt"
	"slices"
	"strings"
)

// finding is one broken rule at one place.
type finding struct{ where, what, why string }

func (f finding) String() string { return fmt.Sprintf("%s: %s (%s)", f.where, f.what, f.why) }

// protocols are the packages that parse what a device says.
var protocols = []string{
	"session/terminal", "session/screen", "session/vnc", "session/rdp", "session/web", "session/stream", "session/files",
}

// plumbing is what every room above the ground may use: it knows the nouns and the
// standard library, and no room of it knows another.
var plumbing = []string{"session/durable", "session/wording", "session/secret", "session/lobby", "session/held", "session/palette"}

// shared are the packages that broker and agent have in common, besides recordings and
// the plumbing.
var shared = []string{"session/idtoken", "session/grant", "session/interlock", "session/link", "session/proxy"}

// unread is what passes the broker and is not read there: what devices say, and what
// browsers and agents say to each other.
var unread = append([]string{"session/attach"}, protocols...)

// floors of the house, from the ground up. An import may only point down; a
// package that stands nowhere has no business being there.
var floors = []struct {
	name  string
	rooms []string // a room holds what is below its directory, too
	whole []string // exactly this directory
}{
	{name: "ground", whole: []string{"session"}},
	{name: "half", rooms: plumbing},
	{name: "first", rooms: append([]string{"recordings", "session/attach", "session/passkey"}, shared...)},
	{name: "second", rooms: append([]string{"broker/store", "broker/turns"}, protocols...)},
	{name: "third", rooms: []string{
		"broker/identity", "broker/access", "broker/fleet", "broker/notify", "broker/audit",
		"agent/ledger", "agent/keyring", "agent/spool", "agent/device", "agent/modality", "agent/vouch"}},
	{name: "fourth", rooms: []string{"broker/api", "broker/web", "broker/sshd", "agent/engine", "agent/console", "agent/doctor"}},
	{name: "fifth", whole: []string{"broker", "agent"}},
	{name: "roof", rooms: []string{"cmd"}},
	{name: "garden", rooms: []string{"deploy"}}, // tests that load the samples
}

func floorOf(pkg string) int {
	for i, f := range floors {
		if slices.Contains(f.whole, pkg) || within(pkg, f.rooms...) {
			return i
		}
	}
	return -1
}

// levelPaths are the imports within one floor that are meant.
var levelPaths = []struct {
	from, to []string
	why      string
}{
	{[]string{"session/grant"}, []string{"session/idtoken", "session/passkey"}, "a proof is a token or a passkey's; strict checking lives once"},
	{[]string{"session/passkey"}, []string{"session/passkey"}, "a key for tests stands beside what checks it"},
	{[]string{"recordings/exchange"}, []string{"session/grant"}, "a pack's papers are judged by the code that judged the grant"},
	{[]string{"recordings"}, []string{"recordings"}, "the container and its edges are one room with a witness"},
	{[]string{"session/vnc", "session/rdp"}, []string{"session/screen"}, "both draw into the one screen"},
	{[]string{"session/rdp"}, []string{"session/rdp"}, "a client, and what it decodes and how it logs in, are one room"},
	{[]string{"session/screen"}, []string{"session/screen"}, "a screen, and how viewers are served it, are one room"},
	{[]string{"session/files"}, []string{"session/files"}, "what is done with files, and the packets that ask for it, are one room"},
	{[]string{"agent/device"}, []string{"agent/ledger"}, "a device is opened with a Ticket, and only the ledger prints one"},
	{[]string{"agent/modality"}, []string{"agent/modality"}, "a key switch and a lamp are contacts; a source knows no other source"},
	{[]string{"agent/engine"}, []string{"agent/engine"}, "a line is a room of the engine's; the wall below lets nothing pass the other way"},
	{[]string{"agent/console"}, []string{"agent/console"}, "the agent's page presses what its socket presses"},
	{[]string{"broker/store"}, []string{"broker/store"}, "the conformance suite stands beside the contract"},
	{[]string{"cmd"}, []string{"cmd"}, "the roof is one floor: the demo is a world, a world has a simulator"},
}

// ascends checks that imports of product code point down.
func ascends(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		from := floorOf(f.dir)
		if from < 0 {
			out = append(out, finding{f.name, "package " + f.dir + " stands on no floor", "the rooms are those of the design; a new one is a decision"})
			continue
		}
		if f.test {
			continue // the walls below hold for tests, the floors do not: a room may be tried from above
		}
		for _, i := range f.imports() {
			if !i.ours {
				continue
			}
			to := floorOf(i.path)
			if to < 0 || to < from || to == from && (f.dir == i.path || levelPath(f.dir, i.path)) {
				continue
			}
			out = append(out, finding{f.line(t, i.at), f.dir + " imports " + i.path, "imports point down only"})
		}
	}
	return out
}

func levelPath(from, to string) bool {
	for _, p := range levelPaths {
		if within(from, p.from...) && within(to, p.to...) {
			return true
		}
	}
	return false
}

// wall is a direction in which nothing may pass, tests included.
type wall struct {
	name string
	from func(pkg string) bool
	not  func(i imported) bool
	why  string
}

var walls = []wall{
	{"the ground floor stands alone",
		func(p string) bool { return p == "session" },
		func(i imported) bool { return i.ours && !within(i.path, "session") },
		"session imports nothing of ours"},
	{"recordings can be read without us",
		func(p string) bool { return within(p, "recordings") },
		func(i imported) bool {
			return i.ours && (within(i.path, "agent", "broker") || within(i.path, unread...))
		},
		"evidence is verified by people who have neither agent nor broker nor a protocol"},
	{"the agent does not know the broker",
		func(p string) bool { return within(p, "agent") },
		func(i imported) bool { return i.ours && within(i.path, "broker") },
		"the broker is not trusted; they share the link and nothing else"},
	{"the broker does not know the agent",
		func(p string) bool { return within(p, "broker") },
		func(i imported) bool { return i.ours && within(i.path, "agent") },
		"the agent runs in the hospital; they share the link and nothing else"},
	{"the broker parses no device protocol",
		func(p string) bool { return within(p, "broker", "cmd/sallyport-broker") },
		func(i imported) bool { return i.ours && within(i.path, unread...) },
		"a hostile scanner finds no parser to attack in the meeting place"},
	{"the engine speaks no protocol",
		func(p string) bool { return p == "agent/engine" },
		func(i imported) bool {
			return within(i.path, protocols...) || within(i.path, "agent/engine") && i.path != "agent/engine" ||
				within(i.path, "golang.org/x/crypto/ssh", "github.com/gliderlabs/ssh", "github.com/pkg/sftp")
		},
		"sessions, gate, record and end are the same for every line; each protocol has a room of its own below"},
	{"the agent uploads over the link",
		func(p string) bool { return within(p, "agent", "cmd/sallyport-agent") },
		func(i imported) bool { return i.ours && within(i.path, "recordings/vault") },
		"the vault is the broker's; the hospital holds no key to it"},
	{"agent and broker share the first floor only",
		func(p string) bool { return within(p, "broker") },
		func(i imported) bool {
			return i.ours && within(i.path, "session") && i.path != "session" && !within(i.path, shared...) && !within(i.path, unread...) && !within(i.path, plumbing...)
		},
		"what broker and agent share is listed in the design"},
	{"nothing hangs from the roof",
		func(p string) bool { return !within(p, "cmd", "deploy") },
		func(i imported) bool { return i.ours && within(i.path, "cmd") },
		"commands and their test worlds are imported by nobody outside cmd"},
}

// breaches checks the walls.
func breaches(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		for _, i := range f.imports() {
			for _, w := range walls {
				if w.from(f.dir) && w.not(i) {
					out = append(out, finding{f.line(t, i.at), f.dir + " imports " + i.path, w.name + ": " + w.why})
				}
			}
		}
	}
	return out
}

// foreign checks that the ground floor and the plumbing use the standard library only.
// Their tests may use more.
func foreign(t *tree) []finding {
	var out []finding
	for _, f := range t.product() {
		for _, i := range f.imports() {
			switch {
			case f.dir == "session" && !i.std():
				out = append(out, finding{f.line(t, i.at), "session imports " + i.path, "the ground floor knows the standard library only"})
			case within(f.dir, plumbing...) && !i.ours && !i.std():
				out = append(out, finding{f.line(t, i.at), f.dir + " imports " + i.path, "the plumbing knows the ground floor and the standard library only"})
			}
		}
	}
	return out
}

// children checks that no program is started where the product runs unattended.
func children(t *tree) []finding {
	const why = "no verb executes anything: there is no program to start in agent or broker"
	var out []finding
	for _, f := range t.product() {
		if within(f.dir, "cmd/sallyport", "cmd/internal", "deploy") {
			continue // the demo and the command may
		}
		names := map[string]string{}
		for _, i := range f.imports() {
			names[i.name] = i.path
			if i.path == "os/exec" || i.path == "plugin" {
				out = append(out, finding{f.line(t, i.at), f.dir + " imports " + i.path, why})
			}
		}
		for at, sel := range selectors(f.file) {
			switch names[at] + "." + sel.Sel.Name {
			case "os.StartProcess", "syscall.ForkExec", "syscall.Exec", "syscall.StartProcess", "golang.org/x/sys/unix.Exec":
				out = append(out, finding{f.line(t, sel), f.dir + " uses " + at + "." + sel.Sel.Name, why})
			}
		}
	}
	return out
}

// reached checks that whoever speaks for an engineer makes no connection: a device's comes
// from its own room, where what is sent on it is held to the session's gate.
func reached(t *tree) []finding {
	const why = "agent/device connects, and its connections send only while a pass of the gate is held"
	ways := map[string][]string{
		"golang.org/x/crypto/ssh": {"Client", "Dial", "NewClient", "NewClientConn"},
		"net":                     {"Dial", "DialIP", "DialTCP", "DialTimeout", "DialUDP", "DialUnix", "Dialer"},
		"crypto/tls":              {"Dial", "DialWithDialer", "Dialer"},
	}
	var out []finding
	for _, f := range t.product() {
		if !within(f.dir, append([]string{"agent/engine"}, protocols...)...) {
			continue
		}
		names := map[string]string{}
		for _, i := range f.imports() {
			names[i.name] = i.path
		}
		for at, sel := range selectors(f.file) {
			if slices.Contains(ways[names[at]], sel.Sel.Name) {
				out = append(out, finding{f.line(t, sel), f.dir + " uses " + at + "." + sel.Sel.Name, why})
			}
		}
	}
	return out
}

// bannedNames say nothing about what is in a package.
var bannedNames = []string{
	"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "manager", "managers", "base", "defaults", "misc", "shared",
}

func badNames(t *tree) []finding {
	var out []finding
	for _, dir := range t.packages() {
		for _, part := range strings.Split(dir, "/") {
			if slices.Contains(bannedNames, part) {
				out = append(out, finding{dir, "is called " + part, "a name says what is inside; this one never will"})
			}
		}
	}
	for _, f := range t.files {
		if name := strings.TrimSuffix(f.file.Name.Name, "_test"); slices.Contains(bannedNames, name) {
			out = append(out, finding{f.name, "package " + name, "a name says what is inside; this one never will"})
		}
	}
	return out
}

// topNames are all the names there are at the top, besides dot-files.
var topNames = []string{
	"cmd", "broker", "agent", "session", "recordings", "deploy", "go.mod", "go.sum", "README.md", "Makefile", "LICENSE",
}

func topLevel(t *tree) []finding {
	var out []finding
	for _, name := range t.top {
		if !slices.Contains(topNames, name) {
			out = append(out, finding{name, "stands at the top", "top-level names are fixed"})
		}
	}
	return out
}
