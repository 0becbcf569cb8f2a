package device

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// transport is what the agent offers a device. ChaCha20 is left out, because the
// agent cannot know beforehand whether the device has strict key exchange.
func transport(legacy bool) ssh.Config {
	c := ssh.Config{
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256,
			ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521, ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
		},
		Ciphers: []string{
			ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
		},
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
	}
	if legacy {
		old := ssh.InsecureAlgorithms()
		c.KeyExchanges = append(c.KeyExchanges, ssh.KeyExchangeDHGEXSHA256)
		c.KeyExchanges = append(c.KeyExchanges, old.KeyExchanges...)
		c.Ciphers = append(c.Ciphers, slices.DeleteFunc(old.Ciphers, func(s string) bool { return strings.HasPrefix(s, "arcfour") })...)
		c.MACs = append(c.MACs, ssh.HMACSHA1)
		c.MACs = append(c.MACs, old.MACs...)
	}
	return c
}

// hostKeyFamilies are tried one after the other until the device shows the pinned
// key: with a fingerprint alone nobody knows which of its keys is meant.
func hostKeyFamilies(kind string, legacy bool) [][]string {
	families := [][]string{
		{ssh.KeyAlgoED25519},
		{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
		{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	}
	if legacy {
		families[2] = append(families[2], ssh.KeyAlgoRSA)
		//lint:ignore SA1019 the oldest devices know nothing else, and their key is pinned
		families = append(families, []string{ssh.InsecureKeyAlgoDSA})
	}
	if kind == "" {
		return families
	}
	for _, f := range families {
		if slices.Contains(f, kind) || kind == ssh.KeyAlgoRSA && f[0] == ssh.KeyAlgoRSASHA512 {
			if kind != ssh.KeyAlgoRSA {
				return [][]string{{kind}}
			}
			return [][]string{f}
		}
	}
	return [][]string{{kind}}
}
