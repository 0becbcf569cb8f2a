package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/session/durable"
)

// The journal: a header that names the first entry it holds, then groups. A group
// is 4 bytes length, 4 bytes CRC-32C and the entries as in a bundle; integers are
// big endian.
const (
	journalMagic  = "sallyport-audit-journal/1\n"
	journalHeader = len(journalMagic) + 8
)

// disk is how the log writes; tests have one that fails.
type disk struct {
	write func(f *os.File, b []byte) (int, error)
	sync  func(f *os.File) error
	put   func(path string, data []byte) error // whole or not at all
}

func realDisk() disk { return disk{(*os.File).Write, durable.SyncData, durable.Write} }

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func groupBytes(entries [][]byte) []byte {
	body := bundle(entries)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, checksum(body))
	return append(b, body...)
}

// readJournal reads a journal up to the first group that is not whole. good is how
// many bytes count.
func readJournal(b []byte) (base int64, groups [][][]byte, good int, err error) {
	if len(b) < journalHeader || string(b[:len(journalMagic)]) != journalMagic {
		return 0, nil, 0, fmt.Errorf("%w: that is not its journal", ErrLost)
	}
	base = int64(binary.BigEndian.Uint64(b[len(journalMagic):]))
	if base < 0 || base%width != 0 {
		return 0, nil, 0, fmt.Errorf("%w: its journal begins nowhere", ErrLost)
	}
	for good = journalHeader; good+8 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[good:]))
		if n == 0 || n > maxFrame || good+8+n > len(b) {
			break
		}
		body := b[good+8 : good+8+n]
		if checksum(body) != binary.BigEndian.Uint32(b[good+4:]) {
			break
		}
		entries, err := unbundle(body)
		if err != nil {
			break
		}
		groups = append(groups, entries)
		good += 8 + n
	}
	return base, groups, good, nil
}

// openJournal opens the journal, or makes the first one, and cuts a torn tail off.
func (l *Log) openJournal() (base int64, groups [][][]byte, err error) {
	name := filepath.Join(l.cfg.Dir, "journal")
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return l.firstJournal()
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the audit log's journal: %w", err)
	}
	base, groups, good, err := readJournal(b)
	if err != nil {
		return 0, nil, err
	}
	if l.journal.file, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return 0, nil, fmt.Errorf("open the audit log's journal: %w", err)
	}
	l.journal.length = int64(good)
	if good < len(b) {
		if err := errors.Join(l.journal.file.Truncate(int64(good)), l.journal.file.Sync()); err != nil {
			return 0, nil, fmt.Errorf("repair the audit log's journal: %w", err)
		}
	}
	return base, groups, nil
}

// firstJournal begins a log, but never over the remains of one.
func (l *Log) firstJournal() (int64, [][][]byte, error) {
	for _, name := range []string{"checkpoint", "tile"} {
		if _, err := os.Lstat(filepath.Join(l.cfg.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			return 0, nil, errors.Join(fmt.Errorf("%w: its journal is gone", ErrLost), err)
		}
	}
	return 0, nil, l.newJournal(0, nil)
}

// newJournal replaces the journal by one that begins at base.
func (l *Log) newJournal(base int64, tail [][]byte) error {
	b := binary.BigEndian.AppendUint64([]byte(journalMagic), uint64(base))
	if len(tail) > 0 {
		b = append(b, groupBytes(tail)...)
	}
	if err := l.disk.put(filepath.Join(l.cfg.Dir, "journal"), b); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.cfg.Dir, "journal"), os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log's journal: %w", err)
	}
	if l.journal.file != nil {
		_ = l.journal.file.Close() // it has no name any more
	}
	l.journal.file, l.journal.length = f, int64(len(b))
	return nil
}

func (l *Log) appendJournal(entries [][]byte) error {
	b := groupBytes(entries)
	if _, err := l.disk.write(l.journal.file, b); err != nil {
		_ = l.journal.file.Truncate(l.journal.length) // a full disk gets its room back
		return fmt.Errorf("write the audit log: %w", err)
	}
	if err := l.disk.sync(l.journal.file); err != nil {
		return fmt.Errorf("sync the audit log: %w", err)
	}
	l.journal.length += int64(len(b))
	return nil
}

// LoadKey loads the log's key, or makes it the first time: PKCS #8 in PEM, 0600.
func LoadKey(file string) (ed25519.PrivateKey, error) {
	if err := durable.Once(file, 0o600, makeKey); err != nil {
		return nil, fmt.Errorf("make the audit log's key: %w", err)
	}
	raw, err := durable.ReadPrivate(file, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the audit log's key: %w", err)
	}
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("the audit log's key %s is not one PEM block", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the audit log's key: %w", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the audit log's key is a %T, not ed25519", parsed)
	}
	return key, nil
}

func makeKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
