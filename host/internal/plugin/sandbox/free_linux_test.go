package sandbox_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox/internal/attempt"
)

// While variables are initialized a program is on its main thread: a gateway that needs it locks it like this, here or in
// init.
var _ = func() bool {
	if os.Getenv(actAs) == "main locked" {
		runtime.LockOSThread()
	}
	return true
}()

const starts = 24

func TestTheHostStaysFree(t *testing.T) {
	for _, part := range []string{"main free", "main locked"} {
		t.Run(part, func(t *testing.T) { asHost(t, part, os.Getuid()) })
	}
}

func actFree() error {
	h, err := newHost(os.Getenv("PROBE"))
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.startAndEnd(); err != nil {
		return err
	}
	// The first process of this program was a confined one, and the ones after it have descriptors all the same.
	return hasHandle(h)
}

func actLocked() error {
	if unix.Gettid() != unix.Getpid() {
		return errors.New("not on the main thread")
	}
	return actFree()
}

// startAndEnd has several confined processes run at a time and looks for restricted threads then and afterwards.
func (h *host) startAndEnd() error {
	var all []*running
	for range starts {
		r, err := h.start(sandbox.Policy{Mode: sandbox.Strict, Network: sandbox.Brokered}, sandbox.Kernel(), attempt.Targets{}, attempt.Wait)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	main, restricted, err := restrictedThreads()
	if err == nil && (main || restricted != starts) {
		err = fmt.Errorf("%d threads are restricted (the main thread: %v) while %d confined processes run, want one each", restricted, main, starts)
	}
	for _, r := range all {
		r.process.Kill()
		<-r.process.Done()
		_ = r.output.Close()
	}
	return errors.Join(err, becomes("no thread of the host is restricted", func() (bool, error) {
		main, restricted, err := restrictedThreads()
		return !main && restricted == 0, err
	}))
}

// becomes waits until something holds, for at most half a minute.
func becomes(what string, holds func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("never came true: %s", what)
		}
	}
}

// restrictedThreads counts this process's threads that have no_new_privs or a filter, and tells whether the main one has.
func restrictedThreads() (main bool, count int, err error) {
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return false, 0, err
	}
	for _, path := range tasks {
		status, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return false, 0, err
		}
		if strings.Contains(string(status), "NoNewPrivs:\t0") && strings.Contains(string(status), "Seccomp:\t0") {
			continue
		}
		count++
		main = main || filepath.Base(filepath.Dir(path)) == strconv.Itoa(os.Getpid())
	}
	return main, count, nil
}

func hasHandle(h *host) error {
	p, err := os.StartProcess(h.probe.Name(), []string{"probe", attempt.Nothing}, &os.ProcAttr{Env: []string{}})
	if err != nil {
		return err
	}
	if err := p.WithHandle(func(uintptr) {}); err != nil {
		return fmt.Errorf("a later process: %w", err)
	}
	_, err = p.Wait()
	return err
}

// A gateway that gives up root with plugins running is not ended by Go, which makes the call on every thread and wants
// the same answer from all.
func TestAHostMayGiveUpRootWhileAConfinedProcessRuns(t *testing.T) {
	pid, err := strconv.Atoi(strings.TrimSpace(string(asHost(t, "setuid", os.Getuid()))))
	if err != nil {
		t.Fatal(err)
	}
	if err := becomes("the confined process ended with its host", func() (bool, error) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return true, nil
		}
		return strings.Contains(string(status), "State:\tZ"), err
	}); err != nil {
		t.Error(err)
	}
}

func actSetuid() error {
	h, err := newHost(os.Getenv("PROBE"))
	if err != nil {
		return err
	}
	r, err := h.start(sandbox.Policy{Mode: sandbox.Strict, Network: sandbox.Brokered}, sandbox.Kernel(), attempt.Targets{}, attempt.Wait)
	if err != nil {
		return err
	}
	uid := os.Getuid()
	if uid == 0 {
		uid = nobody
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	if os.Getuid() != uid {
		return fmt.Errorf("user %d, want %d", os.Getuid(), uid)
	}
	fmt.Println(r.process.PID())
	return nil
}

// The filter lets a process ask its parent to trace it, for that is how the parent holds it until its limits are set. One that
// does so later stops for a host that does not trace.
func TestAProcessThatWantsToBeTracedIsEnded(t *testing.T) {
	h, targets := bench(t)
	for range 5 {
		r, err := h.start(confined(targets), sandbox.Kernel(), targets, attempt.Traced)
		if err != nil {
			t.Fatal(err)
		}
		if !r.process.Within(time.Minute) {
			t.Error("it goes on, or its end is not seen")
			r.process.Kill()
		}
		_ = r.output.Close()
		if got := r.process.ExitText(); got != "signal: killed" {
			t.Errorf("ended with %q, want that it was killed", got)
		}
	}
}
