package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

// asNobody runs f on a thread that is not root's, where this process is.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const same, nobody = ^uintptr(0), 65534
	become := func(uid uintptr) {
		if _, _, e := syscall.RawSyscall(unix.SYS_SETRESUID, same, uid, same); e != 0 {
			t.Fatalf("become user %d: %v", uid, e)
		}
	}
	become(nobody)
	defer become(0)
	f()
}

// TestWhoeverRunsTheHostShouldNotWriteItsPlugins gives the folder to the user that verifies.
func TestWhoeverRunsTheHostShouldNotWriteItsPlugins(t *testing.T) {
	c, b := shelf(t, Options{RunDir: t.TempDir(), Unlocked: WarnUnlocked})
	for _, path := range []string{c.opts.Dir, filepath.Dir(c.opts.Dir), c.opts.RunDir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		asNobody(t, func() { // root's folder
			if v, err := verify(t, c, b); err != nil || len(v.Warnings) != 1 || !errors.Is(v.Warnings[0], ErrUnlocked) {
				t.Errorf("Verify in root's folder: %+v, %v, want no warning but that it is not locked", v, err)
			}
		})
		if err := os.Chown(c.opts.Dir, 65534, -1); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		v, err := verify(t, c, b)
		if err != nil || len(v.Warnings) != 2 || !errors.Is(v.Warnings[1], ErrExposed) {
			t.Errorf("Verify in its own folder: %+v, %v, want a warning", v, err)
		}
		c.opts.Sandbox = "strict"
		_, err = verify(t, c, b)
		wantFault(t, err, sdk.FailedPrecondition, ErrExposed, "the user that runs keyway can replace plugins there")
	})
	c.opts.Sandbox, c.opts.Lock = "", writeLock(t, vault(t, nil))
	for _, path := range []string{c.opts.Lock, filepath.Dir(c.opts.Lock), filepath.Dir(filepath.Dir(c.opts.Lock))} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		if v, err := verify(t, c, b); err != nil || len(v.Warnings) != 0 {
			t.Errorf("Verify of locked bytes in its own folder: %+v, %v, want no warning", v, err)
		}
	})
}
