package doctor_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/session"
)

// Each thing that is wrong with a token is one line, and the rest stays well.
func TestClaimByClaim(t *testing.T) {
	now := time.Unix(1_780_000_000, 0)
	i := session.Issuer{URL: "https://idp.example", Tokens: session.Tokens{Subject: "oid", Tenant: "t1", GroupsClaim: "roles", Fresh: "3m"}}
	good := map[string]any{"oid": "o1", "tid": "t1", "roles": []string{session.GroupApprovers}, "auth_time": now.Unix() - 100, "upn": "anna@northfield.example"}
	for name, row := range map[string]struct {
		change map[string]any
		says   string // of the one line that fails; empty: none
	}{
		"good":           {nil, ""},
		"no subject":     {map[string]any{"oid": nil}, "claim oid: It is missing"},
		"wrong tenant":   {map[string]any{"tid": "t2"}, "claim tid: It is t2"},
		"wrong group":    {map[string]any{"roles": "auditors"}, "claim roles: The group scanner-approvers did not come; auditors did"},
		"no group":       {map[string]any{"roles": nil}, "claim roles: No group came"},
		"no auth_time":   {map[string]any{"auth_time": nil}, "claim auth_time: It is missing"},
		"an old login":   {map[string]any{"auth_time": now.Unix() - 400}, "claim auth_time: The sign-in was 6m40s before"},
		"in the future":  {map[string]any{"auth_time": now.Unix() + 400}, "claim auth_time: It is 6m40s in the future"},
		"not of its own": {map[string]any{"iat": now.Unix() - 400}, ""},
	} {
		claims := maps.Clone(good)
		for k, v := range row.change {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		payload, _ := json.Marshal(claims)
		token := "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"
		var failed []string
		for _, c := range doctor.Claims(i, session.Approver, token, now) {
			if c.Result == doctor.Fail {
				failed = append(failed, c.Name+": "+c.Says)
			}
			if (c.Result == doctor.OK) != (c.Next == "") {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if got := strings.Join(failed, "; "); len(failed) > 1 || (row.says == "") != (got == "") || !strings.HasPrefix(got, row.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
