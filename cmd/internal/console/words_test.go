package console_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	local "github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/console"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/exchange"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/grant"
)

var update = flag.Bool("update", false, "write WORDS.md")

// What a word that somebody reads or signs can rest on.
const (
	asked   = "the request's bytes, which the engineer's sign-in signs"
	given   = "the grant's bytes, which the approver's sign-in signs"
	bundle  = "the hospital's trust bundle"
	idp     = "the identity provider's signed token"
	owned   = "the identity provider's signed token, held against the domains that the bundle leaves to it"
	agent   = "the agent's signature over the recording"
	checked = "computed on the reader's machine"
	claimed = "the broker's word, and said to be"
	typed   = "the engineer's own words, and said to be unverified"
	proven  = "the documents and tokens that the agent verified, from its ledger"
	ruled   = "the agent's own configuration"
	seen    = "what the agent does and sees itself"
	logged  = "the broker's signed checkpoints, held against the keys that the hospital accepted"
)

// word is a field that people read as what is so.
type word struct{ source, how string }

// page is what one kind of reader sees.
type page struct {
	title string
	shown any
	words map[string]word
}

func pages() []page {
	return []page{
		{"The approver, at the hospital console (`sallyport approve`, page and terminal)", console.View{}, map[string]word{
			"Request": {asked, "its id; another request than the one asked for is refused"}, "Scanner": {asked, "SITE/ASSET, of the site whose bundle verifies it"},
			"Label": {claimed, "the scanner's description"}, "Services": {given, ""},
			"Who.Name": {idp, "cut down to what names are made of; no identity"}, "Who.Email": {owned, "empty where the domain is not the provider's own"},
			"Who.Sub": {idp, "with the issuer, the identity that the request's bytes name"}, "Who.Issuer": {bundle, "pinned there; the token is of no other"}, "Who.SignedIn": {idp, "iat, or auth_time where later"},
			"Station.State": {checked, ""}, "Station.Title": {checked, "from the rows above"}, "Station.Proof": {checked, ""},
			"Wants":    {given, "an extension's end is the latest that the bytes allow, beside the first grant's verified length; the present end is the broker's word, and said to be"},
			"Cautions": {checked, "from the channels, the class and the client that are signed; what a service speaks is the broker's word; another approver is named where their sign-in for the very bytes is verified here"},
			"Patients": {claimed, "how the scanner stands, by what its agent told the broker; the agent decides by what it knows itself"},
			"Reason":   {typed, ""}, "WorkOrder": {typed, ""}, "Count": {claimed, "how many have answered"},
			"Longest.Value": {given, "never longer than asked"}, "Longest.Words": {checked, ""}, "Longest.On": {given, ""},
			"Channels.Value": {given, "none that was not asked for"}, "Channels.Words": {checked, ""}, "Channels.On": {given, ""},
			"Critical.Value": {checked, ""}, "Critical.Words": {asked, "how long in all, as the engineer signed"}, "Critical.On": {given, ""},
			"Narrowed": {checked, "grant against request, field by field"}, "Checked": {checked, "each line says by what"}, "SignIn": {bundle, ""},
			"Documents.Title": {checked, ""}, "Documents.Hash": {checked, "of the bytes below it"}, "Documents.Text": {given, "the request's and the grant's exact bytes"},
			"GrantHash": {checked, "of the bytes that the approver's nonce covers"}, "Problem": {checked, ""},
		}},
		{"The engineer signs a request", grant.Request{}, map[string]word{
			"V": {asked, ""}, "Typ": {asked, ""}, "RID": {asked, "made on the engineer's machine"}, "Kind": {asked, ""},
			"Parent": {asked, "an extension's: the grant of the session, which this engineer's first request allowed"},
			"Site":   {asked, "as typed, or the one site with that scanner; its bundle names the agent"}, "Asset": {asked, "as typed"}, "Services": {asked, "as typed; an extension's: the first grant's"},
			"Class": {asked, "as typed; an extension's: the first grant's"}, "Channels": {asked, "as typed; an extension's: the first grant's"},
			"NBF": {asked, ""}, "EXP": {asked, "an extension's: the present end by the broker's word, refused beyond what this engineer signed before, and the time that was typed"},
			"MaxS": {asked, "an extension's: from the session's beginning, refused before the first grant's"}, "Crit": {asked, "shown as a line of its own; none where it is not written"}, "Eng.Iss": {bundle, ""}, "Eng.Sub": {idp, "the token names no other"},
			"Key": {asked, "made on the engineer's machine"}, "Reason": {typed, ""}, "Ref": {typed, ""},
		}},
		{"The approver signs a grant", grant.Grant{}, map[string]word{
			"V": {given, ""}, "Typ": {given, ""}, "GID": {given, "made on the approver's machine, or an earlier approver's verified bytes"}, "Req": {checked, "the hash of the request's bytes"},
			"Site": {asked, ""}, "Agent": {bundle, "the fingerprint of its identity key"}, "Asset": {asked, ""}, "Services": {asked, ""}, "Class": {asked, ""},
			"Channels": {given, "the request's, or fewer"}, "NBF": {asked, ""}, "EXP": {asked, ""}, "MaxS": {given, "the request's, or less"}, "Crit": {given, "the request's, or none"}, "Obl": {given, "recording is always among them"},
		}},
		{"The engineer signs an activation (`sallyport activate`)", api.Activation{}, map[string]word{
			"Key": {checked, "made on the engineer's machine; the nonce covers it and the hash of the grant's bytes"}, "Token": {idp, "of the request's own engineer, or nothing is handed in"}, "Salt": {checked, ""},
		}},
		{"The engineer reads what an activation opens, before the sign-in", home.Key{}, map[string]word{
			"Request": {asked, "verified as this engineer's own; another request or grant than the one asked for is refused"}, "Site": {given, "which go no further than the request's"}, "Asset": {given, ""}, "Services": {given, ""},
			"Created": {checked, ""}, "NotAfter": {given, ""}, "Path": {checked, ""},
		}},
		{"The operator reads the agent's status (`sallyport-agent status`)", local.Status{}, map[string]word{
			"Site": {ruled, ""}, "Agent": {ruled, ""}, "Version": {seen, ""}, "Identity": {seen, "of its own key"}, "Assets": {ruled, ""}, "Link.Up": {seen, ""}, "Link.Since": {seen, ""},
			"Sessions.ID": {proven, ""}, "Sessions.Asset": {proven, ""}, "Sessions.Service": {seen, "of the first connection, within the grant"},
			"Sessions.Engineer.Iss": {proven, ""}, "Sessions.Engineer.Sub": {proven, ""}, "Sessions.Engineer.Email": {proven, "empty where the domain is not the issuer's by the agent's configuration"}, "Sessions.Engineer.Name": {proven, "a name, no identity"},
			"Sessions.Opened": {seen, ""}, "Sessions.Deadline": {proven, "counted from the opening"}, "Sessions.Connections": {seen, ""}, "Sessions.Recordings": {seen, ""}, "Sessions.Frozen": {seen, "a cause that came from the broker is called so"},
			"Admitted.ID": {proven, ""}, "Admitted.Request": {proven, ""}, "Admitted.Asset": {proven, ""}, "Admitted.Services": {proven, ""}, "Admitted.NotAfter": {proven, ""},
			"Admitted.Engineer.Iss": {proven, ""}, "Admitted.Engineer.Sub": {proven, ""}, "Admitted.Engineer.Email": {proven, "as in a session"}, "Admitted.Engineer.Name": {proven, "a name, no identity"},
			"Barred.Session": {seen, ""}, "Barred.Asset": {seen, "as it was typed here, or came from the broker"}, "Barred.Engineer": {seen, "as it was typed here, or came from the broker"}, "Barred.All": {seen, ""},
			"Nodes.Origin": {logged, ""}, "Nodes.Key": {logged, "the accepted one"}, "Nodes.Accepted": {seen, ""}, "Nodes.Size": {logged, ""}, "Nodes.Taken": {seen, ""}, "Nodes.Cosigned": {logged, "nodes that the hospital accepted"}, "Nodes.Trouble": {seen, ""}, "Nodes.Since": {seen, ""},
			"Strangers.Name": {ruled, ""}, "Strangers.Origin": {claimed, "the name under which the node shows its log"}, "Strangers.Forged": {seen, ""}, "Strangers.Since": {seen, ""},
			"Stuck.Recording": {seen, ""}, "Stuck.Session": {agent, "the recording's own header"}, "Stuck.Part": {seen, ""}, "Stuck.Parts": {seen, ""}, "Stuck.Since": {seen, ""},
			"Stuck.Message": {claimed, "what the broker answered, after the agent's own words"}, "Stuck.Next": {claimed, "the broker's advice is called that; anything else is the agent's own"}, "Clock": {seen, ""},
			"Readings.Asset": {ruled, ""}, "Readings.Source": {ruled, "its kind, or lamp"}, "Readings.State": {seen, "as a person at the agent, a wire or a device told it; a device only restricts"},
			"Readings.Says": {seen, "in words of the agent's, cleaned where a device or a system wrote some"}, "Readings.At": {seen, "by the agent's clock"},
			"Page": {seen, "of the agent's own: where it is, and the fingerprint of its certificate"},
		}},
		{"The operator reads what a kill closed (`sallyport-agent kill`)", local.Killed{}, map[string]word{
			"Sessions": {proven, ""}, "Grants.ID": {proven, ""}, "Grants.Request": {proven, ""}, "Grants.Asset": {proven, ""}, "Grants.Services": {proven, ""}, "Grants.NotAfter": {proven, ""},
			"Grants.Engineer.Iss": {proven, ""}, "Grants.Engineer.Sub": {proven, ""}, "Grants.Engineer.Email": {proven, "as in a session"}, "Grants.Engineer.Name": {proven, "a name, no identity"}, "Requests": {proven, ""},
		}},
		{"The operator reads what a freeze or a thaw did (`sallyport-agent freeze`, `thaw`)", local.Frozen{}, map[string]word{
			"Session": {proven, ""}, "Asset": {seen, "as it was typed"}, "Engineer": {seen, "as it was typed"}, "All": {seen, ""}, "Frozen": {seen, ""}, "Sessions": {proven, ""},
		}},
		{"The engineer, and who watches, reads what changes in a session (page, `ssh`, `sallyport connect`)", attach.Notice{}, map[string]word{
			"Type": {seen, ""}, "Deadline": {proven, "counted from the opening"}, "LeftSeconds": {seen, "by the agent's clock"}, "Causes": {seen, "a cause that came from the broker is called so"},
			"Status": {seen, "as the device told it"}, "Reason": {seen, ""}, "Masked": {ruled, ""}, "People": {idp, "who watch, by the tokens that the agent verified"}, "Shells": {seen, ""}, "Shown": {seen, ""},
			"Text": {seen, "of a freeze by hand it says what becomes of what is typed, which differs: bytes wait for the thaw, keys and clicks at a console are dropped"},
		}},
		{"The auditor reads a recording's head (`recordings play`, `export`, `verify`)", recordings.Header{}, map[string]word{
			"Recording": {agent, "and it is the one that was asked for"}, "Session": {agent, ""}, "Request": {agent, ""}, "GrantHash": {agent, "and of the grant in the evidence pack"},
			"Site": {agent, "with the key of that site's bundle, or \"signer unknown\""}, "Agent": {agent, "the fingerprint of the key that signs"}, "Asset": {agent, ""}, "Service": {agent, ""}, "Protocol": {agent, ""},
			"Engineer.Iss": {agent, "and the token in the pack"}, "Engineer.Sub": {agent, "and the token in the pack"}, "Engineer.Email": {agent, "which held it against its own configuration's domains"}, "Engineer.Name": {agent, "a name, no identity"},
			"Approvers.Iss": {agent, "and the tokens in the pack"}, "Approvers.Sub": {agent, "and the tokens in the pack"}, "Approvers.Email": {agent, "which held it against its own configuration's domains"}, "Approvers.Name": {agent, "a name, no identity"},
			"WorkOrder": {typed, "as the request's bytes say"}, "Started": {agent, "its clock; the broker's countersignatures say by when it was seen"},
		}},
		{"The auditor reads a verdict (`verify`)", exchange.Result{}, map[string]word{
			"Result": {checked, "from the bytes and the bundle alone"}, "Segment": {checked, ""}, "Offset": {checked, ""}, "Reason": {checked, "people in it as the bundle lets their issuer name them"},
		}},
	}
}

