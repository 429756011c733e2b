package attempt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const script = "#!/bin/sh\nexit 0\n"

func programs() []Attempt {
	return []Attempt{
		{Name: "execute a shell", Host: true, Do: func(Targets) error { return run("/bin/sh", "-c", ":") }},
		{Name: "execute its own file beside what it is", Host: true, Do: executeOwn},
		{Name: "execute memory", Host: true, Do: executeMemory},
		{Name: "execute a descriptor", Host: true, Do: executeDescriptor},
		{Name: "start a process in a user namespace", Do: func(Targets) error {
			cmd := exec.CommandContext(context.Background(), "/proc/self/exe", Nothing)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
			return cmd.Run()
		}},
		{Name: "start a process in a user namespace, by clone3", Do: cloneNamespace},
		{Name: "allocate 512 MiB", Do: func(Targets) error { return allocate(512 << 20) }},
	}
}

func run(name string, args ...string) error {
	return exec.CommandContext(context.Background(), name, args...).Run()
}

func executeOwn(t Targets) error {
	path := filepath.Join(t.Own, "program")
	return removed(path, func(p string) error {
		if err := os.WriteFile(p, []byte(script), 0o700); err != nil {
			return err
		}
		return run(p)
	})
}

func executeMemory(Targets) error {
	fd, err := unix.MemfdCreate("program", 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "program")
	defer f.Close()
	if _, err := f.WriteString(script); err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{f}
	return cmd.Run()
}

// executeDescriptor asks for what must be answered with ENOENT where it is allowed at all: an empty name is looked up only
// behind the filter, and no program takes the place of this one.
func executeDescriptor(Targets) error {
	empty := []byte{0}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, ^uintptr(0), uintptr(unsafe.Pointer(&empty[0])), 0, 0, 0, 0)
	if errno == unix.ENOENT {
		return nil
	}
	return errno
}

// cloneNamespace forks into a namespace of its own and ends the child at once.
func cloneNamespace(Targets) error {
	args := struct{ flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls uint64 }{
		flags: unix.CLONE_NEWUSER, exitSignal: uint64(unix.SIGCHLD)}
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	var status unix.WaitStatus
	_, err := unix.Wait4(int(pid), &status, 0, nil)
	return err
}

// allocate touches every page of new memory.
func allocate(bytes int) error {
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < len(m); i += 4096 {
		m[i] = 1
	}
	return unix.Munmap(m)
}
