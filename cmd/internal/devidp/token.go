package devidp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"
)

// code is what an authorization code stands for.
type code struct {
	client, redirect, challenge string
	nonce, scope, sub           string
	authTime, ends              time.Time
}

// putCode keeps c under a fresh secret; false when there are too many.
func (p *Provider) putCode(c code) (string, bool) {
	now := p.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.codes, func(_ string, c code) bool { return now.After(c.ends) })
	if len(p.codes) >= maxCodes {
		return "", false
	}
	secret := rand.Text() + rand.Text()
	p.codes[hashed(secret)] = c
	return secret, true
}

// takeCode uses a code up, whatever comes of it.
func (p *Provider) takeCode(secret string) (code, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.codes[hashed(secret)]
	delete(p.codes, hashed(secret))
	return c, ok && !p.cfg.Now().After(c.ends)
}

// token exchanges a code. Errors are those of RFC 6749 5.2.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		deny(w, http.StatusBadRequest, "invalid_request", "the body must be form-encoded")
		return
	}
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		deny(w, http.StatusBadRequest, "invalid_request", "the form could not be read, or parameters stand in the URL")
		return
	}
	form := r.PostForm
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) > 1 {
			deny(w, http.StatusBadRequest, "invalid_request", "a parameter is repeated")
			return
		}
	}
	if r.Header.Get("Authorization") != "" || form.Get("client_secret") != "" {
		// Checked before the code is touched: some clients try a header first.
		w.Header().Set("WWW-Authenticate", `Basic realm="none"`)
		deny(w, http.StatusUnauthorized, "invalid_client", "clients here are public and have no secret; send client_id in the form")
		return
	}
	client, ok := p.clients[form.Get("client_id")]
	switch {
	case !ok:
		deny(w, http.StatusUnauthorized, "invalid_client", "unknown client")
	case form.Get("grant_type") == "":
		deny(w, http.StatusBadRequest, "invalid_request", "grant_type is missing")
	case form.Get("grant_type") != "authorization_code":
		deny(w, http.StatusBadRequest, "unsupported_grant_type", "only authorization_code exists here")
	case form.Get("code") == "" || form.Get("code_verifier") == "" || form.Get("redirect_uri") == "":
		deny(w, http.StatusBadRequest, "invalid_request", "code, code_verifier and redirect_uri are required")
	default:
		p.exchange(w, client, form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"))
	}
}

func (p *Provider) exchange(w http.ResponseWriter, client Client, secret, redirect, verifier string) {
	c, ok := p.takeCode(secret)
	who, exists := p.person(c.sub)
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case !ok || !exists:
		deny(w, http.StatusBadRequest, "invalid_grant", "the code is unknown, used or expired")
		return
	case c.client != client.ID:
		deny(w, http.StatusBadRequest, "invalid_grant", "the code belongs to another client")
		return
	case c.redirect != redirect:
		deny(w, http.StatusBadRequest, "invalid_grant", "redirect_uri is not the one of the authorization request")
		return
	case len(verifier) < 43 || len(verifier) > 128 || subtle.ConstantTimeCompare([]byte(b64(sum[:])), []byte(c.challenge)) != 1:
		deny(w, http.StatusBadRequest, "invalid_grant", "code_verifier does not match")
		return
	}
	idToken, err := p.Sign(nil, p.claims(who, client.ID, c.nonce, c.authTime.Unix()))
	if err != nil {
		p.cfg.Log.Error("sign token", "err", err)
		deny(w, http.StatusInternalServerError, "server_error", "the token could not be signed")
		return
	}
	// The access token opens nothing here; the response must have one.
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(tokenLife / time.Second),
		"id_token": idToken, "scope": c.scope,
	})
}

func deny(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader may have left
}
