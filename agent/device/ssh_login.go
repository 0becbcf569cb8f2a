package device

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// methods reads the secrets and returns what makes the ways to log in, fresh for
// each attempt: public key first, then password, then the same password where the
// device asks for it by keyboard-interactive.
func (l Login) methods(legacy bool) (func() []ssh.AuthMethod, error) {
	var signer ssh.Signer
	var password string
	var err error
	if !l.Key.IsZero() {
		if signer, err = l.signer(legacy); err != nil {
			return nil, &errSecret{err}
		}
	}
	if !l.Password.IsZero() {
		if password, err = l.Password.Line(); err != nil {
			return nil, &errSecret{err}
		}
	}
	return func() []ssh.AuthMethod {
		var m []ssh.AuthMethod
		if signer != nil {
			m = append(m, ssh.PublicKeys(signer))
		}
		if password != "" {
			m = append(m, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
		}
		return m
	}, nil
}

// signer reads the private key. What x/crypto says of a bad one may quote it, so
// its words are not passed on.
func (l Login) signer(legacy bool) (ssh.Signer, error) {
	raw, err := l.Key.Read()
	if err != nil {
		return nil, err
	}
	var signer ssh.Signer
	if l.Passphrase.IsZero() {
		signer, err = ssh.ParsePrivateKey(raw)
	} else {
		var phrase string
		if phrase, err = l.Passphrase.Line(); err != nil {
			return nil, err
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(raw, []byte(phrase))
	}
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		return nil, fmt.Errorf("%s: the key needs a passphrase", l.Key)
	case err != nil && !l.Passphrase.IsZero():
		return nil, fmt.Errorf("%s: not a private key, or the passphrase is wrong", l.Key)
	case err != nil:
		return nil, fmt.Errorf("%s: not a private key", l.Key)
	}
	if multi, ok := signer.(ssh.AlgorithmSigner); ok && signer.PublicKey().Type() == ssh.KeyAlgoRSA && !legacy {
		return ssh.NewSignerWithAlgorithms(multi, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
	}
	return signer, nil
}

// errPrompt is a keyboard-interactive question that the agent does not answer.
var errPrompt = errors.New("device asks for more than one hidden password")

// answer answers one hidden prompt that asks for a password, once, and empty
// rounds; everything else fails the login, so that a device cannot ask for more.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	rounds, given := 0, false
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		rounds++
		switch {
		case rounds > 4:
			return nil, errPrompt
		case len(questions) == 0:
			return nil, nil
		case len(questions) != 1 || echos[0] || given || !asksPassword(questions[0]):
			return nil, errPrompt
		}
		given = true
		return []string{password}, nil
	}
}

func asksPassword(prompt string) bool {
	p := strings.ToLower(prompt)
	return len(p) <= 256 && (strings.Contains(p, "password") || strings.Contains(p, "passwort") ||
		strings.Contains(p, "passcode") || strings.Contains(p, "passwd"))
}
