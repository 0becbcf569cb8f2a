// Package sshfiles writes what OpenSSH needs to reach scanners through Sallyport:
// a self-contained ssh_config (for `ssh -F` or one Include) and its known_hosts.
// It is pure text: it reads no file, runs nothing and asks nobody.
//
// A service has one Host, by its full name and by its short one where that is nobody
// else's, with the agent's key pinned, and one jump alias with the
// broker's. The jump host learns nothing but which key is offered; the inner
// connection ends at the hospital's agent.
package sshfiles

import (
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// Host is one service of one asset.
type Host struct {
	Of       session.Target // its full name
	Alone    bool           // its name without the site is no other's: it may be used, too
	Identity string         // the agent's key line, from the trust bundle,
	Second   string         // and the one for clients without Ed25519; empty: it has none
	Keys     []string       // absolute paths, newest first
}

// Files says where everything is.
type Files struct {
	Door       string // host:port of the broker's jump host
	DoorKey    string // its key line,
	DoorSecond string // and the other one; empty: it has none
	Config     string // where ssh_config will be: an absolute path
	KnownHosts string // absolute path
	Hosts      []Host
}

// Render returns ssh_config and known_hosts. It refuses names and keys that could
// write a line of their own.
func Render(f Files) (config, known []byte, err error) {
	host, port, err := net.SplitHostPort(f.Door)
	n, convErr := strconv.Atoi(port)
	if err != nil || convErr != nil || n < 1 || n > 65535 || !plainHost(host) {
		return nil, nil, session.Errorf(session.Internal, "The broker names no usable ssh door").WithNext("Tell whoever runs the broker.")
	}
	if _, err := session.ParseKeyLine(f.DoorKey); err != nil {
		return nil, nil, session.Errorf(session.Internal, "The broker's jump host shows no usable key: %w", err).WithNext("Tell whoever runs the broker.")
	}
	for _, path := range append([]string{f.Config, f.KnownHosts}, pathsOf(f.Hosts)...) {
		if strings.ContainsAny(path, "\n\r\x00") || strings.Contains(path, "${") {
			return nil, nil, session.Errorf(session.Invalid, "ssh cannot use files below %.200q", path).
				WithNext("Set SALLYPORT_HOME to a directory without ${ in its name.")
		}
	}
	hosts := append([]Host(nil), f.Hosts...)
	sort.Slice(hosts, func(i, j int) bool { return hosts[i].Of.Host() < hosts[j].Of.Host() })
	var c, k strings.Builder
	c.WriteString("# Written by sallyport; it is rewritten with every request. Use it with\n" +
		"#   ssh -F THIS-FILE HOST      or      Include THIS-FILE   (first line of ~/.ssh/config)\n")
	k.WriteString("# Written by sallyport: agents' keys from trust bundles, the jump host's from the broker.\n")
	// Clients that know no HostKeyAlias look for the address.
	if err := pin(&k, address(host, port), f.DoorKey, f.DoorSecond); err != nil {
		return nil, nil, err
	}
	claims := map[string]session.Target{}
	for _, h := range hosts {
		if !h.Of.Valid() || h.Of.Site == "" {
			continue
		}
		name := h.Of.Host()
		called := name
		if h.Alone { // clients that know no HostKeyAlias
			called += "," + h.Of.Short().Host()
		}
		if err := claim(claims, called, h.Of); err != nil {
			return nil, nil, err
		}
		if err := pin(&k, called, h.Identity, h.Second); err != nil {
			return nil, nil, fmt.Errorf("agent key for %s: %w", h.Of, err)
		}
		if err := pin(&k, jump(name), f.DoorKey, f.DoorSecond); err != nil {
			return nil, nil, err
		}
		writeHost(&c, f, h, host, port)
	}
	return []byte(c.String()), []byte(k.String()), nil
}

// claim refuses that a name is two scanners', of which one would be reached, and believed,
// for the other. The catalogue is the broker's word.
func claim(claims map[string]session.Target, names string, of session.Target) error {
	for _, name := range strings.Split(names, ",") {
		if other, taken := claims[name]; taken {
			return session.Errorf(session.Refused, "The broker lists %s and %s, and ssh would take them for one host, %s", other, of, name).
				WithNext("Nothing was written. Tell whoever runs the broker.")
		}
		claims[name] = of
	}
	return nil
}

// pin writes a host's keys.
func pin(k *strings.Builder, name, first, second string) error {
	if _, err := session.ParseKeyLine(first); err != nil {
		return err
	}
	fmt.Fprintf(k, "%s %s\n", name, first)
	if second == "" {
		return nil
	}
	if _, err := session.ParseKeyLineEC(second); err != nil {
		return err
	}
	fmt.Fprintf(k, "%s %s\n", name, second)
	return nil
}

// address is a host and a port as known_hosts names them.
func address(host, port string) string {
	if port == "22" {
		return host
	}
	return "[" + host + "]:" + port
}

func pathsOf(hosts []Host) (all []string) {
	for _, h := range hosts {
		all = append(all, h.Keys...)
	}
	return all
}

// jump is the alias of a service's way in. No service is called so: names have no more
// than three parts.
func jump(name string) string { return "jump." + name }

func writeHost(c *strings.Builder, f Files, h Host, doorHost, doorPort string) {
	name := h.Of.Host()
	// Without a key the door can only explain; the name asks it to.
	user := "sallyport-nokey"
	if len(h.Keys) > 0 {
		user = "sallyport"
	}
	called := name
	if h.Alone {
		called += " " + h.Of.Short().Host()
	}
	fmt.Fprintf(c, "\n# %s\nHost %s\n\tHostName %s\n\tPort 22\n\tUser sallyport\n\t%s\n", h.Of, called, name, through(f.Config, jump(name)))
	writePins(c, f, h.Second, h.Keys, name)
	// The operator at the scanner may have a code for the engineer, which the agent asks for.
	c.WriteString("\tPreferredAuthentications publickey,keyboard-interactive\n\tNumberOfPasswordPrompts 1\n")
	fmt.Fprintf(c, "Host %s\n\tHostName %s\n\tPort %s\n\tUser %s\n\tProxyJump none\n", jump(name), doorHost, doorPort, user)
	writePins(c, f, f.DoorSecond, h.Keys, jump(name))
	c.WriteString("\tPreferredAuthentications publickey\n")
}

// through is the way by the jump host. ssh makes a command of ProxyJump, for a shell and
// with this file's name as it is; where that would not survive, the command is ours.
func through(config, jump string) string {
	// On Windows there is no such shell, and only blanks part a command.
	windows := len(config) > 2 && config[1:3] == `:\`
	plain := !strings.ContainsFunc(config, func(r rune) bool {
		return !strings.ContainsRune("/:._-+@,=", r) && !(windows && r == '\\') && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if plain {
		return "ProxyJump " + jump
	}
	inShell := "'" + strings.ReplaceAll(config, "'", `'\''`) + "'"
	if windows {
		inShell = `"` + config + `"`
	}
	return "ProxyCommand ssh -F " + strings.ReplaceAll(inShell, "%", "%%") + " -W [%h]:%p " + jump
}

// writePins is what both hops have in common: our keys and nobody else's, the
// pinned host key and no other, nothing of this machine offered to the far side.
func writePins(c *strings.Builder, f Files, second string, keys []string, alias string) {
	kinds := "ssh-ed25519"
	if second != "" {
		kinds += ",ecdsa-sha2-nistp256"
	}
	fmt.Fprintf(c, "\tHostKeyAlias %s\n\tHostKeyAlgorithms %s\n\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile /dev/null\n\tStrictHostKeyChecking yes\n\tUpdateHostKeys no\n",
		alias, kinds, quote(f.KnownHosts))
	// Processors have instructions for AES-GCM; OpenSSH's own first choice costs a third of the rate.
	c.WriteString("\tCiphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr\n")
	c.WriteString("\tIdentitiesOnly yes\n\tIdentityAgent none\n\tForwardAgent no\n\tForwardX11 no\n\tServerAliveInterval 15\n\tServerAliveCountMax 4\n")
	if len(keys) == 0 {
		c.WriteString("\tIdentityFile none\n")
		return
	}
	for _, path := range keys[:min(len(keys), MaxKeys)] {
		fmt.Fprintf(c, "\tIdentityFile %s\n", quote(path))
	}
}

// quote makes a path one argument: percent signs would be tokens, spaces would part it,
// and a quote would end it.
func quote(path string) string {
	path = strings.NewReplacer("%", "%%", `\`, `\\`, `"`, `\"`).Replace(path)
	return `"` + path + `"`
}

func plainHost(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '-' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == ':', r == '_':
		default:
			return false
		}
	}
	return true
}
