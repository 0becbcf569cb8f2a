package stories

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clients that others wrote do real work, and the same going directly to the same
// device: what they say, their status, and the files on both sides are the same. In
// testdata/clients is a script for each; what it is told stands at errand.environment.
// Files whose names begin with "whole-" are moved in pieces, out of order or over each
// other, and must be the firmware in the end.
func TestClients(t *testing.T) {
	h := raise(t)
	asleep, slow := h.fallAsleep(t), h.slowLine(t)
	t.Run("as directly", func(t *testing.T) {
		for _, server := range h.servers {
			for i, client := range []string{"Go", "sftp.sh", "sshfs.sh", "by_asyncssh.py", "lftp.sh", "rsync.sh", "putty.sh", "by_paramiko.py", "by_ssh2.cjs"} {
				if i >= server.clients && !proving {
					continue
				}
				t.Run(client+" to "+server.service, func(t *testing.T) {
					t.Parallel()
					h.compare(t, server, client)
				})
			}
		}
		t.Run("sftp past a talkative login", func(t *testing.T) { t.Parallel(); h.talkativeFiles(t) })
		for name, words := range outputs {
			t.Run(name, func(t *testing.T) { t.Parallel(); h.compareOutput(t, words) })
		}
	})
	asleep(t)
	slow(t)
}

// proving takes the time that everything needs.
var proving = os.Getenv("SALLYPORT_PROVE") == "1"

// errand is one client's work on one way to one device.
type errand struct {
	h       *hospital
	server  *server
	client  string
	through bool   // Sallyport; else directly
	near    string // its folder here
	far     string // and at the device, as this machine sees it
}

// outcome is what can be told of an errand afterwards.
type outcome struct {
	status    int
	said      []string
	near, far map[string]string
}

func (h *hospital) compare(t *testing.T, s *server, client string) {
	direct := (&errand{h: h, server: s, client: client}).run(t)
	ours := (&errand{h: h, server: s, client: client, through: true}).run(t)
	if s.simulated {
		// Nobody keeps the order of what it is asked for, or says that it is no OpenSSH, by
		// which some clients decide how to ask for a link. It has none.
		by := func(line string) bool {
			return strings.HasPrefix(line, "overlap") || strings.HasPrefix(line, "write, then cut") || strings.HasPrefix(line, "soft")
		}
		direct.said, ours.said = slices.DeleteFunc(direct.said, by), slices.DeleteFunc(ours.said, by)
		for _, name := range []string{"/cut", "/whole-overlap", "/old"} { // which lftp gives its time while it is written
			delete(direct.far, name)
			delete(ours.far, name)
		}
	}
	if direct.status != ours.status || !slices.Equal(direct.said, ours.said) {
		t.Errorf("directly, status %d:\n%s\nthrough Sallyport, status %d:\n%s", direct.status, differing(direct.said, ours.said), ours.status, differing(ours.said, direct.said))
	}
	for where, trees := range map[string][2]map[string]string{"here": {direct.near, ours.near}, "at the device": {direct.far, ours.far}} {
		if maps.Equal(trees[0], trees[1]) {
			continue
		}
		for name := range maps.Keys(trees[0]) {
			if trees[0][name] != trees[1][name] {
				t.Errorf("%s, %q is %q directly, %q through Sallyport", where, name, trees[0][name], trees[1][name])
			}
		}
		for name := range maps.Keys(trees[1]) {
			if trees[0][name] == "" {
				t.Errorf("%s, %q is %q through Sallyport alone", where, name, trees[1][name])
			}
		}
	}
}

// differing are the lines that other does not have at the same place, with numbers.
func differing(lines, other []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i >= len(other) || other[i] != line {
			fmt.Fprintf(&b, "%d: %s\n", i, line)
		}
	}
	return b.String()
}

