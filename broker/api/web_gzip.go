package api

import (
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// packLevel packs a part of a recording in a sixth of the time that the standard library's
// default takes, into a tenth more bytes: somebody who jumps waits for it.
const packLevel = 3

// packed are the calls whose answers are long and pack well. Nothing secret stands in
// them beside what the caller chose.
func packed(id string) bool {
	return id == "get-recording-replay" || id == "get-recording-part" || id == "get-recording-moment" || id == "get-recording-transcript"
}

// packing compresses a good answer for a client that can read it.
type packing struct {
	call
	out *gzip.Writer // nil: nothing is compressed
}

// pack makes a call's answers compressible. finish must be called after the answer.
func pack(ctx call) (p *packing, finish func()) {
	p = &packing{call: ctx}
	return p, func() {
		if p.out != nil {
			_ = p.out.Close() // the connection is gone; nobody is left to be told
		}
	}
}

// SetStatus decides, because headers cannot be set later.
func (p *packing) SetStatus(code int) {
	p.call.AppendHeader("Vary", "Accept-Encoding")
	if code == http.StatusOK && acceptsGzip(p.call.Header("Accept-Encoding")) {
		p.call.SetHeader("Content-Encoding", "gzip")
		p.out, _ = gzip.NewWriterLevel(p.call.BodyWriter(), packLevel) // fails for levels that are none alone
	}
	p.call.SetStatus(code)
}

func (p *packing) BodyWriter() io.Writer {
	if p.out != nil {
		return p.out
	}
	return p.call.BodyWriter()
}

// acceptsGzip reads an Accept-Encoding header: gzip by name, and not with weight zero.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}
