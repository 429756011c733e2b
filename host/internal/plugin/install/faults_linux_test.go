package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/internal/plugin"
)

// What makes the test binary install os.Args[1] into the folder os.Args[2] with the lock file os.Args[3].
const (
	installMode = "KEYWAY_TEST_INSTALL"
	plain       = "plain"     // as it is
	fullDisk    = "full"      // over a file system of 128 KiB
	readOnly    = "read-only" // over one that cannot be written
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(installMode); mode != "" {
		fmt.Println(installIn(mode, os.Args[1], os.Args[2], os.Args[3]))
		return
	}
	os.Exit(m.Run())
}

// installIn tells how the installation ended, and what is in the folder.
func installIn(mode, source, dir, locks string) string {
	if mode != plain {
		var flags uintptr
		if mode == readOnly {
			flags = unix.MS_RDONLY
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size=128k"); err != nil {
			return "mount: " + err.Error()
		}
	}
	_, err := Install(context.Background(), Request{Source: source, Dir: dir, Lock: locks,
		Catalog: plugin.NewCatalog(plugin.Options{Dir: dir, Sandbox: "off"})})
	left, _ := filepath.Glob(filepath.Join(dir, "[a-z]*"))
	working, _ := filepath.Glob(filepath.Join(dir, working+"-*"))
	return fmt.Sprintf("%v; left: %v %v", err, left, working)
}

func helper(t *testing.T, mode string, s *shop) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, s.Source, s.Dir, s.Lock)
	cmd.Env = append(os.Environ(), installMode+"="+mode)
	return cmd
}

// TestFullAndReadOnlyDisks installs onto file systems that are so. Only root may mount them.
func TestFullAndReadOnlyDisks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: nothing can be mounted")
		return
	}
	for mode, says := range map[string]string{fullDisk: "the disk is full; make room and install again", readOnly: "read-only file system"} {
		s := newShop(t)
		s.write(s.Source, describes(s.ran, "vault", "1.2.0", "")+strings.Repeat("# more\n", 12<<10)) // 84 KiB, twice more than fits
		cmd := helper(t, mode, s)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), says) || !strings.Contains(string(out), "left: [] []") {
			t.Errorf("%s: %s, %v; want %q and nothing left", mode, out, err, says)
		}
		if _, err := os.Stat(s.Lock); err == nil {
			t.Errorf("%s: there is a lock file", mode)
		}
	}
}

// TestAnInstallationThatIsKilledLeavesNoPlugin kills the program that installs while the plugin describes itself.
func TestAnInstallationThatIsKilledLeavesNoPlugin(t *testing.T) {
	s := newShop(t)
	s.write(s.Source, "#!/bin/sh\ntouch "+s.ran+"\nexec sleep 600\n")
	cmd := helper(t, plain, s)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForFile(t, s.ran)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if found, problems := s.Catalog.List(); len(found) != 0 || len(problems) != 0 {
		t.Errorf("List = %v, %v after an installation was killed, want nothing", found, problems)
	}
	if _, err := os.Stat(s.Lock); err == nil {
		t.Error("there is a lock file after an installation was killed")
	}
	s.write(s.Source, describes(s.ran, "vault", "1.2.0", ""))
	if _, err := s.install(); err != nil {
		t.Fatalf("the next installation: %v", err)
	}
	s.wantFolder("vault-1.2.0")
}

func waitForFile(t *testing.T, path string) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s never came to be", path)
		}
	}
}
