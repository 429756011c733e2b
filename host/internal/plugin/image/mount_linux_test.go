package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountOptions makes the test binary open a program with a copy in a file system that is mounted with them.
const mountOptions = "KEYWAY_TEST_MOUNT"

func TestMain(m *testing.M) {
	if options, ok := os.LookupEnv(mountOptions); ok {
		fmt.Println(openOnMount(os.Args[1], os.Args[2], options))
		return
	}
	os.Exit(m.Run())
}

// openOnMount mounts a small file system over dir, in this process's own view of the mounts, and tells the image's kind.
func openOnMount(program, dir, options string) string {
	flags := map[string]uintptr{"noexec": unix.MS_NOEXEC, "read-only": unix.MS_RDONLY}[options]
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size=16k"); err != nil {
		return "mount: " + err.Error()
	}
	i, err := Open(context.Background(), program, Options{CopyDirs: []string{dir}})
	if err != nil {
		return err.Error()
	}
	defer i.Close()
	cmd := exec.CommandContext(context.Background(), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{i.File()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(i.Kind())
}

// TestRealFileSystems holds what the seams claim against file systems that are so. Only root may mount them.
func TestRealFileSystems(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: nothing can be mounted")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	small := program(t, "#!/bin/sh\nexit 0\n")
	large, err := os.ReadFile("/bin/true") // more than the file system holds
	if err != nil {
		t.Fatal(err)
	}
	for options, c := range map[string]struct {
		program string
		want    Kind
	}{"": {small, UnnamedCopy}, "noexec": {small, Memory}, "read-only": {small, Memory}, "full": {program(t, string(large)), Memory}} {
		cmd := exec.CommandContext(t.Context(), self, c.program, t.TempDir())
		cmd.Env = append(os.Environ(), mountOptions+"="+options)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if got := string(out); err != nil || got != string(c.want)+"\n" {
			t.Errorf("mounted %q: %q, %v; want %q", options, got, err, c.want)
		}
	}
}