// run does the work in folders of its own.
func (e *errand) run(t *testing.T) outcome {
	t.Helper()
	e.near = t.TempDir()
	way := "directly"
	if e.through {
		way = "through"
	}
	e.far = filepath.Join(e.server.root, strings.ReplaceAll(e.client, ".", "-")+"-"+way)
	must(t, os.Mkdir(e.far, 0o755))
	e.furnish(t)
	var o outcome
	var out []byte
	if e.client == "Go" {
		out, o.status = e.inGo(t)
	} else {
		out, o.status = e.script(t)
	}
	if o.status != 0 {
		t.Errorf("%s: status %d\n%s", way, o.status, out)
	}
	text := strings.NewReplacer(e.typed(), "FAR", filepath.Base(e.far), "FAR", e.near, "NEAR", e.name(), "NAME").Replace(string(out))
	o.said, o.near, o.far = strings.Split(text, "\n"), tree(t, e.near), tree(t, e.far)
	whole := 0
	for where, all := range map[string]map[string]string{"here": o.near, "at the device": o.far} {
		for name, is := range all {
			if !strings.Contains(name, "/whole-") || e.server.simulated && e.client == "rsync.sh" || !e.through && e.server.simulated && strings.HasSuffix(name, "-overlap") {
				continue
			}
			whole++
			if !strings.Contains(is, e.h.sum) {
				t.Errorf("%s: %s is not the firmware %s: %s", way, name, where, is)
			}
		}
	}
	if whole < 4 && !(e.server.simulated && e.client == "rsync.sh") {
		t.Errorf("%s: only %d files were moved\n%s", way, whole, out)
	}
	return o
}

// furnish lays out what the client finds here.
func (e *errand) furnish(t *testing.T) {
	must(t, os.WriteFile(filepath.Join(e.near, "firmware"), e.h.firmware, 0o640))
	must(t, os.WriteFile(filepath.Join(e.near, "head"), e.h.firmware[:len(e.h.firmware)/3], 0o640))
	must(t, os.WriteFile(filepath.Join(e.near, "old"), []byte("old\n"), 0o604))
	then := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(t, os.Chtimes(filepath.Join(e.near, "old"), then, then))
	must(t, os.Mkdir(filepath.Join(e.near, "names"), 0o750))
	for i, name := range oddNames {
		must(t, os.WriteFile(filepath.Join(e.near, "names", name), fmt.Append(nil, i), 0o600))
	}
}

var oddNames = []string{"with space", `quo'te"s`, "100%41%n", "new\nline", "M\xfcller", "größe", "semi;colon&$HOME`x`", "star*?[x]", `back\slash`, ".hidden", "~"}

func (e *errand) typed() string { return e.server.typed + strings.TrimPrefix(e.far, e.server.root) }

// name is what OpenSSH's configuration calls the device.
func (e *errand) name() string {
	if e.through {
		return e.server.service + ".ngh-petct1.ngh"
	}
	return e.server.service + ".direct"
}

// environment is what a script is told.
func (e *errand) environment() []string {
	h := e.h
	vars := map[string]string{
		"CONFIG": h.config, "NAME": e.name(), // for what uses OpenSSH: its file, and the device in it
		"DOOR_HOST": "", "DOOR_PORT": "", // for what does not: the way in, if there is one,
		"HOST": "127.0.0.1", "PORT": e.server.port, "LOGIN": e.server.login, // the device,
		"KEY": h.key, "KNOWN": h.known, // and what both need
		"FAR": e.typed(), "MANY": e.server.typed + "/many", // folders at the device: to work in, and one to list
		"ORDERED": "1", // empty if the device does not keep the order of what it is asked for
	}
	if e.server.crowd && (proving || e.client == "Go" || e.client == "sftp.sh") {
		vars["MANY"] = e.server.typed + "/crowd"
	}
	if e.through {
		vars["CONFIG"], vars["KEY"], vars["KNOWN"] = h.ours, h.ourKey, h.ourKnown
		vars["DOOR_HOST"], vars["DOOR_PORT"], _ = strings.Cut(h.ready.SSH, ":")
		vars["HOST"], vars["PORT"], vars["LOGIN"] = e.name(), "22", "sallyport"
	} else if e.server.simulated {
		vars["ORDERED"] = ""
	}
	all := append(os.Environ(), "HOME="+h.dir, "LC_ALL=C.UTF-8", "TZ=UTC", "NODE_PATH="+h.modules, "SSH_AUTH_SOCK=")
	for name, value := range vars {
		all = append(all, name+"="+value)
	}
	return all
}

func (e *errand) script(t *testing.T) ([]byte, int) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "clients", e.client))
	must(t, err)
	by := map[string]string{".sh": "bash", ".py": "/usr/bin/python3", ".cjs": "node"}[filepath.Ext(path)]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, by, path)
	cmd.Dir, cmd.Env = e.near, e.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", path, err)
	}
	return append(out.Bytes(), errs.Bytes()...), cmd.ProcessState.ExitCode()
}

