package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// FileOptions configure a [File].
type FileOptions struct {
	Path string // in a directory that exists
	// Rotate is the size in bytes past which a new file is begun; zero: 100 MiB. A file may exceed it by what was written at
	// once, at most 8 MiB.
	Rotate int64
	Keep   int // how many old files are kept, Path.1 being the youngest; zero: 10
	// Patience is how long a change waits for the disk; zero: 5 s.
	Patience time.Duration
	Logger   *slog.Logger // told when lines begin to be lost, and when they are written again; nil: nobody
}

const (
	defaultRotate   = 100 << 20 // bytes
	defaultKeep     = 10
	defaultPatience = 5 * time.Second

	// maxPending bounds the bytes that wait for the disk. It holds one minute's reads of 10,000 references several times.
	maxPending = 8 << 20
)

// Why a line was not taken. Errors of this package are *sdk.Error values that hold one of these, for errors.Is.
var (
	ErrFull   = errors.New("too many lines wait for the disk")
	ErrClosed = errors.New("the audit is closed")
	errSlow   = errors.New("the disk did not answer in time")
)

// File is a [Sink] that appends lines to a file.
//
// A change is on the disk (fsync) when its Write returns nil; changes that come at the same time share one fsync. Every
// other line waits in memory for the next write, which follows at once, and is left to the system from there: a crash of
// the process loses what waited, a crash of the machine also what the system had not yet written. While the disk is full
// or hangs such lines are lost past 8 MiB, and counted. Lines of one goroutine keep their order.
//
// The file is made with mode 0600; one that exists keeps its mode. Several processes may append to one file on Linux and
// macOS: each write and each rotation holds a lock on it. When the file is moved away or removed, as logrotate does, the
// next line begins a new one. A line that could be written in part only is taken back.
type File struct {
	disk     *disk
	patience time.Duration
	log      *slog.Logger

	mu      sync.Mutex // guards what follows; never held during a call of the system
	pending batch
	closed  bool
	lost    int64

	wake chan struct{} // capacity 1: there is something pending, or the end has come
	done chan struct{} // closed when the last line has been written
}

// batch is what one write takes to the disk.
type batch struct {
	text    []byte
	lines   int64
	waiting []chan<- error // of changes; each has room for its answer
}

// NewFile opens the file, or makes it. It fails with FailedPrecondition where that is not possible.
func NewFile(o FileOptions) (*File, error) {
	if o.Rotate <= 0 {
		o.Rotate = defaultRotate
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &disk{path: o.Path, rotate: o.Rotate, keep: o.Keep, log: o.Logger}
	if err := d.open(); err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "open audit %s: %w", o.Path, err)
	}
	f := &File{disk: d, patience: o.Patience, log: o.Logger, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go f.run()
	return f, nil
}

// Write takes one line. It fails with Unavailable when the line is lost, with DeadlineExceeded when a change waited longer
// than its patience for the disk, and with the context's code when that ends while a change waits; in these two cases the
// line may still be written later. After Close it fails with FailedPrecondition.
func (f *File) Write(ctx context.Context, line Line) error {
	text, err := encode(line)
	if err != nil {
		return sdk.Errorf(sdk.Internal, "write audit: %w", err)
	}
	if line.Event != Change {
		return f.add(text, nil)
	}
	written := make(chan error, 1)
	if err := f.add(text, written); err != nil {
		return err
	}
	limit := time.NewTimer(f.patience)
	defer limit.Stop()
	select {
	case err := <-written:
		return err
	case <-limit.C:
		return sdk.Errorf(sdk.DeadlineExceeded, "write audit %s: %w (%v)", f.disk.path, errSlow, f.patience)
	case <-ctx.Done():
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "write audit %s: %w", f.disk.path, ctx.Err())
	}
}

// encode gives a line's text with its end. JSON escapes line breaks, so a name cannot forge a line.
func encode(line Line) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(line)
	return b.Bytes(), err
}

// add has a line written. A change is taken past the bound too: its caller waits, so they are as many as callers.
func (f *File) add(text []byte, written chan<- error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return sdk.Errorf(sdk.FailedPrecondition, "write audit %s: %w", f.disk.path, ErrClosed)
	}
	if written == nil && len(f.pending.text)+len(text) > maxPending {
		return sdk.Errorf(sdk.Unavailable, "write audit %s: %w", f.disk.path, ErrFull)
	}
	f.pending.text = append(f.pending.text, text...)
	f.pending.lines++
	if written != nil {
		f.pending.waiting = append(f.pending.waiting, written)
	}
	f.signal()
	return nil
}

func (f *File) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run writes what is pending until Close. It is the only user of the disk.
func (f *File) run() {
	defer close(f.done)
	failing := false
	for range f.wake {
		f.mu.Lock()
		b, last := f.pending, f.closed
		f.pending = batch{}
		f.mu.Unlock()
		if b.lines > 0 {
			err := f.disk.write(b.text, len(b.waiting) > 0)
			f.settle(b, err)
			failing = f.tell(failing, err)
		}
		if last {
			f.disk.close()
			return
		}
	}
}

// settle answers the changes of a batch and counts what nobody waits for.
func (f *File) settle(b batch, err error) {
	if err != nil {
		err = sdk.Errorf(sdk.Unavailable, "write audit %s: %w", f.disk.path, err)
		f.mu.Lock()
		f.lost += b.lines - int64(len(b.waiting))
		f.mu.Unlock()
	}
	for _, w := range b.waiting {
		w <- err
	}
}

func (f *File) tell(failing bool, err error) bool {
	switch {
	case err != nil && !failing:
		f.log.Error("the audit cannot be written; reads go on without it", "path", f.disk.path, "error", err)
	case err == nil && failing:
		f.log.Info("the audit is written again", "path", f.disk.path)
	}
	return err != nil
}

// Lost is how many lines could not be written although Write had taken them without an error.
func (f *File) Lost() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// Close writes what is pending to the disk and closes the file. It waits for that until ctx ends. It may be called again.
func (f *File) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.signal()
	f.mu.Unlock()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "close audit %s: %w", f.disk.path, ctx.Err())
	}
}
