package sshfiles

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

func key(t *testing.T, seed byte) string {
	t.Helper()
	raw := make([]byte, ed25519.SeedSize)
	raw[0] = seed
	return session.KeyLine(ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey))
}

func second(t *testing.T, seed byte) string {
	t.Helper()
	raw := make([]byte, ed25519.SeedSize)
	raw[0] = seed
	ec, err := session.HostKeyEC(ed25519.NewKeyFromSeed(raw))
	if err != nil {
		t.Fatal(err)
	}
	line, err := session.KeyLineEC(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// Whatever a home is called, ssh finds every file in it, and the way by the jump host too:
// the door here is a listener that sees whether ssh comes.
func TestAnyHome(t *testing.T) {
	for _, name := range []string{"plain", "Jana Brandt", "O'Brien", "100%", `say "hi"`, `back\slash`, "$HOME", "a;b&c|d", "Müller", "*?[x]", "#1", "%h", "~x", "tab\tx"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			door, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer door.Close()
			came := make(chan struct{})
			go func() {
				if c, err := door.Accept(); err == nil {
					close(came)
					_ = c.Close()
				}
			}()
			at := func(file string) string { return filepath.Join(dir, file) }
			config, known, err := Render(Files{Door: door.Addr().String(), DoorKey: key(t, 1), Config: at("ssh_config"), KnownHosts: at("known_hosts"), Hosts: []Host{
				{Of: session.Target{Site: "NGH", Asset: "A", Service: "s"}, Identity: key(t, 2), Keys: []string{at("key")}}}})
			if err != nil {
				t.Fatal(err)
			}
			for file, content := range map[string][]byte{"ssh_config": config, "known_hosts": known, "key": nil} {
				if err := os.WriteFile(at(file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command("ssh", "-vv", "-F", at("ssh_config"), "-o", "BatchMode=yes", "s.a.ngh").CombinedOutput()
			select {
			case <-came:
			default:
				t.Errorf("ssh did not come: %v\n%s", err, out)
			}
			for _, host := range []string{"s.a.ngh", "jump.s.a.ngh"} {
				got, err := exec.Command("ssh", "-G", "-F", at("ssh_config"), host).Output()
				if err != nil || !strings.Contains(string(got), "\nidentityfile ") {
					t.Errorf("%v\n%s", err, got)
				}
			}
			// ssh-keygen reads what ssh would: the file of a name is there.
			said := strings.NewReplacer(`\303\274`, "ü", `\\`, `\`).Replace(string(out))
			if !strings.Contains(said, "identity file "+at("key")+" type") {
				t.Errorf("ssh looks for its key elsewhere:\n%s", out)
			}
		})
	}
}

// effective is what the real ssh makes of a configuration.
func effective(t *testing.T, config []byte, host string) map[string][]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ssh config")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh", "-G", "-F", file, host).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh does not accept it: %v\n%s\n%s", err, out, config)
	}
	got := map[string][]string{}
	for _, line := range strings.Split(string(out), "\n") {
		name, value, _ := strings.Cut(line, " ")
		got[name] = append(got[name], value)
	}
	return got
}

func TestSSHUnderstandsEveryLine(t *testing.T) {
	home := "/home/jana brandt/100% mine"
	var keys []string
	for i := range 5 {
		keys = append(keys, fmt.Sprintf("%s/keys/R-%d.key", home, i))
	}
	config, known, err := Render(Files{Door: "broker.example:2222", DoorKey: key(t, 1), DoorSecond: second(t, 1), Config: "/home/jana/ssh_config", KnownHosts: home + "/known_hosts", Hosts: []Host{
		{Of: session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}, Alone: true, Identity: key(t, 2), Second: second(t, 2), Keys: keys},
		{Of: session.Target{Site: "NGH", Asset: "NGH-CT2", Service: "irs-ssh"}, Identity: key(t, 2)},
		{Of: session.Target{Site: "HST", Asset: "ngh-ct2", Service: "jump"}, Alone: true, Identity: key(t, 3)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := func(host, name string, values ...string) {
		t.Helper()
		if got := effective(t, config, host)[name]; fmt.Sprint(got) != fmt.Sprint(values) {
			t.Errorf("%s %s is %q, want %q", host, name, got, values)
		}
	}
	const inner, jump = "recon-ssh.ngh-petct1.ngh", "jump.recon-ssh.ngh-petct1.ngh"
	for _, host := range []string{inner, jump} {
		want(host, "user", "sallyport")
		want(host, "identitiesonly", "yes")
		want(host, "hostkeyalias", host)
		want(host, "hostkeyalgorithms", "ssh-ed25519,ecdsa-sha2-nistp256")
		want(host, "forwardagent", "no")
		want(host, "stricthostkeychecking", "true")
		want(host, "controlmaster", "false")
		got := effective(t, config, host)
		if len(got["identityfile"]) != MaxKeys || got["identityfile"][0] != strings.ReplaceAll(keys[0], "%", "%%") && got["identityfile"][0] != keys[0] {
			t.Errorf("%s offers %q", host, got["identityfile"])
		}
		if _, ok := got["remotecommand"]; ok {
			t.Errorf("%s has a remote command", host)
		}
	}
	want("recon-ssh.ngh-petct1", "hostname", inner)
	want("recon-ssh.ngh-petct1", "hostkeyalias", inner)
	want("recon-ssh.ngh-petct1", "proxyjump", jump)
	want("irs-ssh.ngh-ct2", "hostname", "irs-ssh.ngh-ct2") // not its own: nothing of ours
	want("irs-ssh.ngh-ct2", "proxyjump")
	want("jump.ngh-ct2", "hostname", "jump.ngh-ct2.hst")
	want(inner, "proxyjump", jump)
	want(inner, "port", "22")
	want(jump, "hostname", "broker.example")
	want(jump, "port", "2222")
	want("irs-ssh.ngh-ct2.ngh", "identityfile", "none")
	want("jump.irs-ssh.ngh-ct2.ngh", "user", "sallyport-nokey")
	for _, line := range []string{inner + ",recon-ssh.ngh-petct1 " + key(t, 2), jump + " " + key(t, 1), inner + ",recon-ssh.ngh-petct1 " + second(t, 2), "irs-ssh.ngh-ct2.ngh " + key(t, 2), jump + " " + second(t, 1),
		"[broker.example]:2222 " + key(t, 1), "[broker.example]:2222 " + second(t, 1)} {
		if !strings.Contains(string(known), line+"\n") {
			t.Errorf("known_hosts lacks %q:\n%s", line, known)
		}
	}
	if strings.Count(string(known), key(t, 1)) != 4 {
		t.Errorf("the broker's key must stand for jump hosts alone:\n%s", known)
	}
}

func TestNobodyWritesALineOfTheirOwn(t *testing.T) {
	good := Files{Door: "b.example:22", DoorKey: key(t, 1), KnownHosts: "/k", Hosts: []Host{{Of: session.Target{Site: "S", Asset: "A", Service: "s"}, Identity: key(t, 2)}}}
	for name, spoil := range map[string]func(*Files){
		"door with a command": func(f *Files) { f.Door = "x\n\tProxyCommand touch /tmp/owned:22" },
		"door with a space":   func(f *Files) { f.Door = "x y:22" },
		"door as an option":   func(f *Files) { f.Door = "-oProxyCommand=x:22" },
		"door without port":   func(f *Files) { f.Door = "b.example" },
		"port out of range":   func(f *Files) { f.Door = "b.example:70000" },
		"key with a line":     func(f *Files) { f.DoorKey += "\n* " + f.DoorKey },
		"agent without key":   func(f *Files) { f.Hosts[0].Identity = "" },
		"a second line":       func(f *Files) { f.Hosts[0].Second = second(t, 2) + "\n* " + key(t, 3) },
		"home with a line":    func(f *Files) { f.KnownHosts = "/x\ny" },
		"home of a variable":  func(f *Files) { f.Hosts[0].Keys = []string{"/x/${HOME}/key"} },
	} {
		f := good
		f.Hosts = append([]Host(nil), good.Hosts...)
		spoil(&f)
		if config, _, err := Render(f); err == nil {
			t.Errorf("%s was written:\n%s", name, config)
		}
	}
	f := good
	f.Hosts = []Host{{Of: session.Target{Site: "S", Asset: "A\n\tProxyCommand x", Service: "s"}, Identity: key(t, 2)},
		{Of: session.Target{Site: "S", Asset: "*", Service: "s"}, Identity: key(t, 2)}, {Of: session.Target{Site: "*", Asset: "A", Service: "s"}, Identity: key(t, 2)}, {Of: session.Target{Asset: "A", Service: "s"}, Identity: key(t, 2)}}
	config, _, err := Render(f)
	if err != nil || strings.Contains(string(config), "ProxyCommand") || strings.Contains(string(config), "Host ") {
		t.Errorf("a name wrote a line: %v\n%s", err, config)
	}
}

// However the broker spells its catalogue, a name that ssh knows is one scanner's, with one
// agent's key.
func TestNoNameIsTwoScanners(t *testing.T) {
	host := func(site, asset string, alone bool, seed byte) Host {
		return Host{Of: session.Target{Site: site, Asset: asset, Service: "ssh"}, Alone: alone, Identity: key(t, seed)}
	}
	for what, hosts := range map[string][]Host{
		"a site in another case":   {host("NGH", "PETCT1", false, 2), host("ngh", "PETCT1", false, 3)},
		"an asset in another case": {host("NGH", "PETCT1", false, 2), host("NGH", "petct1", false, 2)},
		"the same twice":           {host("NGH", "PETCT1", false, 2), host("NGH", "PETCT1", false, 3)},
		"both without the site":    {host("NGH", "PETCT1", true, 2), host("SBK", "PETCT1", true, 3)},
	} {
		config, known, err := Render(Files{Door: "b.example:22", DoorKey: key(t, 1), Config: "/c", KnownHosts: "/k", Hosts: hosts})
		if session.KindOf(err) != session.Refused || config != nil || known != nil {
			t.Errorf("%s: %v\n%s%s", what, err, config, known)
		}
	}
	_, known, err := Render(Files{Door: "b.example:22", DoorKey: key(t, 1), Config: "/c", KnownHosts: "/k", Hosts: []Host{host("NGH", "PETCT1", false, 2), host("SBK", "PETCT1", false, 3)}})
	if err != nil || !strings.Contains(string(known), "ssh.petct1.ngh "+key(t, 2)) || !strings.Contains(string(known), "ssh.petct1.sbk "+key(t, 3)) {
		t.Errorf("%v\n%s", err, known)
	}
	t.Logf("ATTACK | a broker lists another hospital's scanner by a name that ssh knows | 1 key for each name | 1 | holds")
}
