package access

import (
	"strings"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// checkHello bounds and checks an announcement.
func checkHello(h link.Hello) error {
	wrong := func(format string, args ...any) error {
		return refusal(session.Invalid, "Correct the agent's configuration.", format, args...)
	}
	if _, err := session.ParseKeyLine(h.Identity); err != nil {
		return wrong("The agent's identity is not an ssh-ed25519 key line.")
	}
	if !session.ValidName(h.Site) || !session.ValidName(h.Agent) || len(h.Assets) > maxAssets ||
		len(h.Boot) > 100 || len(h.Version) > 100 || !wording.Plain(h.Boot+h.Version) {
		return wrong("The agent's announcement is out of bounds.")
	}
	seen := map[string]bool{}
	for _, x := range h.Assets {
		hosts := map[string]bool{}
		low := strings.ToLower(x.Name)
		if !session.ValidName(x.Name) || seen[low] {
			return wrong("%.64q names no scanner, or two.", x.Name)
		}
		seen[low] = true
		if len(x.Label) > maxLabel || len(x.Modality) > maxLabel || !wording.Plain(x.Label+x.Modality) || len(x.Services) > maxServices ||
			x.Policy.Approvals < 1 || x.Policy.Approvals > maxApprovals || x.Policy.Longest <= 0 || x.Policy.Window < 0 ||
			len(x.Policy.Channels) > len(session.Channels()) || len(x.Policy.Accept.Engineer)+len(x.Policy.Accept.Approver) > 8 {
			return wrong("The description of %s is out of bounds.", x.Name)
		}
		if !boundedPolicy(x.Policy) {
			return wrong("The policy of %s is out of bounds.", x.Name)
		}
		for _, s := range x.Services {
			host := strings.ToLower(s.Name)
			if !session.ValidName(s.Name) || !session.ValidName(s.Endpoint) || hosts[host] || !s.Class.Known() || s.Port < 1 || s.Port > 65535 {
				return wrong("The service %.64q of %s is out of bounds.", s.Name, x.Name)
			}
			if !s.Protocol.Known() {
				return refusal(session.Invalid, "Update the broker before its agents, or take the service out of the agent's configuration.",
					"The service %s of %s speaks %.20q, which this broker does not know.", s.Name, x.Name, s.Protocol)
			}
			hosts[host] = true
		}
	}
	return nil
}

// boundedPolicy checks the parts of a policy that are optional.
func boundedPolicy(p session.Policy) bool {
	if len(p.Quorum) > maxApprovals || p.Idle < 0 || p.Sessions < 0 || len(p.Zone) > 64 || !wording.Plain(p.Zone) {
		return false
	}
	for _, q := range p.Quorum {
		if q.Count < 1 || q.Count > maxApprovals || !sentence(q.Group, maxLabel) {
			return false
		}
	}
	return true
}
