package grant_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

var carl = person{"carl", session.GroupAuditors}

// watch is a viewer's proof for a session and a key, made in the console.
func (w *world) watch(id, key string, who person, changes map[string]any) grant.Proof {
	salt := grant.NewSalt()
	return grant.Proof{Token: w.token(w.hospital, "sallyport-console", grant.WatchNonce(id, key, salt), who, changes), Salt: salt[:]}
}

// Leave to watch is given by a fresh token of the hospital's over session and key, or not
// at all.
func TestWatchRefused(t *testing.T) {
	id, other, key := session.ID{1}.Session(), session.ID{2}.Session(), keyLine(2)
	signed := func(w *world, iss, client, nonce string, salt [32]byte, who person) grant.Proof {
		return grant.Proof{Token: w.token(iss, client, nonce, who, nil), Salt: salt[:]}
	}
	rows := []struct {
		name  string
		proof func(w *world) grant.Proof
		kind  session.Kind
	}{
		{"no token", func(*world) grant.Proof { return grant.Proof{Salt: make([]byte, 32)} }, session.Invalid},
		{"no salt", func(w *world) grant.Proof { p := w.watch(id, key, anna, nil); p.Salt = nil; return p }, session.Invalid},
		{"another session", func(w *world) grant.Proof { return w.watch(other, key, anna, nil) }, session.Invalid},
		{"another key", func(w *world) grant.Proof { return w.watch(id, keyLine(3), anna, nil) }, session.Invalid},
		{"the vendor's identity provider", func(w *world) grant.Proof {
			salt := grant.NewSalt()
			return signed(w, w.vendor, "sallyport-cli", grant.WatchNonce(id, key, salt), salt, anna)
		}, session.Denied},
		{"an engineer's group", func(w *world) grant.Proof { return w.watch(id, key, eva, nil) }, session.Denied},
		{"no group", func(w *world) grant.Proof { return w.watch(id, key, anna, map[string]any{"groups": nil}) }, session.Denied},
		{"a client that only signs people in", func(w *world) grant.Proof {
			salt := grant.NewSalt()
			return signed(w, w.hospital, "sallyport-cli", grant.WatchNonce(id, key, salt), salt, anna)
		}, session.Refused},
		{"the broker's web page where only the console is accepted", func(w *world) grant.Proof {
			salt := grant.NewSalt()
			return signed(w, w.hospital, "sallyport-web", grant.WatchNonce(id, key, salt), salt, anna)
		}, session.Refused},
		{"minted 16 minutes ago", func(w *world) grant.Proof {
			return w.watch(id, key, anna, map[string]any{"iat": w.now.Unix() - 16*60})
		}, session.Expired},
		{"expired", func(w *world) grant.Proof {
			return w.watch(id, key, anna, map[string]any{"iat": w.now.Unix() - 600, "exp": w.now.Unix() - 300})
		}, session.Expired},
		{"an approval", func(w *world) grant.Proof {
			salt := grant.NewSalt()
			return signed(w, w.hospital, "sallyport-console", grant.Nonce(grant.RoleApprove, grant.WatchSubject(id), grant.KeyHash(key), salt), salt, anna)
		}, session.Invalid},
		{"a login", func(w *world) grant.Proof {
			salt := grant.NewSalt()
			return signed(w, w.hospital, "sallyport-console", grant.LoginNonce("https://broker.example", key, salt), salt, anna)
		}, session.Invalid},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			_, _, err := w.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, key, row.proof(w), w.now)
			refusedAs(t, err, row.kind)
			t.Logf("ATTACK | leave to watch by %s | refused | %s | holds", row.name, session.KindOf(err))
		})
	}
	w := newWorld(t)
	_, _, err := w.verifier.CheckWatch(t.Context(), "NGH-CT9", id, key, w.watch(id, key, anna, nil), w.now)
	refusedAs(t, err, session.Refused)
	_, _, err = w.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, "ssh-ed25519 AAAA", w.watch(id, "ssh-ed25519 AAAA", anna, nil), w.now)
	refusedAs(t, err, session.Invalid)
}

// A token lasts 15 minutes from when it was minted, however late it comes and however often.
func TestWatchLastsFromWhenItWasMinted(t *testing.T) {
	id, key := session.ID{1}.Session(), keyLine(2)
	w := newWorld(t)
	for _, who := range []person{anna, carl} {
		minted := w.now
		p := w.watch(id, key, who, map[string]any{"exp": w.now.Unix() + 3600})
		for _, late := range []time.Duration{0, time.Minute, 14 * time.Minute} {
			r, until, err := w.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, key, p, minted.Add(late))
			if err != nil {
				t.Fatal(err)
			}
			if !until.Equal(minted.Add(grant.WatchTime)) || r.Role != grant.RoleWatch || r.Person.Sub != who.sub || r.Client != session.Console {
				t.Errorf("%v late: until %v, %+v", late, until, r)
			}
		}
	}
	ahead := w.watch(id, key, anna, map[string]any{"iat": w.now.Unix() + 100})
	if _, until, err := w.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, key, ahead, w.now); err != nil || until.After(w.now.Add(grant.WatchTime)) {
		t.Errorf("until %v, %v", until, err)
	}
	// An old login is good: it is renewed without a word.
	old := w.watch(id, key, anna, map[string]any{"auth_time": w.now.Unix() - 6*3600})
	if _, _, err := w.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, key, old, w.now); err != nil {
		t.Error(err)
	}
	web := newWorld(t, asset(func(p *session.Policy) { p.Accept.Approver = []session.ClientClass{session.Web} }))
	salt := grant.NewSalt()
	p := grant.Proof{Token: web.token(web.hospital, "sallyport-web", grant.WatchNonce(id, key, salt), anna, nil), Salt: salt[:]}
	if r, _, err := web.verifier.CheckWatch(t.Context(), "NGH-PETCT1", id, key, p, web.now); err != nil || r.Client != session.Web {
		t.Errorf("%+v, %v", r, err)
	}
}
