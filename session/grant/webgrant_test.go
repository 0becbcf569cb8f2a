package grant_test

import (
	"encoding/hex"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// drafted is a grant as the approver's page must build it from a request.
type drafted struct {
	Name    string         `json:"name"`
	Request string         `json:"request"` // exact bytes
	Agent   string         `json:"agent"`
	GID     string         `json:"gid"`
	Less    map[string]any `json:"less"`
	Grant   string         `json:"grant"` // exact bytes
	Hash    string         `json:"hash"`
	Token   string         `json:"token"`
	Salt    []byte         `json:"salt"`
	Nonce   string         `json:"nonce"`
}

type webGrantVectors struct {
	Drafts  []drafted        `json:"drafts"`
	Refused []map[string]any `json:"refused"` // narrowings of the first request that are wider than it
	IDs     [][2]string      `json:"ids"`
}

const draftsAgent = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

func TestGrantsThatTheApproversPageBuilds(t *testing.T) {
	asked, err := grant.ParseRequest([]byte(requestGolden))
	if err != nil {
		t.Fatal(err)
	}
	wide := asked
	wide.Class, wide.Channels, wide.Services = session.Disruptive, session.Channels(), []string{"Recon-2", "console-vnc", "recon-ssh"}
	wide.Reason, wide.Ref = `Röhre "B" \ <tube> & 冷却 🩻 / é`, ""
	longer := asked
	longer.Kind, longer.Parent, longer.Key = grant.KindExtension, session.ID{15: 9}.Text(), ""
	flashing := wide
	flashing.Crit = 900
	all := webGrantVectors{Refused: []map[string]any{
		{"maxs": asked.MaxS + 1}, {"exp": asked.EXP + 1}, {"exp": asked.NBF}, {"class": "disruptive"}, {"channels": []string{"shell", "control"}}, {"maxs": 0},
	}}
	for i, c := range []struct {
		name    string
		request grant.Request
		less    map[string]any
	}{
		{"as asked", asked, map[string]any{}},
		{"shorter", asked, map[string]any{"maxs": 300}},
		{"everything less", wide, map[string]any{"maxs": 600, "exp": asked.NBF + 3600, "class": "observe", "channels": []string{"files-out", "shell"}}},
		{"an extension", longer, map[string]any{}},
		{"with critical sections", flashing, map[string]any{}},
		{"without critical sections", flashing, map[string]any{"nocrit": true}},
		{"of a class that has none", flashing, map[string]any{"class": "non-disruptive"}},
	} {
		raw := marshal(t, c.request)
		g, err := grant.Draft(raw, draftsAgent, changed(t, grant.Less{}, c.less))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		g.GID = session.ID{0: byte(i), 15: 1}.Text()
		if err := grant.Answers(g, raw, draftsAgent); err != nil || g.Narrows(c.request) != (len(c.less) > 0) {
			t.Errorf("%s: %v, narrower %v", c.name, err, g.Narrows(c.request))
		}
		if grant.Answers(g, marshal(t, longer), draftsAgent) == nil != (c.name == "an extension") || grant.Answers(g, raw, g.Req) == nil {
			t.Errorf("%s: it answers another request, or at another agent", c.name)
		}
		doc, salt, token := marshal(t, g), [32]byte{byte(i), 31: 7}, "e30.e30.c2ln"
		gh := grant.GrantHash(doc)
		all.Drafts = append(all.Drafts, drafted{c.name, string(raw), g.Agent, g.GID, c.less, string(doc), hex.EncodeToString(gh[:]), token, salt[:], grant.ApproveNonce(doc, token, salt)})
	}
	for _, change := range all.Refused {
		if change["maxs"] == 0 { // for Draft it is all that was asked
			continue
		}
		if g, err := grant.Draft(marshal(t, asked), draftsAgent, changed(t, grant.Less{}, change)); err == nil {
			t.Errorf("a grant with %v goes beyond the request: %+v", change, g)
		}
	}
	for _, less := range []grant.Less{{MaxS: 60}, {Channels: []session.Channel{}}} {
		if g, err := grant.Draft(marshal(t, longer), draftsAgent, less); err == nil {
			t.Errorf("an extension with %+v: %+v", less, g)
		}
	}
	for _, id := range []session.ID{{15: 1}, {0xff, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, {0x80}} {
		all.IDs = append(all.IDs, [2]string{id.Text(), id.Request()})
	}
	holdVectors(t, "webgrant.json", all)
}
