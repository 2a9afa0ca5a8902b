// Package audit keeps a log of what programs asked fobd for, and what became of it, that nobody changes unseen.
//
// A record is a line of JSON. Each carries an HMAC-SHA-256 (RFC 2104) over itself, with that of the record before, and
// a file beside the log, the head, says where it ends. Verify finds every record that was edited, cut out, added,
// repeated or moved, and an end or a beginning that was cut off. It does not find
//   - what somebody has done who had the key: they can write another log;
//   - a log and a head that were both put back to what they had been before. The journal knows better, where there is
//     one: it gets the number and the MAC of each record, and Verify compares those that it is told;
//   - what fobd was never asked: programs that open a security key themselves.
//
// A record is on the disk when Append returns. What a crash has left of one that was being written is cut off, and a
// record says so. Where the disk takes no records, they are counted, and a record says how many when it takes them
// again.
package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/durable"
)

// Rotation: at most 64 MiB, some 130,000 records.
const (
	DefaultMaxSize = 8 << 20 // bytes of a file
	DefaultKeep    = 8       // files
)

// Log is an audit log. Set Dir and Key; then its methods may be called by several goroutines. It opens itself when it
// is needed. One process at a time writes a log.
type Log struct {
	Dir string // of mode 0700; it is made when it is missing
	// Key gives the key, of KeySize bytes; always the same. It is asked until it gives one.
	Key     func() ([]byte, error)
	Journal Journal      // gets each record; nil for none
	Log     *slog.Logger // hears of what is wrong with the log; nil for nobody
	MaxSize int64        // of a file; DefaultMaxSize where it is 0
	Keep    int          // files; DefaultKeep where it is 0

	mu      sync.Mutex
	key     []byte
	lock    *os.File // nil while the log is not open, as the next two
	file    *os.File // the last file
	head    *headFile
	end     head   // the state of the log
	size    int64  // of the last file
	filled  bool   // it has more than its first record
	undo    *part  // what must become of a file before it is opened again
	lost    uint64 // records since the last one that could be written
	problem error  // of the last one that could not
	more    chan struct{}
	queue   *queue // nil while nothing was told to the journal
}

// Unavailable says that the log can't be written, or read.
type Unavailable struct{ Err error }

func (e *Unavailable) Error() string { return "the audit log is not available: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *Unavailable) Unwrap() error { return e.Err }

var errFolder = errors.New("the folder must belong to us, with mode 0700")

// Open makes the log ready. Its error, an Unavailable, is that of a log that can't be written now; each later use tries
// again.
func (l *Log) Open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open()
	if err != nil {
		l.problem = err
		return &Unavailable{err}
	}
	return nil
}

// Close lets go of the log, when the journal has what it gets. The next use would open it again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue != nil {
		l.queue.end()
		l.queue = nil
	}
	return l.release()
}

