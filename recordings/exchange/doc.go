// Package exchange is what a hospital or a vendor hands to a third party: the
// evidence pack, one file with a recording, the papers that opened its session and
// the countersignatures that fix it in time, and the verification that explains it
// to somebody who trusts neither side. FORMAT.md is the specification. It knows
// recordings and the documents of session/grant; no agent, no broker, no network, no
// clock.
package exchange
