//go:build e2e

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
)

// census counts what the test process has.
type census struct {
	goroutines, descriptors, sockets, threads, children int

	confined int // threads that a plugin's confinement is on
	files    int // in the folder for sockets
}

func (c census) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors (%d sockets), %d threads (%d confined), %d children, %d files in the run folder",
		c.goroutines, c.descriptors, c.sockets, c.threads, c.confined, c.children, c.files)
}

func (b *bank) census(t *testing.T) (c census) {
	t.Helper()
	c.goroutines = runtime.NumGoroutine()
	for _, fd := range list(t, "/proc/self/fd") {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", fd))
		if err != nil {
			continue // the one that read the folder
		}
		c.descriptors++
		if strings.HasPrefix(target, "socket:") {
			c.sockets++
		}
	}
	for _, thread := range list(t, "/proc/self/task") {
		status, err := os.ReadFile(filepath.Join("/proc/self/task", thread, "status"))
		if err != nil {
			continue // it has ended
		}
		c.threads++
		if bytes.Contains(status, []byte("NoNewPrivs:\t1")) {
			c.confined++
		}
	}
	parent := fmt.Appendf(nil, "\nPPid:\t%d\n", os.Getpid())
	for _, process := range list(t, "/proc") {
		status, err := os.ReadFile(filepath.Join("/proc", process, "status"))
		if err == nil && bytes.Contains(status, parent) { // zombies too
			c.children++
		}
	}
	c.files = len(list(t, b.run))
	return c
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// spare is how many threads more than before may be left: Go keeps those that were once in a system call at the same time.
// One for each plugin that ended would be far more.
const spare = 64

// nothingLeft holds the census against that from before the host was opened.
func (b *bank) nothingLeft(t *testing.T, before census) {
	t.Helper()
	var after census
	met := func() bool {
		after = b.census(t)
		return after.goroutines <= before.goroutines && after.descriptors <= before.descriptors && after.sockets <= before.sockets &&
			after.threads <= before.threads+spare && after.confined <= before.confined && after.children <= before.children && after.files <= before.files
	}
	defer func() {
		t.Logf("before: %v", before)
		t.Logf("after:  %v", after)
		if !met() {
			_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
		}
	}()
	eventually(t, "nothing is left of the host", met)
}