// tree is what a folder holds: kinds, permissions, contents, links, and times of long ago.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		is := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += fmt.Sprintf(" %d %s", info.Size(), digest(content))
			if n := info.Sys().(*syscall.Stat_t).Nlink; n > 1 {
				is += fmt.Sprintf(" %d names", n)
			}
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			is += " to " + strings.ReplaceAll(to, root, "FAR")
		}
		if info.ModTime().Year() < 2020 {
			is += info.ModTime().UTC().Format(" 2006-01-02 15:04:05")
		}
		all[strings.TrimPrefix(path, root)] = is
		return nil
	}))
	return all
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b))[:16] }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is content that no client can guess.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(b)
	return b
}

// words is a command whose output must be what it is directly, byte by byte.
type words struct {
	options []string
	command string
	input   string
	server  string         // its service; "internal-ssh" if empty
	only    *regexp.Regexp // if not nil, what of the output does not depend on when it came
}

const everyByte = `for i in $(seq 0 255); do printf "\\$(printf %03o $i)"; done`

var outputs = map[string]words{
	"every byte, to both outputs":                {command: everyByte + "; sleep 0.1; { " + everyByte + "; } >&2; exit 7"},
	"every byte, on a terminal":                  {options: []string{"-tt"}, command: "stty raw; " + everyByte},
	"Latin-1, also cut in two":                   {command: `printf 'M\374ller\r\n\377\300\200\355\240\200\303'; sleep 0.2; printf '\274'; exit 2`},
	"a terminal nobody sits at":                  {options: []string{"-tt"}, command: "stty size; stty -a | grep -o ' -\\?echo\\|speed [0-9]*'; tty >/dev/null; echo $? $TERM; exit 5"},
	"a script on a terminal":                     {options: []string{"-tt"}, input: "stty -echo\nPS1=\nfor i in 1 2 3; do echo line: $i; done\nexit 4\n", only: regexp.MustCompile(`(?m)^line: \d\r$`)},
	"a script without a terminal":                {input: "echo one\necho two >&2\nnonsense-command\nexit 9\n", only: regexp.MustCompile(`one|two|nonsense-command: command not found`)},
	"a talkative login, a script":                {server: "talkative-ssh", input: "echo said\nexit 8\n"},
	"a talkative login, a command on a terminal": {server: "talkative-ssh", options: []string{"-tt"}, command: "echo said; exit 1"},
	"a command that is killed":                   {command: "cat >/dev/null; sleep 0.2; echo done; kill -9 $$", input: "x"},
}

func (h *hospital) compareOutput(t *testing.T, w words) {
	service := w.server
	if service == "" {
		service = "internal-ssh"
	}
	type result struct {
		out, err string
		status   int
	}
	ask := func(config, name string) (r result) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		args := append([]string{"-F", config, "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"}, w.options...)
		args = append(args, name)
		if w.command != "" {
			args = append(args, w.command)
		}
		cmd := exec.CommandContext(ctx, "ssh", args...)
		cmd.Env = append(os.Environ(), "TERM=xterm", "SSH_AUTH_SOCK=")
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(w.input), &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		r = result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
		if w.only != nil {
			r.out, r.err = strings.Join(w.only.FindAllString(r.out, -1), "|"), strings.Join(w.only.FindAllString(r.err, -1), "|")
		}
		return r
	}
	direct, ours := ask(h.config, service+".direct"), ask(h.ours, service+".ngh-petct1.ngh")
	if direct != ours {
		t.Errorf("directly %+q, %+q, %d; through Sallyport %+q, %+q, %d", direct.out, direct.err, direct.status, ours.out, ours.err, ours.status)
	}
	if direct.out+direct.err == "" && direct.status != 255 {
		t.Errorf("nothing was said: %+v", direct)
	}
}

// talkativeFiles: no sftp client gets past a login shell that prints a greeting where
// nobody reads it. Through Sallyport it says what is wrong, and what to do.
func (h *hospital) talkativeFiles(t *testing.T) {
	sftp := func(config, name string) string {
		out, err := exec.Command("sftp", "-q", "-F", config, "-b", "/dev/null", name).CombinedOutput()
		if err == nil {
			t.Errorf("%s: no error, %s", name, out)
		}
		return string(out)
	}
	if out := sftp(h.config, "talkative-ssh.direct"); !strings.Contains(out, "Received message too long") {
		t.Errorf("directly: %s", out)
	}
	if out := sftp(h.ours, "talkative-ssh.ngh-petct1.ngh"); !strings.Contains(out, "prints text where sftp should begin") || !strings.Contains(out, ".bashrc") {
		t.Errorf("through Sallyport: %s", out)
	}
}
