package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// isProof tells an inclusion proof by its first line, and leaves the file at its start.
func isProof(f *os.File) bool {
	line := []byte(witness.ProofLine + "\n")
	head := make([]byte, len(line))
	n, err := f.ReadAt(head, 0)
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(head[:n], line)
}

// provedEvent is the answer of verify about a proof.
type provedEvent struct {
	Result string        `json:"result"` // proved, signer-unknown
	Log    string        `json:"log"`
	Index  int64         `json:"index"`
	Size   int64         `json:"size"` // of the log then
	Event  witness.Event `json:"event"`
}

// verifyProof checks the proof of an audit event offline.
func (p *program) verifyProof(f io.Reader, trust []session.Trust) error {
	b, err := io.ReadAll(io.LimitReader(f, witness.MaxInclusion+1))
	if err != nil {
		return err
	}
	proof, err := witness.ParseInclusion(b)
	if err != nil {
		return p.notProved("The file is damaged: it is not an inclusion proof any more")
	}
	named, err := witness.ReadCheckpoint(proof.Checkpoint)
	if err != nil {
		return p.notProved("NOT PROVED: " + err.Error())
	}
	key, err := logKey(trust, named.Origin)
	if err != nil {
		return p.notProved("NOT PROVED: " + explain(err).Message)
	}
	at, err := proof.Included(key)
	if err != nil {
		return p.notProved("NOT PROVED: " + err.Error())
	}
	e, err := witness.ParseEvent(proof.Entry)
	if err != nil || e.Seq != proof.Index {
		return p.notProved("NOT PROVED: the entry is no event of an audit log")
	}
	v := provedEvent{Result: "proved", Log: at.Origin, Index: proof.Index, Size: at.Size, Event: e}
	if key == nil {
		v.Result = "signer-unknown"
	}
	err = p.told(v, nil, func() {
		p.print("Event %s of the audit log of %s, which had %s entries:", fmt.Sprint(proof.Index), at.Origin, fmt.Sprint(at.Size))
		p.print("  %s", strings.Join(p.eventCells(e), "  "))
		if key == nil {
			p.print("Consistent, signer unknown: no trust bundle names the broker's key.")
		} else {
			p.print("It is in the log, and the log is signed by the key in your trust bundle.")
			for _, by := range cosigners(proof.Checkpoint, trust) {
				p.print("The node %s cosigned it, %s.", by.Node.Origin, p.local(by.At))
			}
		}
	})
	if err == nil && key == nil {
		return quietFailure{}
	}
	return err
}

func (p *program) notProved(why string) error {
	if err := p.told(map[string]string{"result": "failed", "why": why}, nil, func() { p.print("%s.", why) }); err != nil {
		return err
	}
	return quietFailure{}
}
