package main

import (
	"context"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/cmd/internal/sshfiles"
	"github.com/sallyport/sallyport/session"
)

func (p *program) sshConfigCommand() *cobra.Command {
	return p.signed(&cobra.Command{
		Use:   "ssh-config",
		Short: "Write the ssh configuration, so that plain ssh, scp and sftp work",
		Long: `Write ssh_config and known_hosts into your Sallyport directory. It needs no helper
and no environment: use it with ssh -F, or put one Include line at the top of
~/.ssh/config. Login and every new request rewrite it, so nothing has to be run
after an approval. Keys of requests that are over are removed.

A service's host is SERVICE.ASSET.SITE. SERVICE.ASSET works, too, while no other
site that you may know of calls one of its services so.`,
		Example: `  ssh -F "$(sallyport ssh-config)" recon-ssh.ngh-petct1.ngh
  scp -F "$(sallyport ssh-config)" recon-ssh.ngh-petct1.ngh:savelog.tgz .`,
	}, func(ctx context.Context, who signedIn, _ []string) error {
		written, err := p.writeSSH(ctx, who)
		return p.told(written, err, func() {
			p.print("%s", written.Path)
			for _, site := range written.Untrusted {
				p.say("Left out: the scanners of %s, because its trust bundle was not imported.", site)
			}
			if isTerminal(p.stdout) {
				p.say("To use it with plain ssh, put this first in ~/.ssh/config:\n  Include \"%s\"", written.Path)
			}
		})
	})
}

// sshWritten is the JSON of ssh-config.
type sshWritten struct {
	Path       string   `json:"path"`
	KnownHosts string   `json:"known_hosts"`
	Hosts      []string `json:"hosts"`
	Untrusted  []string `json:"untrusted_sites"`
}

// writeSSH prunes keys whose requests are over and rewrites ssh_config and known_hosts.
func (p *program) writeSSH(ctx context.Context, who signedIn) (sshWritten, error) {
	out := sshWritten{Path: who.home.Path("ssh_config"), KnownHosts: who.home.Path("known_hosts"), Hosts: []string{}, Untrusted: []string{}}
	catalogue, err := assetsOf(ctx, who, session.Target{})
	if err != nil {
		return out, err
	}
	keys, err := p.prune(ctx, who)
	if err != nil {
		return out, err
	}
	trust, err := who.home.Trust()
	if err != nil {
		return out, err
	}
	files := sshfiles.Files{Door: who.login.SSH.Address, DoorKey: who.login.SSH.HostKey, DoorSecond: who.login.SSH.HostKeyEC,
		Config: out.Path, KnownHosts: out.KnownHosts}
	missing, called := map[string]bool{}, map[string]int{}
	for _, a := range catalogue {
		for _, s := range a.Services {
			called[session.Target{Asset: a.Name, Service: s.Name}.Host()]++
		}
	}
	for _, a := range catalogue {
		bundle, err := home.ForSite(trust, a.Site)
		if err != nil {
			if !missing[a.Site] {
				out.Untrusted = append(out.Untrusted, a.Site)
			}
			missing[a.Site] = true
			continue
		}
		for _, s := range a.Services {
			of := session.Target{Site: a.Site, Asset: a.Name, Service: s.Name}
			if s.Protocol != session.SSH || a.Site == "" || !of.Valid() {
				continue
			}
			files.Hosts = append(files.Hosts, sshfiles.Host{Of: of, Alone: called[of.Short().Host()] == 1, Identity: bundle.Identity, Second: bundle.HostKeyEC, Keys: keysFor(keys, a, s.Name)})
			out.Hosts = append(out.Hosts, of.Host())
		}
	}
	config, known, err := sshfiles.Render(files)
	if err != nil {
		return out, err
	}
	if err := who.home.Write("known_hosts", known); err != nil {
		return out, err
	}
	return out, who.home.Write("ssh_config", config)
}

// rewriteSSH is writeSSH after something that stands also when that fails.
func (p *program) rewriteSSH(ctx context.Context, who signedIn) {
	if _, err := p.writeSSH(ctx, who); err != nil {
		p.warn("The request stands, but the ssh configuration was not written: %s Run: sallyport ssh-config", sentence(explain(err).Message))
	}
}

// prune drops the keys of requests that are over and returns the others, newest first.
func (p *program) prune(ctx context.Context, who signedIn) ([]home.Key, error) {
	keys, err := who.home.Keys()
	if err != nil {
		return nil, err
	}
	status, err := p.statusOf(ctx, who, keys)
	if err != nil {
		return nil, err
	}
	var kept []home.Key
	for _, k := range keys {
		s, known := status[k.Request]
		over := known && s != session.Pending && s != session.Approved
		if over || s != session.Approved && p.now().After(k.NotAfter) { // an extended session outlives its window
			if err := who.home.DropKey(k.Request); err != nil {
				return nil, err
			}
			continue
		}
		kept = append(kept, k)
	}
	return kept, nil
}

// statusOf is how an engineer's requests stand that have keys here, as far as the broker
// knows them.
func (p *program) statusOf(ctx context.Context, who signedIn, keys []home.Key) (map[string]session.Status, error) {
	status := map[string]session.Status{}
	if len(keys) == 0 || !who.has(session.Engineer) {
		return status, nil
	}
	for _, s := range []session.Status{session.Pending, session.Approved} {
		some, err := client.Requests.Where(ctx, who.broker, url.Values{"status": {string(s)}})
		if err != nil {
			return nil, err
		}
		for _, r := range some {
			status[r.ID] = r.Status
		}
	}
	for _, k := range keys { // the rest is over, or was never handed in
		if _, known := status[k.Request]; known {
			continue
		}
		r, err := client.Request.Get(ctx, who.broker, k.Request)
		if err == nil {
			status[k.Request] = r.Status
		} else if session.KindOf(err) != session.Invalid {
			return nil, err
		}
	}
	return status, nil
}

func keysFor(keys []home.Key, a api.Asset, service string) []string {
	var paths []string
	for _, k := range keys {
		if k.Site == a.Site && k.Asset == a.Name && slices.Contains(k.Services, service) {
			paths = append(paths, k.Path)
		}
	}
	return paths
}
