package idtoken

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a compact token taken apart, nothing of it believed yet.
type token struct {
	header  object
	payload object
	raw     []byte // the payload's bytes
}

// object is a JSON object whose names are compared exactly. encoding/json would
// let NONCE stand in for nonce.
type object map[string]any

// open takes a compact token apart: three segments of canonical base64url, of which
// the first two are JSON objects without duplicate names.
func open(compact string) (token, error) {
	const message = "The sign-in token is not a signed token in compact form."
	if len(compact) == 0 || len(compact) > MaxToken {
		return token{}, malformed(message, fmt.Errorf("%d bytes", len(compact)))
	}
	parts := strings.SplitN(compact, ".", 4)
	if len(parts) != 3 {
		return token{}, malformed(message, fmt.Errorf("not 3 segments"))
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := segment(part)
		if err != nil {
			return token{}, malformed(message, err)
		}
		decoded[i] = b
	}
	header, err := parseObject(decoded[0])
	if err != nil {
		return token{}, malformed(message, fmt.Errorf("header: %w", err))
	}
	payload, err := parseObject(decoded[1])
	if err != nil {
		return token{}, malformed(message, fmt.Errorf("payload: %w", err))
	}
	return token{header: header, payload: payload, raw: decoded[1]}, nil
}

// segment decodes one segment and insists on its one spelling; the decoder alone
// would skip line breaks.
func segment(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, errors.New("empty or not canonical segment")
	}
	return b, nil
}

// Unverified is what a token claims before anything was checked. It only serves to
// choose which pin to check against, or to match a token that was checked before.
type Unverified struct {
	Issuer   string
	Nonce    string
	Audience string // empty where there is not exactly one
}

// Peek reads a token strictly and believes nothing.
func Peek(compact string) (Unverified, error) {
	tok, err := open(compact)
	if err != nil {
		return Unverified{}, err
	}
	iss, _ := tok.payload["iss"].(string)
	nonce, _ := tok.payload["nonce"].(string)
	aud, _ := tok.payload["aud"].(string)
	if list, isList := tok.payload["aud"].([]any); isList && len(list) == 1 {
		aud, _ = list[0].(string)
	}
	return Unverified{Issuer: iss, Nonce: nonce, Audience: aud}, nil
}

// Read is a token's claims, strictly read and not believed: for telling people what came.
func Read(compact string) (map[string]any, error) {
	tok, err := open(compact)
	return tok.payload, err
}

// checkHeader applies the header rules: a pinned algorithm, a key id, no critical
// extensions, no key of its own, no compression, no other type of token.
func (t token) checkHeader(algorithms []string) error {
	alg, _ := t.header["alg"].(string)
	if !slices.Contains(algorithms, alg) {
		return malformed("The sign-in token is signed in a way that is not allowed here.", fmt.Errorf("alg %.20q", alg))
	}
	if kid, _ := t.header["kid"].(string); kid == "" || len(kid) > 256 {
		return malformed("The sign-in token does not name its signing key.", nil)
	}
	for _, name := range []string{"crit", "jwk", "zip", "enc", "b64"} {
		if _, ok := t.header[name]; ok {
			return malformed("The sign-in token has a header that is not allowed here.", fmt.Errorf("header %s", name))
		}
	}
	typ, isText := t.header["typ"].(string)
	if _, ok := t.header["typ"]; ok && (!isText || !strings.EqualFold(typ, "JWT")) { // RFC 7515: a media type, in any case
		return malformed("The token is not a sign-in token.", fmt.Errorf("typ %.40v", t.header["typ"]))
	}
	return nil
}

// parseObject reads one JSON object strictly: valid UTF-8, no duplicate names at any
// depth, no names at the top that differ only in case, bounded depth, nothing after
// it. Numbers stay json.Number.
func parseObject(b []byte) (object, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(b) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("data after the object")
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("not an object")
	}
	folded := make(map[string]bool, len(o))
	for name := range o {
		f := fold(name)
		if folded[f] {
			return nil, fmt.Errorf("names that differ only in case: %.40q", name)
		}
		folded[f] = true
	}
	return o, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return readObject(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	default:
		return t, nil
	}
}

func readObject(d *json.Decoder, depth int) (any, error) {
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a name that is not a string")
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("duplicate name %.40q", name)
		}
		if o[name], err = readValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return o, err
}

// fold maps every spelling that encoding/json would take for the same name to one:
// the smallest rune of each simple-folding orbit, so that even the Kelvin sign and
// the long s are found.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
