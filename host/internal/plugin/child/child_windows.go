package child

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// start puts the child into a job that ends with the host.
func start(s Spec) (*Process, error) {
	if s.Image != nil {
		return nil, fmt.Errorf("%s: execute an open file: %w", s.Path, errors.ErrUnsupported)
	}
	if err := s.Restrict(); err != nil {
		return nil, err
	}
	job, err := newJob()
	if err != nil {
		return nil, err
	}
	proc, err := os.StartProcess(s.Path, s.Args, &os.ProcAttr{Dir: s.Dir, Env: withSystemRoot(s.Env), Files: s.Files,
		Sys: &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}})
	if err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	if herr := proc.WithHandle(func(h uintptr) { err = windows.AssignProcessToJobObject(job, windows.Handle(h)) }); herr != nil {
		err = herr
	}
	p := &Process{pid: proc.Pid, proc: proc, done: make(chan struct{})}
	if err != nil {
		_ = proc.Kill()
	}
	go func() {
		defer close(p.done)
		p.state, _ = proc.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reaped = true
		_ = windows.CloseHandle(job)
	}()
	if err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		_ = windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

// withSystemRoot adds the one variable without which Windows cannot open sockets.
func withSystemRoot(env []string) []string {
	for _, kv := range env {
		if strings.HasPrefix(strings.ToUpper(kv), "SYSTEMROOT=") {
			return env
		}
	}
	return append(env[:len(env):len(env)], "SYSTEMROOT="+os.Getenv("SYSTEMROOT"))
}

// Terminate ends the process: Windows has no gentler way than the lifeline.
func (p *Process) Terminate() { p.Kill() }

// Kill ends the process.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = p.proc.Kill()
	}
}