// Every word that people sign or read as verified says on what it rests: a new field has no
// row, and fails here until somebody has thought of it.
func TestEveryWordHasASource(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What each word rests on\n\nWritten by the tests of this package (`go test ./cmd/internal/console -run Word -update`), which fail while a field\nthat people sign or read as verified has no row.\n")
	for _, p := range pages() {
		fields := fieldsOf("", reflect.TypeOf(p.shown))
		fmt.Fprintf(&b, "\n## %s\n\n| word | rests on | and |\n|---|---|---|\n", p.title)
		for _, f := range fields {
			w, ok := p.words[f]
			if !ok {
				t.Errorf("%s: %s rests on nothing", p.title, f)
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", f, w.source, w.how)
		}
		for f := range p.words {
			if !slices.Contains(fields, f) {
				t.Errorf("%s: nobody is shown %s", p.title, f)
			}
		}
	}
	if *update {
		if err := os.WriteFile("WORDS.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("WORDS.md")
	if err != nil || string(kept) != b.String() {
		t.Errorf("WORDS.md is not what the table says (%v): run go test ./cmd/internal/console -run Word -update, and read the difference", err)
	}
}

// fieldsOf lists what a type shows, in the order in which it says it.
func fieldsOf(path string, of reflect.Type) (all []string) {
	for of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
		return []string{path}
	}
	for i := range of.NumField() {
		f := of.Field(i)
		switch {
		case f.Anonymous:
			all = append(all, fieldsOf(path, f.Type)...)
		case f.IsExported():
			all = append(all, fieldsOf(strings.TrimPrefix(path+"."+f.Name, "."), f.Type)...)
		}
	}
	return all
}
