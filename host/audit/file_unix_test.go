//go:build unix

package audit_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path, Rotate: 1})
	for range 3 {
		if err := f.Write(t.Context(), change("a")); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{path, path + ".1", path + ".2"} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v (%v), want 0600", filepath.Base(p), info, err)
		}
	}
}

// Two sinks stand for two processes: the lock is one of the open file, not of the process.
func TestNoLineIsLostOrTornByRotationWithSeveralWriters(t *testing.T) {
	const writers, each = 4, 100
	dir := t.TempDir()
	o := audit.FileOptions{Path: filepath.Join(dir, "audit.jsonl"), Rotate: 2 << 10, Keep: 1000}
	files := []*audit.File{opened(t, o), opened(t, o)}
	var all sync.WaitGroup
	for _, f := range files {
		for range writers {
			all.Go(func() {
				for i := range each {
					line := audit.Line{Event: audit.Call, Name: strings.Repeat("n", i)}
					if i%10 == 0 {
						line.Event = audit.Change
					}
					if err := f.Write(t.Context(), line); err != nil {
						t.Errorf("Write: %v", err)
					}
				}
			})
		}
	}
	all.Wait()
	closed(t, files[0])
	closed(t, files[1])
	found, err := filepath.Glob(o.Path + "*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range found {
		n += len(lines(t, p))
	}
	if want := len(files) * writers * each; n != want || len(found) < 3 {
		t.Errorf("%d lines in %d files, want %d", n, len(found), want)
	}
}

func TestAFileThatWasMovedAwayIsBegunAnew(t *testing.T) {
	for name, away := range map[string]func(path string) error{
		"moved":   func(path string) error { return os.Rename(path, path+"-20260101") },
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			f := opened(t, audit.FileOptions{Path: path})
			if err := f.Write(t.Context(), change("before")); err != nil {
				t.Fatal(err)
			}
			if err := away(path); err != nil {
				t.Fatal(err)
			}
			if err := f.Write(t.Context(), change("after")); err != nil {
				t.Fatal(err)
			}
			if got := lines(t, path); len(got) != 1 || got[0].Name != "after" {
				t.Errorf("the new file has %+v, want the later line", got)
			}
		})
	}
}

func TestAFolderThatVanishesFailsChangesUntilItIsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	f := opened(t, audit.FileOptions{Path: filepath.Join(dir, "audit.jsonl"), Logger: slog.New(slog.NewTextHandler(&told, nil))})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Write(t.Context(), change("lost")); sdk.CodeOf(err) != sdk.Unavailable || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Write without the folder: %v, want Unavailable", err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), change("back")); err != nil {
		t.Errorf("Write after the folder is back: %v", err)
	}
	closed(t, f)
	if s := told.String(); strings.Count(s, "cannot be written") != 1 || strings.Count(s, "written again") != 1 {
		t.Errorf("the log tells %q, want the failure once and its end once", s)
	}
}

// A disk that does not answer is one whose file somebody else keeps locked.
func hung(t *testing.T, path string) (release func()) {
	t.Helper()
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = held.Close() })
	t.Cleanup(release)
	return release
}

func TestADiskThatHangsHoldsUpNoRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path})
	release := hung(t, path)
	log := audit.NewLog(f, audit.LogOptions{})
	const reads = 40_000
	for range reads { // 40,000 lines of 300 bytes are more than wait for the disk
		log.Record(t.Context(), audit.Line{Event: audit.Call, Name: strings.Repeat("n", 300)})
	}
	dropped := log.Dropped()
	if dropped == 0 || dropped == reads {
		t.Errorf("%d of %d lines were dropped, want those past the bound", dropped, reads)
	}
	if err := f.Write(t.Context(), audit.Line{Event: audit.Call, Name: strings.Repeat("n", 1<<20)}); !errors.Is(err, audit.ErrFull) {
		t.Errorf("Write past the bound: %v, want ErrFull", err)
	}
	release()
	closed(t, f)
	got := lines(t, path)
	if len(got) != reads-int(dropped) {
		t.Errorf("the file has %d lines, want the %d that were not dropped", len(got), reads-int(dropped))
	}
	if !slices.IsSortedFunc(got, func(a, b audit.Line) int { return cmp.Compare(a.Seq, b.Seq) }) {
		t.Error("the lines are not in their order")
	}
}

func TestAChangeDoesNotWaitForEverOnADiskThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path, Patience: 50 * time.Millisecond})
	release := hung(t, path)
	if err := f.Write(t.Context(), change("a")); sdk.CodeOf(err) != sdk.DeadlineExceeded || !strings.Contains(err.Error(), path) {
		t.Errorf("Write: %v, want DeadlineExceeded that names the file", err)
	}
	release()
}

func TestAChangeIsGivenUpWithItsCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path, Patience: time.Hour})
	release := hung(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Write(ctx, change("a")); sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("Write: %v, want Canceled", err)
	}
	if err := f.Close(ctx); sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("Close: %v, want Canceled", err)
	}
	release()
}

func TestAnAuditThatCannotBeRotatedGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.MkdirAll(filepath.Join(path+".1", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	f := opened(t, audit.FileOptions{Path: path, Rotate: 1, Keep: 1, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	for range 3 {
		if err := f.Write(t.Context(), change("a")); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, f)
	if n := len(lines(t, path)); n != 3 {
		t.Errorf("the file has %d lines, want all 3", n)
	}
	if n := strings.Count(told.String(), "cannot be rotated"); n != 1 {
		t.Errorf("the log tells it %d times, want once: %s", n, told.String())
	}
}