func (l *Log) release() error {
	var errs []error
	if l.head != nil {
		errs = append(errs, l.head.Sync(), l.head.Close())
	}
	for _, f := range []*os.File{l.file, l.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.head, l.file, l.lock = nil, nil, nil
	return errors.Join(errs...)
}

// Append writes a record and returns when it is durable. An error, an Unavailable, means that it is not in the log and
// is counted as lost. The journal gets it all the same. What the record refers to is the log's from now on, and cut to
// size.
func (l *Log) Append(r Record) error {
	r.Kind = cmp.Or(r.Kind, Call)
	r.bound()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.append(&r)
	if err != nil {
		l.fail(err)
		err = &Unavailable{err}
		r.Seq, r.MAC = 0, MAC{}
	}
	l.toJournal(&r)
	return err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (l *Log) append(r *Record) error {
	if err := l.open(); err != nil {
		return err
	}
	if l.lost > 0 {
		if err := l.tell(Record{Kind: Gap, Lost: l.lost}); err != nil {
			return err
		}
		l.lost = 0
	}
	return l.write(r)
}

// tell writes a record about the log itself.
func (l *Log) tell(r Record) error {
	err := l.write(&r)
	if err == nil {
		l.toJournal(&r)
	}
	return err
}

// write writes a record to the last file, or to a new one where that is full.
func (l *Log) write(r *Record) error {
	line, err := l.next(r)
	if err != nil {
		return err
	}
	if l.size+int64(len(line)) > cmp.Or(l.MaxSize, DefaultMaxSize) && l.filled {
		if err := l.rotate(); err != nil {
			return err
		}
		if line, err = l.next(r); err != nil {
			return err
		}
	}
	if _, err := l.file.Write(line); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(l.file.Fd())); err != nil {
		return err
	}
	l.filled = true
	l.wrote(r, len(line))
	return nil
}

// next makes a record the one that follows.
func (l *Log) next(r *Record) ([]byte, error) {
	r.Seq, r.Prev, r.Time = l.end.Seq+1, l.end.MAC, now()
	return r.seal(l.key)
}

// wrote moves the end of the log behind a record that is durable. A head that can't be written stays behind, which the
// next one makes good.
func (l *Log) wrote(r *Record, size int) {
	l.size += int64(size)
	l.end.Seq, l.end.MAC = r.Seq, r.MAC
	if l.problem = l.head.write(l.key, l.end); l.problem != nil {
		l.log().Error("the end of the audit log is not noted", "error", l.problem)
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// fail takes back what there is of a record, and lets go of the log: what a disk says after an error can't be relied
// on.
func (l *Log) fail(err error) {
	l.lost++
	l.problem = err
	l.log().Error("a record of the audit log is lost", "error", err, "lost", l.lost)
	if l.file == nil {
		return
	}
	l.undo = &part{name: filepath.Base(l.file.Name()), size: l.size}
	_ = l.takeBack() // or else before the log is opened again
	_ = l.release()
}

// takeBack removes what was written behind the end of the log.
func (l *Log) takeBack() error {
	if l.undo == nil {
		return nil
	}
	f, err := openPart(l.Dir, l.undo.name, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		l.undo = nil
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(l.undo.size), f.Sync()); err != nil {
		return err
	}
	l.undo = nil
	return nil
}

// writtenByOthers reports whether another process has written the log since we let go of it.
func (l *Log) writtenByOthers() bool {
	f, end, err := openHead(l.Dir, l.key, os.O_RDONLY)
	if err != nil {
		return true
	}
	f.Close()
	return end.Log != l.end.Log || end.Seq > l.end.Seq
}

// open opens the log unless it is open. One that was changed is set aside.
func (l *Log) open() (err error) {
	if l.lock != nil {
		if !removed(l.file) && !removed(l.head.File) {
			return nil
		}
		_ = l.release()
		l.log().Error("the audit log was removed or replaced while it was being written")
	}
	if err := l.prepare(); err != nil {
		return err
	}
	if l.lock, err = durable.Lock(filepath.Join(l.Dir, "lock")); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = l.release()
		}
	}()
	if l.writtenByOthers() {
		l.undo = nil
	}
	if err := l.takeBack(); err != nil {
		return err
	}
	torn, err := l.load()
	if errors.As(err, new(*damage)) || errors.Is(err, errNoPart) || errors.Is(err, errNoRecord) {
		l.log().Error("the audit log was changed; it is set aside, and another one begins", "error", err)
		return l.setAside()
	}
	if err != nil {
		return err
	}
	if torn > 0 {
		return l.tell(Record{Kind: Torn, Bytes: torn})
	}
	return nil
}

// prepare makes the folder and gets the key.
func (l *Log) prepare() (err error) {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(l.Dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s: %w", l.Dir, errFolder)
	}
	if l.key == nil {
		l.key, err = l.Key()
	}
	return err
}

// removed reports whether a file that is open has no name any more.
func removed(f *os.File) bool {
	info, err := f.Stat()
	if err != nil { // which writing will show
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// rotate begins another file, and removes the oldest where there are too many.
func (l *Log) rotate() error {
	if err := l.begin(Record{Kind: Rotated}); err != nil {
		return err
	}
	parts, err := list(l.Dir)
	if err != nil {
		return err
	}
	if extra := len(parts) - cmp.Or(l.Keep, DefaultKeep); extra > 0 {
		if err := l.prune(parts[:extra], parts[extra]); err != nil { // the next rotation tries again
			l.log().Warn("old files of the audit log stay", "error", err)
		}
	}
	return nil
}

// begin begins a file with a record of its own, which goes to the log as any other.
func (l *Log) begin(r Record) error {
	r.Log = l.end.Log
	line, err := l.next(&r)
	if err != nil {
		return err
	}
	f, err := openPart(l.Dir, fileName(r.Seq), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err := errors.Join(f.Sync(), syncFolder(l.Dir)); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.size, l.filled = f, 0, false
	l.wrote(&r, len(line))
	l.toJournal(&r)
	return nil
}

// prune removes the oldest files. The head says first, durably, that the log begins behind them.
func (l *Log) prune(old []part, oldest part) error {
	first, err := firstRecord(l.Dir, oldest, l.key)
	if err != nil {
		return err
	}
	l.end.First, l.end.FirstPrev = first.Seq, first.Prev
	if err := errors.Join(l.head.write(l.key, l.end), l.head.Sync()); err != nil {
		return err
	}
	return l.remove(old)
}

func (l *Log) remove(old []part) error {
	for _, p := range old {
		if err := os.Remove(filepath.Join(l.Dir, p.name)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) log() *slog.Logger {
	return cmp.Or(l.Log, discard)
}

var discard = slog.New(slog.DiscardHandler)

// Status is how a log does.
type Status struct {
	Log     string // names it; empty while it could never be opened
	Last    uint64 // the number of the last record
	Lost    uint64 // records that could not be written since the last one
	Problem error  // why not; nil when all is well
}

// Status says how the log does.
func (l *Log) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Status{l.end.Log, l.end.Seq, l.lost, l.problem}
}

// Changed gives a channel that is closed when there is another record.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.more
}
