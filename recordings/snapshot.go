package recordings

import (
	"encoding/binary"
	"errors"

	"github.com/sallyport/sallyport/session"
)

// A snapshot frame is 1 kind, 1 whether more of it follows, content.
const (
	snapshotHead = 2
	pieceBytes   = session.MaxEventData - snapshotHead

	allThere = '.' // on the connection: the snapshots before are all that there is to know
)

// snapshots are what stands at the begin of a segment, piece by piece.
type snapshots struct {
	all      []session.Snapshot
	size     int
	more     bool // the last one is not whole yet
	complete bool
}

// whole are those of which the last piece was read.
func (s *snapshots) whole() []session.Snapshot {
	if s.more {
		return s.all[:len(s.all)-1]
	}
	return s.all
}

// pieces are the frames of one snapshot, which follow each other in a segment.
func pieces(s session.Snapshot) []frame {
	var out []frame
	for data := s.Data; ; {
		n := min(len(data), pieceBytes)
		f := frame{kind: kindSnapshot, stream: s.Stream, data: append([]byte{byte(s.Kind), 0}, data[:n]...)}
		if data = data[n:]; len(data) == 0 {
			return append(out, f)
		}
		f.data[1] = 1
		out = append(out, f)
	}
}

// take reads a frame and refuses what no recorder writes.
func (s *snapshots) take(f frame) error {
	switch {
	case f.flags != 0 || len(f.data) < snapshotHead || f.data[1] > 1 || len(f.data) > session.MaxEventData:
		return errors.New("a snapshot has a shape that cannot be")
	case s.complete:
		return errors.New("a snapshot follows the last one")
	case f.stream == 0:
		if s.more || len(f.data) != snapshotHead+4 || f.data[0] != allThere || f.data[1] != 0 ||
			binary.BigEndian.Uint32(f.data[snapshotHead:]) != uint32(len(s.all)) {
			return errors.New("the snapshots are not as many as they should be")
		}
		s.complete = true
		return nil
	}
	return s.piece(f)
}

func (s *snapshots) piece(f frame) error {
	kind, content := session.SnapshotKind(f.data[0]), f.data[snapshotHead:]
	switch {
	case !isEvent(byte(kind)):
		return errors.New("a snapshot of unknown kind")
	case f.data[1] == 1 && len(content) != pieceBytes || s.more && len(content) == 0:
		return errors.New("a snapshot's piece has a length that cannot be")
	case s.size+len(content) > maxSnapshots:
		return errors.New("the snapshots are too large")
	}
	s.size += len(content)
	if !s.more {
		if n := len(s.all); n > 0 && s.all[n-1].Stream >= f.stream {
			return errors.New("the snapshots are out of order")
		}
		s.all = append(s.all, session.Snapshot{Stream: f.stream, Kind: kind, Data: content[:len(content):len(content)]})
		s.more = f.data[1] == 1
		return nil
	}
	last := &s.all[len(s.all)-1]
	if last.Stream != f.stream || last.Kind != kind || len(last.Data)+len(content) > maxSnapshot {
		return errors.New("a snapshot's piece belongs elsewhere")
	}
	last.Data, s.more = append(last.Data, content...), f.data[1] == 1
	return nil
}
