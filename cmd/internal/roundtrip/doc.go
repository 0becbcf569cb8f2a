// Package roundtrip signs people in by browser, at the broker's real handler and with
// real identity providers in between, one of which can be made to lie. It knows the
// broker's doors and the development providers, and holds tests only.
package roundtrip
