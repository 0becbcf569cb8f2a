package access

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// The broker takes a request, and a grant for it, exactly where the rules that the
// agent enforces do.
func TestTheBrokerTakesWhatTheRulesAdmit(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	some := func(t *rapid.T, label string, list []session.Channel) []session.Channel {
		return slices.Sorted(maps.Keys(rapid.MapOfN(rapid.SampledFrom(list), rapid.Just(true), 1, len(list)).Draw(t, label)))
	}
	rapid.Check(t, func(t *rapid.T) {
		asset := session.Asset{Name: "CT", Services: []session.Service{
			{Name: "a", Protocol: session.SSH, Class: session.Disruptive}, {Name: "b", Protocol: "telnet", Class: session.Disruptive}, {Name: "c", Protocol: session.SSH, Class: session.Observe}},
			Policy: session.Policy{Channels: some(t, "allowed", session.SSH.Channels()), Longest: 4 * time.Hour, Window: 12 * time.Hour}}
		r := grant.Request{Kind: rapid.SampledFrom([]string{grant.KindSession, grant.KindSession, grant.KindExtension, grant.KindHandover}).Draw(t, "kind"),
			Asset: "CT", Services: rapid.SampledFrom([][]string{{"a"}, {"a"}, {"c"}, {"a", "c"}, {"a", "b"}, {"d"}}).Draw(t, "services"), Reason: "tube"}
		r.Class, r.Channels = rapid.SampledFrom(session.Classes()).Draw(t, "class"), some(t, "channels", append(session.Channels(), asset.Policy.Channels...))
		r.NBF = now.Unix() + rapid.SampledFrom([]int64{-3600, 0, 0, 7200, 40 * 86400}).Draw(t, "begins")
		r.EXP = r.NBF + 3600*rapid.Int64Range(1, 14).Draw(t, "wide")
		r.MaxS = 3600 * rapid.Int64Range(1, 5).Draw(t, "maxs")
		r.Key = rapid.SampledFrom([]string{"", "ssh-ed25519 AAAA"}).Draw(t, "key")
		if got, want := checkRequest(r, asset, now), grant.AdmitsRequest(asset, r, now, now); (got == nil) != (want == nil) {
			t.Fatalf("a request: the broker says %v, the rules %v", got, want)
		}
		rec := record{Request: []byte("{}"), Identity: "SHA256:x", doc: r, Proof: proof{Received: now}}
		g := grant.Grant{Req: hashOf(rec.Request), Agent: rec.Identity, Asset: "CT", Services: r.Services, Class: r.Class, Channels: some(t, "granted", r.Channels),
			NBF: r.NBF, EXP: r.EXP, MaxS: rapid.Int64Range(1, r.MaxS+1).Draw(t, "granted for"), Obl: rapid.SampledFrom([][]string{{grant.Record}, {grant.Consent, grant.Record}}).Draw(t, "obliged")}
		later := now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "later")) * time.Minute)
		if got, want := checkGrant(g, rec, asset, later), grant.AdmitsGrant(asset, r, now, g, later); (got == nil) != (want == nil) {
			t.Fatalf("a grant: the broker says %v, the rules %v", got, want)
		}
	})
}
