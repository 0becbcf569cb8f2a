// Package hostile takes the broker over: a real agent, real identity providers and a
// real device, with a broker in between that forges, replays, widens, redirects,
// swaps keys and prolongs. The agent must refuse each, and not a byte may reach the
// device. It holds tests only.
package hostile
